//! systemd's watchdog: it hears from the daemon for as long as ticks come and the writer answers. A process that hangs
//! in either is ended by systemd and started anew, which is safe at any instant.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::app::readiness::OVERDUE;
use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::store::engine::setting;
use crate::store::error::StoreError;
use crate::store::operations::{patient_status, tick_lock};

/// How the writer of the store was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// It answered, be it that the disk is full: a new start would find it just as full, and end the page that says so.
    Answers,
    /// It did not answer in time.
    Silent,
    /// It has ended, and the process cannot write any more.
    Gone,
}

/// What tells that the ticker lives.
#[derive(Debug, Clone, Copy)]
struct Ticker {
    /// When a tick ended last, or renewed its lock as it made progress.
    heard: Timestamp,
    /// Time from one tick to the next.
    interval: Duration,
}

/// Tells systemd that the daemon lives, for as long as it does; at once nothing where systemd does not ask.
pub(crate) async fn feed(app: &App, cancel: &CancellationToken) {
    let Some(asked) = sd_notify::watchdog_enabled() else { return };
    let pause = asked / 2;
    let mut was_well = true;
    while !cancel.is_cancelled() {
        let (ticker, writer) = examine(app, pause / 2).await;
        let trouble = trouble(ticker, writer, app.clock.now());
        match &trouble {
            None => crate::daemon::systemd::notify(&[NotifyState::Watchdog]),
            Some(trouble) if was_well => {
                tracing::error!("systemd's watchdog is told nothing any more: {trouble}");
            }
            Some(_) => {}
        }
        was_well = trouble.is_none();
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn examine(app: &App, patience: Duration) -> (Ticker, Writer) {
    let state = app.ticks.get();
    let look = async {
        let proved = app.store.write(patient_status::prove_writable).await;
        let lock = app.store.read(|db| setting::get(db, tick_lock::KEY)).await;
        (proved, lock.ok().flatten())
    };
    let (writer, since) = match tokio::time::timeout(patience, look).await {
        Ok((Err(StoreError::Closed), since)) => (Writer::Gone, since),
        Ok((_, since)) => (Writer::Answers, since),
        Err(_) => (Writer::Silent, None),
    };
    let renewed = since.and_then(|since| Timestamp::parse(&since).ok());
    let heard = renewed.map_or(state.heard(), |renewed| renewed.max(state.heard()));
    (Ticker { heard, interval: state.interval }, writer)
}

/// Why a new start would help, where it would.
fn trouble(ticker: Ticker, writer: Writer, now: Timestamp) -> Option<String> {
    match writer {
        Writer::Silent => return Some("the store's writer does not answer".to_owned()),
        Writer::Gone => return Some("the store's writer has ended".to_owned()),
        Writer::Answers => {}
    }
    // A tick that is slow is no dead one: it has the time after which its lock counts as left behind.
    let patience = (ticker.interval * OVERDUE).max(tick_lock::STALE);
    let age = now.since(ticker.heard);
    (age > patience).then(|| {
        let (heard, age, patience) = (ticker.heard, age.as_secs(), patience.as_secs());
        format!("nothing was heard of the ticker since {heard}, for {age} s; {patience} s are allowed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(interval: Duration, age: Duration, writer: Writer) -> bool {
        let heard = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        trouble(Ticker { heard, interval }, writer, heard.plus(age)).is_none()
    }

    #[test]
    fn the_watchdog_is_fed_while_ticks_come_and_the_writer_answers() {
        let (quarter, second) = (Duration::from_mins(15), Duration::from_secs(1));
        assert!(told(quarter, Duration::ZERO, Writer::Answers));
        assert!(told(quarter, Duration::from_mins(45), Writer::Answers));
        assert!(!told(quarter, Duration::from_mins(45) + second, Writer::Answers));
        for writer in [Writer::Silent, Writer::Gone] {
            assert!(!told(quarter, Duration::ZERO, writer), "{writer:?}");
        }
    }

    #[test]
    fn a_short_interval_makes_no_slow_tick_a_dead_one() {
        let second = Duration::from_secs(1);
        assert!(told(second, Duration::from_mins(30), Writer::Answers));
        assert!(!told(second, Duration::from_mins(30) + second, Writer::Answers));
    }

    #[test]
    fn a_clock_that_steps_back_is_no_trouble() {
        let heard = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let ticker = Ticker { heard, interval: Duration::from_mins(15) };
        assert_eq!(trouble(ticker, Writer::Answers, heard.minus(Duration::from_hours(24))), None);
    }
}
