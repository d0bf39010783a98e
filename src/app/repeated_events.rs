//! Counts repeated audit events in memory, so that reading a page does not wait for a commit and a flood does not fill
//! the audit.
//!
//! The first event of a kind is in the audit before the request is answered. Equal events of the ten minutes after it
//! are counted, and each count is written as one entry every ten seconds and at the end of the daemon.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::PatientId;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::privacy::audit;

/// After this time an equal event is again a first one.
const PERIOD: Duration = Duration::from_mins(10);

/// An event that one person can cause many times, such as a page view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AuditEvent {
    pub actor: Actor,
    pub action: &'static str,
    pub patient: Option<PatientId>,
    pub detail: AuditDetail,
}

/// The first events of the last [`PERIOD`], with the number of repeats that are not written yet.
#[derive(Debug, Clone, Default)]
pub struct RepeatedEvents(Arc<Mutex<HashMap<AuditEvent, (Timestamp, u64)>>>);

impl RepeatedEvents {
    /// Writes the event if it is the first of its kind, and counts it otherwise.
    pub(crate) async fn record(
        &self,
        store: &Store,
        event: AuditEvent,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some((first, count)) = self.0.lock().get_mut(&event)
            && is_recent(*first, now)
        {
            *count += 1;
            return Ok(());
        }
        let entry = event.clone();
        let AuditEvent { actor, action, patient, detail } = entry;
        store.write(move |db| audit::record(db, now, actor, action, patient, detail)).await?;
        self.0.lock().entry(event).and_modify(|known| known.0 = now).or_insert((now, 0));
        Ok(())
    }

    /// Writes the counts in one transaction. After an error they wait for the next time.
    pub(crate) async fn write(&self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        let counted = self.take_counts(now);
        if counted.is_empty() {
            return Ok(());
        }
        let entries = counted.clone();
        let write = move |db: &_| {
            for (AuditEvent { actor, action, patient, detail }, count) in &entries {
                let detail = detail.clone().with("repeated").with(*count);
                audit::record(db, now, *actor, action, *patient, detail)?;
            }
            Ok(())
        };
        let written = store.write(write).await;
        if written.is_err() {
            let mut events = self.0.lock();
            for (event, count) in counted {
                events.entry(event).or_insert((now, 0)).1 += count;
            }
        }
        written
    }

    /// Takes the counts, and forgets events whose period is over.
    fn take_counts(&self, now: Timestamp) -> Vec<(AuditEvent, u64)> {
        let mut events = self.0.lock();
        let counted = events.iter_mut().filter(|(_, (_, count))| *count > 0);
        let counted = counted.map(|(event, (_, count))| (event.clone(), std::mem::take(count))).collect();
        events.retain(|_, (first, _)| is_recent(*first, now));
        counted
    }
}

/// A clock that was set back ends the period.
fn is_recent(first: Timestamp, now: Timestamp) -> bool {
    first <= now && now.since(first) < PERIOD
}
