//! How the bucket of the provider's payloads was last found, shared between who looks after it and the pages.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use super::App;
use crate::failure::Failure;
use crate::patient::PatientId;
use crate::poll::Summary;
use crate::raw::{Access, Bucket};
use crate::settings::{IngestMode, Snapshot};
use crate::time::Timestamp;

/// The bucket as it was last found, and whose payloads wait in it.
#[derive(Debug, Clone, Default)]
pub struct Payloads(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    /// Nothing outside of raw mode.
    examined: Option<Examined>,
    /// Patients whose last turn had its share of objects, and has left some.
    unfinished: BTreeSet<PatientId>,
}

/// What an examination has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// When that was.
    pub at: Timestamp,
    /// Why the bucket cannot be listed or read, where it cannot.
    pub trouble: Option<String>,
}

impl Payloads {
    /// The last examination.
    pub fn last(&self) -> Option<Examined> {
        self.0.lock().examined.clone()
    }

    /// Whether more objects of a patient wait in the bucket than the last turn has read.
    pub fn is_unfinished(&self, patient: PatientId) -> bool {
        self.0.lock().unfinished.contains(&patient)
    }

    /// Takes over from a tick whose objects wait, and whose do not any more.
    pub fn note_turns(&self, summary: &Summary) {
        let unfinished = &mut self.0.lock().unfinished;
        for (patient, _) in &summary.patients {
            unfinished.remove(patient);
        }
        unfinished.extend(&summary.unfinished);
    }

    fn note(&self, examined: Option<Examined>) {
        self.0.lock().examined = examined;
    }
}

/// Looks whether the bucket can be listed and read, in raw mode, and logs what of that is news.
pub(crate) async fn examine(app: &App) {
    let settings = app.store.settings().await.unwrap_or_default();
    if settings.ingest_mode() != Ok(IngestMode::Raw) {
        app.payloads.note(None);
        return;
    }
    let trouble = match look(app, &settings).await {
        Ok(()) => None,
        Err(failure) => Some(failure.what),
    };
    let before = app.payloads.last();
    match (&trouble, before.as_ref().map(|before| &before.trouble)) {
        (now, Some(before)) if now == before => {}
        (Some(trouble), _) => tracing::warn!("raw payloads: {trouble}"),
        (None, _) => tracing::info!("raw payloads: the bucket can be listed and read"),
    }
    app.payloads.note(Some(Examined { at: app.clock.now(), trouble }));
}

async fn look(app: &App, settings: &Snapshot) -> Result<(), Failure> {
    let config = app.live.config();
    let access = Access::of(settings, config.secret_key.as_ref(), config.ow_timeout)?;
    let examined = Bucket::new(&access, &app.clock)?.examine().await;
    examined.map(drop).map_err(|error| Failure::failed(error.to_string(), ""))
}
