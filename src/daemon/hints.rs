//! Reads the users of hints between ticks: webhooks push hints, and OW's list of sync runs is polled for
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::hint_queue::WaitingUsers;
use crate::daemon::run::Daemon;
use crate::model::patient::PatientId;
use crate::ow::{client::Client, error::OwError, runs::SyncRun};
use crate::poll::{poller::PollRequest, progress::PollProgress, tick::PollOutcome};
use crate::store::operations::poll_plan;

/// The shortest time between two reads of a patient because of hints, where OW's list is not polled.
pub(crate) const PAUSE: Duration = Duration::from_mins(1);
/// The retry interval for users who have to wait for the lock or for their pause.
const RETRY: Duration = Duration::from_secs(1);
/// OW's list of historical runs is requested with every tenth list of all runs. On a busy day the other runs
/// push the historical ones off the list, but each request costs OW a search through its Redis.
const LISTS_PER_HISTORICAL_LIST: u32 = 10;
/// OW's name for the source of historical runs.
const HISTORICAL_SOURCE: &str = "backfill";

/// The state of polling OW's list of sync runs.
#[derive(Default)]
struct RunPolling {
    last_error: Option<OwError>,
    lists_until_historical: u32,
}

impl Daemon {
    /// Collects hints and reads their users until the daemon ends.
    pub(crate) async fn follow_hints(&self) {
        let (mut next_list, mut next_save) = (Instant::now(), Instant::now());
        let mut polling = RunPolling::default();
        while !self.cancel.is_cancelled() {
            let settings = self.app.store.settings().await.unwrap_or_default();
            let every = settings.hints_interval().filter(|_| settings.is_on());
            if let Some(every) = every.filter(|_| next_list <= Instant::now()) {
                self.poll_runs(&mut polling).await;
                next_list = Instant::now() + every;
            }
            if next_save <= Instant::now() && !self.save_historical_hints().await {
                next_save = Instant::now() + PAUSE;
            }
            if settings.is_on() {
                self.read_due(settings.hints_interval().unwrap_or(PAUSE)).await;
            }
            let has_waiting = self.app.hints.has_waiting();
            let wake = Instant::now() + if has_waiting { RETRY } else { PAUSE };
            let wake = if every.is_some() { wake.min(next_list) } else { wake };
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = self.app.hints.wait_for_hint(), if !has_waiting => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Builds a client for OW from the present configuration.
    pub(crate) fn ow(&self) -> Option<Client> {
        let config = self.app.live.config();
        let (url, key) = (config.ow_api_url.as_ref()?, config.ow_api_key.as_ref()?);
        Client::new(url, key, config.ow_timeout, self.app.ow_limits.clone(), &self.app.clock).ok()
    }

    /// Adds hints from OW's list of sync runs. An OW without this list costs nothing: the ticks read its
    /// data.
    async fn poll_runs(&self, polling: &mut RunPolling) {
        let listed = match self.list_runs(None).await {
            Some(Ok(runs)) => {
                self.app.hints.add_runs(&runs);
                self.record_runs(&runs).await;
                if polling.lists_until_historical == 0 {
                    self.list_runs(Some(HISTORICAL_SOURCE)).await
                } else {
                    Some(Ok(Vec::new()))
                }
            }
            error => error,
        };
        match listed {
            None => {}
            Some(Ok(runs)) => {
                self.record_runs(&runs).await;
                let left = polling.lists_until_historical.checked_sub(1);
                polling.lists_until_historical = left.unwrap_or(LISTS_PER_HISTORICAL_LIST - 1);
                polling.last_error = None;
            }
            Some(Err(error)) => {
                // Once per error, not each minute.
                if polling.last_error.as_ref() != Some(&error) {
                    tracing::info!(
                        "OW's sync runs cannot be listed, so data arrive with the ticks only: {error}"
                    );
                }
                polling.last_error = Some(error);
            }
        }
    }

    /// Fetches OW's list; none where OW is not configured or the daemon ends.
    async fn list_runs(&self, source: Option<&str>) -> Option<Result<Vec<SyncRun>, OwError>> {
        let client = self.ow()?;
        self.cancel.run_until_cancelled(client.list_sync_runs(source)).await
    }

    /// Reads the due users. While a tick runs or waits for the lock, they stay in the queue.
    async fn read_due(&self, pause: Duration) {
        let hints = &self.app.hints;
        if self.app.ticker.running().is_some() {
            return;
        }
        let due = hints.take_due(pause, self.app.clock.now());
        if due.is_empty() {
            return;
        }
        let users: Vec<String> = due.keys().cloned().collect();
        match self.app.store.read(move |db| poll_plan::find_by_ow_users(db, &users)).await {
            Ok(linked) if linked.is_empty() => {}
            Ok(linked) => {
                let linked = linked.into_iter().map(|(user, patient)| (patient, user)).collect();
                self.read_patients(&due, &linked).await;
            }
            Err(error) => {
                tracing::warn!("the patients of OW's hints could not be found: {error}");
                hints.put_back_failed(due.iter());
            }
        }
    }

    /// Reads the patients of the due users, and puts back those whose read failed.
    async fn read_patients(&self, due: &WaitingUsers, linked: &BTreeMap<PatientId, String>) {
        let hints = &self.app.hints;
        let request = PollRequest { hinted: linked.keys().copied().collect(), ..PollRequest::default() };
        match self.app.poller().poll(&request, &Arc::new(PollProgress::default())).await {
            Ok(PollOutcome::Skipped(_)) => {}
            Ok(PollOutcome::Held(_)) => hints.put_back(due),
            Ok(PollOutcome::Complete(summary)) => {
                self.app.bucket_status.record_turns(&summary);
                let unread = summary.failed.iter().map(|(patient, _)| patient).chain(&summary.unfinished);
                let unread = unread.filter_map(|patient| linked.get(patient));
                hints.put_back_failed(unread.filter_map(|user| due.get_key_value(user)));
                tracing::info!(
                    patients = linked.len(),
                    failed = summary.failed.len(),
                    created = summary.counts.created,
                    "read new data at once, as OW has just synced"
                );
            }
            Err(_) if self.cancel.is_cancelled() => {}
            Err(failure) => {
                hints.put_back_failed(due.iter());
                // The next tick logs the same as an error.
                tracing::info!("the patients of OW's hints could not be read: {}", failure.message);
            }
        }
    }
}
