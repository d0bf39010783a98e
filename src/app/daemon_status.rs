use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::common::time::Timestamp;
use crate::export::exporter::Report;
use crate::poll::progress::Progress;

/// How the export is doing, shared between it and the pages.
#[derive(Debug, Clone, Default)]
pub struct Exports(Arc<Mutex<Exported>>);

#[derive(Debug, Default)]
pub(crate) struct Exported {
    last: Option<ExportState>,
    missing: Vec<String>,
}

/// The last export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportState {
    /// When it ended.
    pub ended: Timestamp,
    /// What stopped it early, if anything did.
    pub trouble: Option<String>,
}

impl Exports {
    /// Notes that a drain ended.
    pub fn note(&self, report: &Report, now: Timestamp) {
        let trouble = report.stopped.as_ref().map(ToString::to_string);
        self.0.lock().last = Some(ExportState { ended: now, trouble });
    }

    /// The last one; none where none has ended.
    pub fn last(&self) -> Option<ExportState> {
        self.0.lock().last.clone()
    }

    /// Notes what JHE was found to lack; answers with what of it is news.
    pub fn note_missing(&self, missing: &[String]) -> Vec<String> {
        let mut state = self.0.lock();
        let news = missing.iter().filter(|one| !state.missing.contains(one)).cloned().collect();
        state.missing = missing.to_vec();
        news
    }

    /// What JHE was found to lack, each with its remedy.
    pub fn missing(&self) -> Vec<String> {
        self.0.lock().missing.clone()
    }
}

/// How the ticker is doing, shared between it and the pages.
#[derive(Debug, Clone)]
pub struct Ticks {
    state: Arc<Mutex<TickState>>,
    /// How far the tick is that runs, or was, and when it began.
    running: Arc<Mutex<(Weak<Progress>, Option<Timestamp>)>>,
    ended: Arc<Notify>,
}

/// The ticker at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickState {
    /// When the last tick ended, or when the daemon started where none has.
    pub last: Timestamp,
    /// How the last tick ended.
    pub outcome: Option<String>,
    /// When that one began.
    pub began: Option<Timestamp>,
    /// When a tick last stepped aside since then, and why.
    pub skipped: Option<(Timestamp, String)>,
    /// Whether it could not do its work at all; that of single patients is no matter here.
    pub failed: bool,
    /// Time from one tick to the next.
    pub interval: Duration,
}

impl TickState {
    /// When anything was last heard of the ticker.
    pub fn heard(&self) -> Timestamp {
        self.skipped.as_ref().map_or(self.last, |(at, _)| self.last.max(*at))
    }
}

impl Ticks {
    /// A ticker that starts at `now`.
    pub fn new(now: Timestamp, interval: Duration) -> Self {
        let state =
            TickState { last: now, outcome: None, began: None, skipped: None, failed: false, interval };
        Self { state: Arc::new(Mutex::new(state)), running: Arc::default(), ended: Arc::default() }
    }

    /// Notes that a tick begins at `now`, for as long as somebody holds its progress.
    pub fn begin(&self, progress: &Arc<Progress>, now: Timestamp) {
        let running = (Arc::downgrade(progress), Some(now));
        *self.running.lock() = running;
    }

    /// How far the tick is that runs; none where none does.
    pub fn running(&self) -> Option<Arc<Progress>> {
        self.running.lock().0.upgrade()
    }

    /// Notes that a tick ended: with a sentence, or with why it could not run.
    pub fn note(&self, now: Timestamp, outcome: Result<String, String>, interval: Duration) {
        let failed = outcome.is_err();
        let outcome = outcome.unwrap_or_else(|why| why);
        let began = self.running.lock().1;
        let state = TickState { last: now, outcome: Some(outcome), began, skipped: None, failed, interval };
        *self.state.lock() = state;
        self.ended.notify_waiters();
    }

    /// Notes that a tick stepped aside: nothing was read, so that none has ended.
    pub fn note_skipped(&self, now: Timestamp, why: String, interval: Duration) {
        let mut state = self.state.lock();
        (state.skipped, state.interval) = (Some((now, why)), interval);
        drop(state);
        self.ended.notify_waiters();
    }

    /// Waits for the end of the next tick, however it ends.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// The ticker at this moment.
    pub fn get(&self) -> TickState {
        self.state.lock().clone()
    }
}
