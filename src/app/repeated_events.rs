//! Counts repeated audit events in memory, so that reading a page does not wait for a commit and a flood does not fill
//! the audit.
//!
//! The first event of a kind is in the audit before the request is answered. Equal events of the ten minutes after it
//! are counted, and each count is written as one entry every ten seconds and at the end of the daemon.

use std::collections::{HashMap, hash_map::Entry};
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

/// The first events of the last [`PERIOD`], with the repeats that are not written yet.
#[derive(Debug, Clone, Default)]
pub struct RepeatedEvents(Arc<Mutex<HashMap<AuditEvent, Repeats>>>);

#[derive(Debug, Clone, Copy)]
struct Repeats {
    first: Timestamp,
    events: u64,
    /// Resources that the repeats have read; none for an event that reads no resources.
    resources: Option<u64>,
}

impl Repeats {
    fn add(&mut self, events: u64, resources: Option<u64>) {
        self.events += events;
        self.resources = Option::zip(self.resources, resources).map(|(one, other)| one + other);
    }
}

impl RepeatedEvents {
    /// Writes the event if it is the first of its kind, and counts it otherwise.
    pub(crate) async fn record(
        &self,
        store: &Store,
        event: AuditEvent,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.record_read(store, event, None, now).await
    }

    /// Records an event that reads so many resources.
    pub(crate) async fn record_read(
        &self,
        store: &Store,
        event: AuditEvent,
        resources: Option<u64>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(known) = self.0.lock().get_mut(&event)
            && is_recent(known.first, now)
        {
            known.add(1, resources);
            return Ok(());
        }
        let entry = event.clone();
        let AuditEvent { actor, action, patient, detail } = entry;
        let detail = with_resources(detail, resources);
        store.write(move |db| audit::record(db, now, actor, action, patient, detail)).await?;
        let none = Repeats { first: now, events: 0, resources: resources.map(|_| 0) };
        self.0.lock().entry(event).and_modify(|known| known.first = now).or_insert(none);
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
            for (AuditEvent { actor, action, patient, detail }, repeats) in &entries {
                let detail = detail.clone().with("repeated").with(repeats.events);
                let detail = with_resources(detail, repeats.resources);
                audit::record(db, now, *actor, action, *patient, detail)?;
            }
            Ok(())
        };
        let written = store.write(write).await;
        if written.is_err() {
            let mut events = self.0.lock();
            for (event, repeats) in counted {
                match events.entry(event) {
                    Entry::Occupied(mut known) => known.get_mut().add(repeats.events, repeats.resources),
                    Entry::Vacant(free) => drop(free.insert(repeats)),
                }
            }
        }
        written
    }

    /// Takes the counts, and forgets events whose period is over.
    fn take_counts(&self, now: Timestamp) -> Vec<(AuditEvent, Repeats)> {
        let mut events = self.0.lock();
        let counted = events.iter_mut().filter(|(_, repeats)| repeats.events > 0);
        let taken = counted.map(|(event, repeats)| {
            let none = Repeats { events: 0, resources: repeats.resources.map(|_| 0), ..*repeats };
            (event.clone(), std::mem::replace(repeats, none))
        });
        let taken = taken.collect();
        events.retain(|_, repeats| is_recent(repeats.first, now));
        taken
    }
}

fn with_resources(detail: AuditDetail, resources: Option<u64>) -> AuditDetail {
    match resources {
        Some(number) => detail.with("resources").with(number),
        None => detail,
    }
}

/// A clock that was set back ends the period.
fn is_recent(first: Timestamp, now: Timestamp) -> bool {
    first <= now && now.since(first) < PERIOD
}
