//! Between ticks: whose data have just come to OW is read at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::serve::Daemon;
use crate::hints::Hint;
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
/// The furthest that OW fetches at once.
const FURTHEST: Duration = Duration::from_hours(366 * 24);
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

    /// OW as the configuration of this moment has it.
    fn ow(&self) -> Option<Client> {
        let config = self.app.live.config();
        let (url, key) = (config.ow_api_url.as_ref()?, config.ow_api_key.as_ref()?);
        Client::new(url, key, config.ow_timeout, self.app.page_size.clone()).ok()
    }

    /// Asks OW who has just synced. An OW that cannot say costs nothing: the ticks go on.
    async fn list_runs(&self, trouble: &mut Option<OwError>) {
        let Some(client) = self.ow() else { return };
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
        let mut hinted = BTreeMap::new();
        for (user, patient) in self.app.store.read(move |db| plan::of_users(db, &users)).await? {
            let Some(hint) = due.get(&user) else { continue };
            let mut since = hint.since;
            for run in &hint.runs {
                let from = self.fetched_from(&user, run).await.unwrap_or_else(|| now.minus(FURTHEST_SWEEP));
                since = Some(since.map_or(from, |since| since.min(from)));
            }
            hinted.insert(patient, reach(since, now));
        }
        Ok(hinted)
    }

    /// From when on a run fetched, where OW says.
    async fn fetched_from(&self, user: &str, run: &str) -> Option<Timestamp> {
        let client = self.ow()?;
        tokio::select! {
            () = self.cancel.cancelled() => None,
            from = client.fetched_from(user, run) => from.ok().flatten(),
        }
    }
}

/// How far back a patient is read, at the least, for what came since then; nothing for what is read anyway.
fn reach(since: Option<Timestamp>, now: Timestamp) -> Duration {
    since.map_or(Duration::ZERO, |since| now.since(since).saturating_add(BEFORE).min(FURTHEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_read_with_an_hour_to_spare_and_a_year_at_most() {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let of = |hours| reach(Some(now.minus(Duration::from_hours(hours))), now);
        assert_eq!((of(48), of(48_000)), (Duration::from_hours(49), FURTHEST));
        assert_eq!(reach(None, now), Duration::ZERO);
    }
}
