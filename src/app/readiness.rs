//! Readiness: the problems that keep the daemon from working, and the rule for an overdue tick.

use std::time::Duration;

use crate::app::state::App;
use crate::store::operations::tick_lock::{self, LockStatus};
use crate::store::privacy::erasure;

/// The next tick is overdue if the last one ended more than this many intervals ago.
pub(crate) const OVERDUE_INTERVALS: u32 = 3;

pub(crate) fn is_overdue(age: Duration, interval: Duration) -> bool {
    age > interval * OVERDUE_INTERVALS
}

#[derive(Debug, Default)]
pub(crate) struct Readiness {
    /// Reasons that the daemon is not ready; empty if it is.
    pub(crate) reasons: Vec<String>,
    /// Writes and the tick wait until the file is rewritten after an erasure, and go on then.
    pub(crate) waits_for_vacuum: bool,
}

/// Checks whether the daemon can work, without a write or a remote call: anybody may ask. The schema needs no check:
/// the daemon migrates it before it starts.
pub(crate) async fn check(app: &App) -> Readiness {
    let mut readiness = Readiness::default();
    let reasons = &mut readiness.reasons;
    if erasure::is_vacuuming(app.store.directory()) {
        readiness.waits_for_vacuum = true;
    } else if let Some(error) = app.store_probe.error() {
        reasons.push(format!("the database cannot be written: {error}"));
    }
    if let Some(refusal) = app.ow_status.refusal() {
        reasons.push(format!("OW refuses the key: {refusal}"));
    }
    let ticker = app.ticker.state();
    if ticker.failed {
        reasons.push(format!("the last tick could not run: {}", ticker.outcome.unwrap_or_default()));
    }
    let age = app.clock.now().since(ticker.last);
    if is_overdue(age, ticker.interval) && !readiness.waits_for_vacuum && !is_tick_in_progress(app).await {
        reasons.push(format!(
            "the last tick ended {} s ago, at {}; one is due every {} s",
            age.as_secs(),
            ticker.last,
            ticker.interval.as_secs()
        ));
    }
    readiness
}

/// Returns true if a tick of any process holds the lock and has renewed it within [`tick_lock::STALE_AFTER`].
/// A first tick may take hours, and so may a tick from the command line.
pub(crate) async fn is_tick_in_progress(app: &App) -> bool {
    let (directory, now) = (app.store.directory().to_owned(), app.clock.now());
    match app.store.read(move |db| tick_lock::inspect(db, &directory, now)).await {
        // A backfill may hold the lock while the daemon's tick waits for it.
        Ok(LockStatus::Held { by_tick, .. }) => by_tick || app.ticker.running().is_some(),
        _ => false,
    }
}
