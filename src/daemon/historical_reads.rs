//! The past that OW has fetched: noted when OW tells of it, and read in slices, as a backfill is, until all of it was.

use std::sync::Arc;
use std::time::Duration;

use crate::app::hint_queue::Hint;
use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::daemon::hints::PAUSE;
use crate::daemon::run::Daemon;
use crate::model::consent_intervals::Interval;
use crate::model::patient::{PatientId, PatientRef};
use crate::ow::error::OwError;
use crate::ow::runs::SyncRun;
use crate::poll::poller::{Ask, Past};
use crate::poll::progress::Progress;
use crate::poll::sweep_schedule::WIDE as FURTHEST_SWEEP;
use crate::poll::tick::Outcome;
use crate::store::error::StoreError;
use crate::store::operations::historical_reads;
use crate::store::operations::historical_reads::{Owed, Told};

/// The furthest that OW fetches at once.
const FURTHEST: Duration = Duration::from_hours(366 * 24);
/// What is read before the oldest sample that OW tells of.
const BEFORE: Duration = Duration::from_hours(1);
/// Samples that are no older are read with what is new: each read begins six hours before the newest sample.
const NEW: Duration = Duration::from_hours(5);
/// How soon it is looked again where somebody else has the lock.
const AGAIN: Duration = Duration::from_secs(1);

impl Daemon {
    /// Notes the past that OW's runs have fetched, also those that were over before the daemon began.
    pub(crate) async fn note_runs(&self, runs: &[SyncRun]) {
        let past = runs.iter().filter(|run| run.is_of_the_past() && run.may_have_brought());
        let told = past.map(|run| Told {
            user: run.user_id.clone(),
            run: run.run_id.clone(),
            last_update: run.last_update.clone(),
        });
        // What cannot be noted is still in the next list.
        if let Err(error) = self.note(told.collect(), None).await {
            tracing::debug!("what OW has fetched of the past could not be noted yet: {error}");
        }
    }

    /// Notes the past that messages tell of; answers whether all of it was.
    pub(crate) async fn note_told(&self) -> bool {
        let mut failed = Vec::new();
        for (user, hint) in self.app.hints.take_told() {
            if let Err(error) = self.note_hint(&user, &hint).await {
                tracing::debug!("what a message tells of the past could not be noted yet: {error}");
                failed.push((user, hint));
            }
        }
        let is_noted = failed.is_empty();
        self.app.hints.put_back_told(failed.into_iter().collect());
        is_noted
    }

    async fn note_hint(&self, user: &str, hint: &Hint) -> Result<(), Failure> {
        let of = |run: &str| Told { user: user.to_owned(), run: run.to_owned(), last_update: String::new() };
        self.note(hint.runs.iter().map(|run| of(run)).collect(), None).await?;
        match hint.since {
            Some(since) if self.app.clock.now().since(since) > NEW => {
                self.note(vec![of("")], Some(since)).await
            }
            _ => Ok(()),
        }
    }

    /// Notes what is news of this. Where nobody says since when, OW is asked.
    async fn note(&self, told: Vec<Told>, since: Option<Timestamp>) -> Result<(), Failure> {
        if told.is_empty() {
            return Ok(());
        }
        let news = self.app.store.read(move |db| historical_reads::news(db, &told)).await?;
        for (patient, told) in news {
            let now = self.app.clock.now();
            let since = match since {
                Some(since) => since,
                None => self.fetched_from(&told).await?.unwrap_or_else(|| now.minus(FURTHEST_SWEEP)),
            };
            let range = Interval { from: reached(since, now), until: now };
            self.app.store.write(move |db| historical_reads::add(db, patient, &told, range, now)).await?;
            self.app.hints.is_owed();
        }
        Ok(())
    }

    /// From when on a run fetched, where OW says.
    async fn fetched_from(&self, told: &Told) -> Result<Option<Timestamp>, Failure> {
        let failed = |what: String| Failure::failed(what, "it is asked again");
        let client = self.ow().ok_or_else(|| failed("there is no OW".to_owned()))?;
        let asked = tokio::select! {
            () = self.cancel.cancelled() => return Err(failed("the daemon ends".to_owned())),
            asked = client.fetched_from(&told.user, &told.run) => asked,
        };
        match asked {
            Err(OwError::UnknownUser) => Ok(None),
            asked => asked.map_err(|error| failed(error.to_string())),
        }
    }

    /// Reads what is owed for as long as the daemon runs.
    pub(crate) async fn read_owed(&self) {
        while !self.cancel.is_cancelled() {
            let again = self.read_next().await.unwrap_or_else(|error| {
                tracing::warn!("what OW has fetched of the past could not be read: {error}");
                PAUSE
            });
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = self.app.hints.owed() => {}
                () = tokio::time::sleep(again) => {}
            }
        }
    }

    /// Reads the next past that is owed, unless a tick runs or waits to; answers when to look again.
    async fn read_next(&self) -> Result<Duration, StoreError> {
        let settings = self.app.store.settings().await?;
        let pause = settings.hints_interval().unwrap_or(PAUSE);
        if !settings.is_on() {
            return Ok(pause);
        }
        if self.app.ticks.running().is_some() {
            return Ok(AGAIN);
        }
        let now = self.app.clock.now();
        let Some(owed) = self.app.store.read(move |db| historical_reads::next(db, now)).await? else {
            return Ok(pause);
        };
        let Some(is_read) = self.read_past(&owed).await else { return Ok(AGAIN) };
        let now = self.app.clock.now();
        let note = move |db: &_| {
            if is_read {
                historical_reads::done(db, &owed, now)
            } else {
                historical_reads::failed(db, &owed, now)
            }
        };
        self.app.store.write(note).await?;
        Ok(Duration::ZERO)
    }

    /// Reads a range; answers whether it was read to its end, or nothing where it could not begin.
    async fn read_past(&self, owed: &Owed) -> Option<bool> {
        let Interval { from, until } = owed.range;
        let ask = Ask {
            patient: Some(PatientRef::Own(owed.patient)),
            past: Some(Past { asked: format!("owed {from} until {until}"), range: owed.range }),
            ..Ask::default()
        };
        match self.app.poller().poll(&ask, &Arc::new(Progress::default())).await {
            Ok(Outcome::Skipped(_) | Outcome::Held(_)) => None,
            Err(_) if self.cancel.is_cancelled() => None,
            Ok(Outcome::Complete(summary)) => {
                self.app.payloads.note_turns(&summary);
                let is_patient = |patient: &PatientId| *patient == owed.patient;
                let has_failed = summary.failed.iter().any(|(patient, _)| is_patient(patient));
                let is_read = !has_failed && summary.patients.iter().any(|(patient, _)| is_patient(patient));
                let created = summary.tally.created;
                tracing::info!(patient = %owed.patient, created, is_read, "OW has fetched the past since {from}");
                Some(is_read)
            }
            Err(failure) => {
                // The next tick says the same, and louder.
                tracing::info!(patient = %owed.patient, "the past could not be read yet: {}", failure.what);
                Some(false)
            }
        }
    }
}

/// From when on is read what came since then.
fn reached(since: Timestamp, now: Timestamp) -> Timestamp {
    since.minus(BEFORE).max(now.minus(FURTHEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_read_with_an_hour_to_spare_and_a_year_at_most() {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let of = |hours| now.since(reached(now.minus(Duration::from_hours(hours)), now));
        assert_eq!((of(48), of(48_000)), (Duration::from_hours(49), FURTHEST));
    }
}
