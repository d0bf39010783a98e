//! The state of the daemon's ticker, export and backups, shared by its loops and the pages.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::common::time::Timestamp;
use crate::export::exporter::ExportReport;
use crate::poll::progress::PollProgress;

/// The daemon's own backups.
#[derive(Debug, Clone, Default)]
pub struct BackupStatus(Arc<Mutex<BackupState>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackupState {
    /// The start of the newest backup, if there is one.
    pub newest: Option<Timestamp>,
    /// The error of the last attempt, if it failed.
    pub error: Option<String>,
}

impl BackupStatus {
    pub(crate) fn record(&self, state: BackupState) {
        *self.0.lock() = state;
    }

    pub fn state(&self) -> BackupState {
        self.0.lock().clone()
    }
}

/// The last check of OW's key.
#[derive(Debug, Clone, Default)]
pub struct OwStatus {
    refusal: Arc<Mutex<Option<String>>>,
    changed: Arc<Notify>,
}

impl OwStatus {
    /// Records why OW refuses the key, or that it accepts it. Returns true if that is new.
    pub(crate) fn record(&self, refusal: Option<String>) -> bool {
        let mut known = self.refusal.lock();
        let is_new = *known != refusal;
        *known = refusal;
        is_new
    }

    /// Returns why OW refuses the key.
    pub fn refusal(&self) -> Option<String> {
        self.refusal.lock().clone()
    }

    /// Asks for a check now: the configuration has changed.
    pub(crate) fn request_check(&self) {
        self.changed.notify_one();
    }

    pub(crate) async fn wait_for_request(&self) {
        self.changed.notified().await;
    }
}

/// The last export to JHE, and the gaps in JHE's setup.
#[derive(Debug, Clone, Default)]
pub struct ExportStatus {
    last: Arc<Mutex<Option<LastExport>>>,
    /// Gaps in JHE's setup, each with its remedy.
    missing: Arc<Mutex<Vec<String>>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastExport {
    pub ended: Timestamp,
    /// The error that stopped it early, if any.
    pub error: Option<String>,
}

impl ExportStatus {
    pub(crate) fn record(&self, report: &ExportReport, now: Timestamp) {
        let error = report.stopped.as_ref().map(ToString::to_string);
        *self.last.lock() = Some(LastExport { ended: now, error });
    }

    /// Returns the last export; none before the first has ended.
    pub fn last(&self) -> Option<LastExport> {
        self.last.lock().clone()
    }

    /// Replaces the gaps in JHE's setup, and returns the new ones.
    pub(crate) fn replace_missing(&self, missing: &[String]) -> Vec<String> {
        let mut known = self.missing.lock();
        let new = missing.iter().filter(|one| !known.contains(one)).cloned().collect();
        *known = missing.to_vec();
        new
    }

    pub fn missing(&self) -> Vec<String> {
        self.missing.lock().clone()
    }
}

/// The ticker's last tick and its running tick.
#[derive(Debug, Clone)]
pub struct TickerStatus {
    state: Arc<Mutex<TickerState>>,
    /// The progress and the start of the running tick. After its end, the progress is gone and the start
    /// stays.
    running: Arc<Mutex<(Weak<PollProgress>, Option<Timestamp>)>>,
    ended: Arc<Notify>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickerState {
    /// The end of the last tick; the start of the daemon before the first.
    pub last: Timestamp,
    pub outcome: Option<String>,
    /// The start of that tick.
    pub began: Option<Timestamp>,
    /// The time and reason of the last tick that was skipped after `last`.
    pub skipped: Option<(Timestamp, String)>,
    /// True if the tick could not run at all. Errors of single patients do not count.
    pub failed: bool,
    /// The time from one tick to the next.
    pub interval: Duration,
}

impl TickerState {
    /// Returns the time at which the last tick ended or was skipped.
    pub fn last_activity(&self) -> Timestamp {
        self.skipped.as_ref().map_or(self.last, |(at, _)| self.last.max(*at))
    }
}

impl TickerStatus {
    pub fn new(now: Timestamp, interval: Duration) -> Self {
        let state =
            TickerState { last: now, outcome: None, began: None, skipped: None, failed: false, interval };
        Self { state: Arc::new(Mutex::new(state)), running: Arc::default(), ended: Arc::default() }
    }

    /// Records the start of a tick. The tick counts as running until its `progress` is dropped.
    pub(crate) fn begin(&self, progress: &Arc<PollProgress>, now: Timestamp) {
        *self.running.lock() = (Arc::downgrade(progress), Some(now));
    }

    /// Returns the progress of the running tick.
    pub fn running(&self) -> Option<Arc<PollProgress>> {
        self.running.lock().0.upgrade()
    }

    /// Records the end of a tick. `Err` holds the reason why it could not run.
    pub(crate) fn end(&self, now: Timestamp, outcome: Result<String, String>, interval: Duration) {
        let failed = outcome.is_err();
        let outcome = outcome.unwrap_or_else(|why| why);
        let began = self.running.lock().1;
        *self.state.lock() =
            TickerState { last: now, outcome: Some(outcome), began, skipped: None, failed, interval };
        self.ended.notify_waiters();
    }

    /// Records a tick that was skipped because another process holds the lock.
    pub(crate) fn skip(&self, now: Timestamp, why: String, interval: Duration) {
        let mut state = self.state.lock();
        (state.skipped, state.interval) = (Some((now, why)), interval);
        drop(state);
        self.ended.notify_waiters();
    }

    /// Waits until the next tick ends or is skipped.
    pub async fn wait_for_end(&self) {
        self.ended.notified().await;
    }

    pub fn state(&self) -> TickerState {
        self.state.lock().clone()
    }
}
