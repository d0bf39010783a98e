//! What the status page says.

use super::{App, TickState};
use crate::settings::Snapshot;
use crate::store::run::{self, Run};
use crate::store::status::{self, Line};
use crate::store::{StoreError, lock, setting};
use crate::time::Timestamp;

/// Patients on one page.
const PAGE: u32 = 100;

/// The status page, before it is drawn.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) now: Timestamp,
    pub(super) lines: Vec<Line>,
    /// Where the next page begins, where there is one.
    pub(super) next: Option<i64>,
    pub(super) settings: Snapshot,
    pub(super) last_run: Option<Run>,
    pub(super) ticks: TickState,
    pub(super) simulated: bool,
}

impl Status {
    pub(super) fn lock(&self) -> &str {
        self.settings.text(lock::KEY)
    }
}

pub(super) async fn load(app: &App, after: i64) -> Result<Status, StoreError> {
    let now = app.clock.now();
    let read = move |db: &rusqlite::Connection| {
        let lines = status::lines(db, now, after, PAGE + 1)?;
        Ok((lines, setting::all(db)?, run::last(db)?))
    };
    let (mut lines, settings, last_run) = app.store.read(read).await?;
    let more = lines.len() > PAGE as usize;
    lines.truncate(PAGE as usize);
    let next = lines.last().filter(|_| more).map(|line| line.patient.get());
    Ok(Status {
        now,
        lines,
        next,
        settings: Snapshot::new(settings),
        last_run,
        ticks: app.ticks.get(),
        simulated: app.simulated,
    })
}
