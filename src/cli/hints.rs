//! Between ticks: whose data have just come to OW is read at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::serve::Daemon;
use crate::hints::{Hint, Past};
use crate::ow::{Client, OwError};
use crate::patient::PatientId;
use crate::poll::{Ask, FURTHEST_SWEEP, Outcome, Progress};
use crate::settings::Snapshot;
use crate::store::{StoreError, plan, setting};
use crate::time::Timestamp;

/// How often one patient is looked at because of hints, where OW's list is not asked for.
const PAUSE: Duration = Duration::from_mins(1);
/// How soon somebody is looked at again whose turn had to wait: the lock was held, or the pause is not over.
const AGAIN: Duration = Duration::from_secs(1);
/// What the daemon's own daily request has OW fetch, and an hour of slack.
const OWN_FETCH: Duration = Duration::from_hours(2 * 24 + 1);
/// A fetch that began within this time of that request is the one that was asked for.
const OWN_WITHIN: Duration = Duration::from_hours(1);
/// What is read before the oldest sample that a message tells of.
const BEFORE: Duration = Duration::from_hours(1);

impl Daemon {
    /// Follows hints for as long as the daemon runs.
    pub(super) async fn follow_hints(&self) {
        let mut next_list = Instant::now();
        let mut trouble = None;
        while !self.cancel.is_cancelled() {
            let settings = self.app.store.read(setting::all).await.map(Snapshot::new).unwrap_or_default();
            let every = settings.hints_interval().filter(|_| settings.is_on());
            if let Some(every) = every.filter(|_| next_list <= Instant::now()) {
                self.list_runs(&mut trouble).await;
                next_list = Instant::now() + every;
            }
            if settings.is_on() {
                self.look(settings.hints_interval().unwrap_or(PAUSE)).await;
            }
            let wake =
                if self.app.hints.is_waiting() { Instant::now() + AGAIN } else { Instant::now() + PAUSE };
            let wake = if every.is_some() { wake.min(next_list) } else { wake };
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = self.app.hints.news(), if !self.app.hints.is_waiting() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Asks OW who has just synced. An OW that cannot say costs nothing: the ticks go on.
    async fn list_runs(&self, trouble: &mut Option<OwError>) {
        let config = self.app.live.config();
        let (Some(url), Some(key)) = (&config.ow_api_url, &config.ow_api_key) else { return };
        let client = Client::new(url, key, config.ow_timeout, self.app.page_size.clone());
        let Ok(client) = client else { return };
        let listed = tokio::select! {
            () = self.cancel.cancelled() => return,
            listed = client.sync_runs() => listed,
        };
        match listed {
            Ok(runs) => {
                self.app.hints.take_runs(&runs);
                *trouble = None;
            }
            Err(error) => {
                // Once, and not each minute.
                if trouble.as_ref() != Some(&error) {
                    tracing::info!(
                        "OW does not say who has just synced, so data come in with the ticks: {error}"
                    );
                }
                *trouble = Some(error);
            }
        }
    }

    /// Reads those whom hints name, unless a tick runs: then they wait.
    async fn look(&self, pause: Duration) {
        let due = self.app.hints.take_due(pause, self.app.clock.now());
        if due.is_empty() {
            return;
        }
        let hinted = match self.hinted(due.clone()).await {
            Ok(hinted) if hinted.is_empty() => return,
            Ok(hinted) => hinted,
            Err(error) => {
                tracing::warn!("hints could not be followed: {error}");
                return;
            }
        };
        let patients = hinted.len();
        let ask = Ask { hinted, ..Ask::default() };
        match self.app.poller().poll(&ask, &Arc::new(Progress::default())).await {
            Ok(Outcome::Skipped(_)) => self.app.hints.put_back(&due),
            Ok(Outcome::Complete(summary)) => {
                self.app.payloads.note_turns(&summary);
                tracing::info!(
                    patients,
                    created = summary.tally.created,
                    "read at once, as OW has just synced"
                );
            }
            Err(_) if self.cancel.is_cancelled() => {}
            // The next tick says the same, and louder.
            Err(failure) => tracing::info!("hints could not be followed: {}", failure.what),
        }
    }

    /// The patients behind OW's users, and how far back each is read.
    async fn hinted(&self, due: BTreeMap<String, Hint>) -> Result<BTreeMap<PatientId, Duration>, StoreError> {
        let now = self.app.clock.now();
        let users: Vec<String> = due.keys().cloned().collect();
        let known = self.app.store.read(move |db| plan::of_users(db, &users)).await?;
        let reach = known.into_iter().filter_map(|one| {
            let hint = due.get(&one.ow_user)?;
            Some((one.patient, reach(*hint, one.checked, now)))
        });
        Ok(reach.collect())
    }
}

/// How far back a hint has a patient read, at the least; nothing for what is read anyway.
fn reach(hint: Hint, checked: Option<Timestamp>, now: Timestamp) -> Duration {
    match hint.past {
        None => Duration::ZERO,
        Some(Past::To(start)) => now.since(start).saturating_add(BEFORE).min(FURTHEST_SWEEP),
        Some(Past::Began(Some(began))) if checked.is_some_and(|checked| is_own(began, checked)) => OWN_FETCH,
        // How far a fetch reached is not in the list.
        Some(Past::Began(_)) => FURTHEST_SWEEP,
    }
}

fn is_own(began: Timestamp, checked: Timestamp) -> bool {
    began.plus(OWN_WITHIN) >= checked && began <= checked.plus(OWN_WITHIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_of_the_past_is_read_as_far_as_it_may_have_reached() {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let ago = |hours| now.minus(Duration::from_hours(hours));
        let of = |past, checked| reach(Hint { past }, checked, now);
        assert_eq!(of(None, None), Duration::ZERO);
        assert_eq!(of(Some(Past::To(ago(48))), None), Duration::from_hours(49));
        assert_eq!(of(Some(Past::To(ago(4800))), None), FURTHEST_SWEEP);
        assert_eq!(of(Some(Past::Began(Some(ago(1)))), Some(ago(1))), OWN_FETCH);
        assert_eq!(of(Some(Past::Began(Some(ago(1)))), Some(ago(20))), FURTHEST_SWEEP);
        assert_eq!(of(Some(Past::Began(None)), Some(ago(1))), FURTHEST_SWEEP);
    }
}
