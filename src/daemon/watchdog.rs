//! systemd's watchdog: it is fed for as long as ticks come and the writer answers. If either hangs, systemd
//! kills the process and starts it again, which is safe at any instant.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::app::{readiness::OVERDUE_INTERVALS, state::App};
use crate::common::time::Timestamp;
use crate::daemon::systemd::notify;
use crate::store::operations::{patient_status, tick_lock};
use crate::store::privacy::erasure;
use crate::store::{engine::setting, error::StoreError};

/// The state of the store's writer thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriterState {
    /// It answered, if only with an error: a restart does not free a full disk, and ends the page that shows
    /// it.
    Answers,
    /// It did not answer in time.
    Silent,
    /// The thread has ended; only a restart helps.
    Gone,
}

#[derive(Debug, Clone, Copy)]
struct TickerActivity {
    /// The end of the last tick, or the last renewal of the tick lock.
    last: Timestamp,
    interval: Duration,
}

/// Feeds the watchdog while the daemon works. Returns at once if systemd does not watch the process.
pub(crate) async fn feed(app: &App, cancel: &CancellationToken) {
    let Some(timeout) = sd_notify::watchdog_enabled() else { return };
    let pause = timeout / 2;
    let mut was_well = true;
    while !cancel.is_cancelled() {
        let (ticker, writer) = inspect(app, pause / 2).await;
        let problem = find_problem(ticker, writer, app.clock.now());
        match &problem {
            None => notify(&[NotifyState::Watchdog]),
            Some(problem) if was_well => tracing::error!("systemd's watchdog is not fed any more: {problem}"),
            Some(_) => {}
        }
        was_well = problem.is_none();
        cancel.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
}

async fn inspect(app: &App, patience: Duration) -> (TickerActivity, WriterState) {
    let state = app.ticker.state();
    let check = async {
        let written = app.store.write(patient_status::check_writable).await;
        let lock = app.store.read(|db| setting::get(db, tick_lock::KEY)).await;
        (written, lock.ok().flatten())
    };
    let (writer, locked_at) = match tokio::time::timeout(patience, check).await {
        Ok((Err(StoreError::Closed), locked_at)) => (WriterState::Gone, locked_at),
        Ok((_, locked_at)) => (WriterState::Answers, locked_at),
        // It waits on purpose, until the file is rewritten after an erasure.
        Err(_) if erasure::is_vacuuming(app.store.directory()) => (WriterState::Answers, None),
        Err(_) => (WriterState::Silent, None),
    };
    let renewed = locked_at.and_then(|at| Timestamp::parse(&at).ok());
    let last = renewed.map_or(state.last_activity(), |renewed| renewed.max(state.last_activity()));
    (TickerActivity { last, interval: state.interval }, writer)
}

/// Returns the reason for a restart, if there is one.
fn find_problem(ticker: TickerActivity, writer: WriterState, now: Timestamp) -> Option<String> {
    match writer {
        WriterState::Silent => return Some("the store's writer does not answer".to_owned()),
        WriterState::Gone => return Some("the store's writer has ended".to_owned()),
        WriterState::Answers => {}
    }
    // With a short interval, a slow tick is not dead: it may take as long as its lock is valid.
    let patience = (ticker.interval * OVERDUE_INTERVALS).max(tick_lock::STALE_AFTER);
    let age = now.since(ticker.last);
    (age > patience).then(|| {
        let (last, age, patience) = (ticker.last, age.as_secs(), patience.as_secs());
        format!("nothing was heard of the ticker since {last}, for {age} s; {patience} s are allowed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_fed(interval: Duration, age: Duration, writer: WriterState) -> bool {
        let last = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        find_problem(TickerActivity { last, interval }, writer, last.plus(age)).is_none()
    }

    #[test]
    fn the_watchdog_is_fed_while_ticks_come_and_the_writer_answers() {
        let (quarter, second) = (Duration::from_mins(15), Duration::from_secs(1));
        assert!(is_fed(quarter, Duration::ZERO, WriterState::Answers));
        assert!(is_fed(quarter, Duration::from_mins(45), WriterState::Answers));
        assert!(!is_fed(quarter, Duration::from_mins(45) + second, WriterState::Answers));
        for writer in [WriterState::Silent, WriterState::Gone] {
            assert!(!is_fed(quarter, Duration::ZERO, writer), "{writer:?}");
        }
    }

    #[test]
    fn with_a_short_interval_a_slow_tick_is_not_dead() {
        let second = Duration::from_secs(1);
        assert!(is_fed(second, Duration::from_mins(30), WriterState::Answers));
        assert!(!is_fed(second, Duration::from_mins(30) + second, WriterState::Answers));
    }

    #[test]
    fn a_clock_that_steps_back_is_no_problem() {
        let last = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let ticker = TickerActivity { last, interval: Duration::from_mins(15) };
        assert_eq!(find_problem(ticker, WriterState::Answers, last.minus(Duration::from_hours(24))), None);
    }
}
