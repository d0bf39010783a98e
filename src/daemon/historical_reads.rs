//! Historical ranges that OW has synced: recorded when OW reports them, and read in slices, as a backfill, to
//! their end.

use std::sync::Arc;
use std::time::Duration;

use crate::app::hint_queue::Hint;
use crate::common::{failure::Failure, time::Timestamp};
use crate::daemon::{hints::PAUSE, run::Daemon};
use crate::model::consent_intervals::Interval;
use crate::model::patient::{PatientId, PatientRef};
use crate::ow::{error::OwError, runs::SyncRun};
use crate::poll::poller::{BackfillRequest, PollRequest};
use crate::poll::{progress::PollProgress, sweep_schedule::WIDE as WIDEST_SWEEP, tick::PollOutcome};
use crate::store::error::StoreError;
use crate::store::operations::historical_reads::{self, HistoricalSync, PendingRead};
use crate::store::people::consent;

/// The longest range that OW syncs at once.
const LONGEST_RANGE: Duration = Duration::from_hours(366 * 24);
/// A read begins this much before the oldest sample that OW names.
const MARGIN: Duration = Duration::from_hours(1);
/// Younger samples need no historical read: each hot window begins six hours before the newest sample.
const COVERED_BY_HOT_WINDOW: Duration = Duration::from_hours(5);
/// The retry interval while another process holds the lock.
const RETRY: Duration = Duration::from_secs(1);

impl Daemon {
    /// Records the historical runs in OW's list, also those that ended before the daemon started.
    pub(crate) async fn record_runs(&self, runs: &[SyncRun]) {
        let historical = runs.iter().filter(|run| run.is_historical() && run.may_have_stored_data());
        let syncs = historical.map(|run| HistoricalSync {
            user: run.user_id.clone(),
            run: run.run_id.clone(),
            last_activity: run.last_update.clone(),
        });
        // After an error, the next list still has these runs.
        if let Err(error) = self.record_syncs(syncs.collect(), None).await {
            tracing::debug!("historical data at OW could not be recorded yet: {error}");
        }
    }

    /// Saves the webhooks' hints about historical data. Returns false if some have to be saved again later.
    pub(crate) async fn save_historical_hints(&self) -> bool {
        let mut failed = Vec::new();
        for (user, hint) in self.app.hints.take_historical() {
            if let Err(error) = self.record_hint(&user, &hint).await {
                tracing::debug!("a webhook about historical data could not be recorded yet: {error}");
                failed.push((user, hint));
            }
        }
        let is_saved = failed.is_empty();
        self.app.hints.put_back_historical(failed.into_iter().collect());
        is_saved
    }

    async fn record_hint(&self, user: &str, hint: &Hint) -> Result<(), Failure> {
        let sync = |run: &str| HistoricalSync {
            user: user.to_owned(),
            run: run.to_owned(),
            last_activity: String::new(),
        };
        self.record_syncs(hint.runs.iter().map(|run| sync(run)).collect(), None).await?;
        match hint.since {
            Some(since) if self.app.clock.now().since(since) > COVERED_BY_HOT_WINDOW => {
                self.record_syncs(vec![sync("")], Some(since)).await
            }
            _ => Ok(()),
        }
    }

    /// Schedules a read for each sync that is not recorded yet. Without `since`, OW is asked how far it
    /// reached back.
    async fn record_syncs(
        &self,
        syncs: Vec<HistoricalSync>,
        since: Option<Timestamp>,
    ) -> Result<(), Failure> {
        if syncs.is_empty() {
            return Ok(());
        }
        let now = self.app.clock.now();
        let list = move |db: &_| historical_reads::list_unrecorded(db, &syncs, now);
        let unrecorded = self.app.store.read(list).await?;
        for (patient, sync) in unrecorded {
            let now = self.app.clock.now();
            let since = match since {
                Some(since) => since,
                None => self.find_sync_start(&sync).await?.unwrap_or_else(|| now.minus(WIDEST_SWEEP)),
            };
            let schedule = move |db: &_| {
                // OW fetches up to 90 days of a new connection by itself; the patient agreed to less.
                let first = consent::find_first_read(db, patient)?;
                let from = first.map_or(read_from(since, now), |first| first.max(read_from(since, now)));
                historical_reads::schedule(db, patient, &sync, Interval { from, until: now }, now)
            };
            self.app.store.write(schedule).await?;
            self.app.hints.notify_historical_read();
        }
        Ok(())
    }

    /// Asks OW how far back a sync reached; none where OW does not know.
    async fn find_sync_start(&self, sync: &HistoricalSync) -> Result<Option<Timestamp>, Failure> {
        let failed = |message: String| Failure::failed(message, "it is tried again");
        let client = self.ow().ok_or_else(|| failed("OW is not configured".to_owned()))?;
        let start = self.cancel.run_until_cancelled(client.find_sync_start(&sync.user, &sync.run)).await;
        match start.ok_or_else(|| failed("the daemon stops".to_owned()))? {
            Err(OwError::UnknownUser) => Ok(None),
            start => start.map_err(|error| failed(error.to_string())),
        }
    }

    /// Reads the scheduled historical ranges until the daemon ends.
    pub(crate) async fn read_historical_data(&self) {
        while !self.cancel.is_cancelled() {
            let pause = self.read_next_range().await.unwrap_or_else(|error| {
                tracing::warn!("historical data could not be read from OW: {error}");
                PAUSE
            });
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = self.app.hints.wait_for_historical_read() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads the next due range, unless a tick runs or waits for the lock. Returns the time to the next
    /// attempt.
    async fn read_next_range(&self) -> Result<Duration, StoreError> {
        let settings = self.app.store.settings().await?;
        let pause = settings.hints_interval().unwrap_or(PAUSE);
        if !settings.is_on() {
            return Ok(pause);
        }
        if self.app.ticker.running().is_some() {
            return Ok(RETRY);
        }
        let now = self.app.clock.now();
        let Some(read) = self.app.store.read(move |db| historical_reads::find_due(db, now)).await? else {
            return Ok(pause);
        };
        let Some(is_complete) = self.read_range(&read).await else { return Ok(RETRY) };
        let now = self.app.clock.now();
        let write = move |db: &_| {
            if is_complete {
                historical_reads::complete(db, &read, now)
            } else {
                historical_reads::reschedule(db, &read, now)
            }
        };
        self.app.store.write(write).await?;
        Ok(Duration::ZERO)
    }

    /// Reads a range. Returns whether it was read to its end, or none if the read could not begin.
    async fn read_range(&self, read: &PendingRead) -> Option<bool> {
        let Interval { from, until } = read.range;
        // The name lets a read that was cut off resume.
        let name = format!("historical {from} until {until}");
        let request = PollRequest {
            patient: Some(PatientRef::Own(read.patient)),
            backfill: Some(BackfillRequest { name, range: read.range }),
            ..PollRequest::default()
        };
        match self.app.poller().poll(&request, &Arc::new(PollProgress::default())).await {
            Ok(PollOutcome::Skipped(_) | PollOutcome::Held(_)) => None,
            Err(_) if self.cancel.is_cancelled() => None,
            Ok(PollOutcome::Complete(summary)) => {
                self.app.bucket_status.record_turns(&summary);
                let is_patient = |patient: &PatientId| *patient == read.patient;
                let has_failed = summary.failed.iter().any(|(patient, _)| is_patient(patient));
                let is_complete =
                    !has_failed && summary.patients.iter().any(|(patient, _)| is_patient(patient));
                let created = summary.counts.created;
                let patient = read.patient;
                tracing::info!(%patient, created, is_complete, "read historical data since {from}");
                Some(is_complete)
            }
            Err(failure) => {
                // The next tick logs the same as an error.
                let reason = failure.message;
                tracing::info!(patient = %read.patient, "historical data could not be read yet: {reason}");
                Some(false)
            }
        }
    }
}

/// Returns the start of the read for samples that begin at `since`.
fn read_from(since: Timestamp, now: Timestamp) -> Timestamp {
    since.minus(MARGIN).max(now.minus(LONGEST_RANGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_begins_an_hour_early_and_a_year_ago_at_most() {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let length = |hours| now.since(read_from(now.minus(Duration::from_hours(hours)), now));
        assert_eq!((length(48), length(48_000)), (Duration::from_hours(49), LONGEST_RANGE));
    }
}
