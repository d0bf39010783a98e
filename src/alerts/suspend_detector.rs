//! Detects that the machine was suspended. After a suspend or a start the store is out of date, so alerts
//! wait until a tick has run.

use std::time::{Duration, Instant};

use crate::common::time::Timestamp;

/// Minimum length of a suspend. Shorter gaps may be corrections of the clock, and hardly any data are missing
/// after one.
const MIN_SUSPEND: Duration = Duration::from_mins(10);

#[derive(Debug, Clone, Copy)]
pub(crate) struct SuspendDetector {
    awake_since: Timestamp,
    /// The last observation, by the wall clock and by a clock that stops while the machine is suspended.
    last: (Timestamp, Instant),
}

impl SuspendDetector {
    pub(crate) fn new(now: Timestamp, monotonic: Instant) -> Self {
        Self { awake_since: now, last: (now, monotonic) }
    }

    /// Compares both clocks with the last observation; returns since when the machine has run without a
    /// suspend.
    pub(crate) fn observe(&mut self, now: Timestamp, monotonic: Instant) -> Timestamp {
        let (last_now, last_monotonic) = self.last;
        if now.since(last_now) > monotonic.saturating_duration_since(last_monotonic) + MIN_SUSPEND {
            self.awake_since = now;
        }
        // A clock that ran ahead at the start would otherwise hold alerts back for as long as it ran ahead.
        self.awake_since = self.awake_since.min(now);
        self.last = (now, monotonic);
        self.awake_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_between_two_observations_is_a_suspend() {
        let start = Timestamp::parse("2026-11-26T12:00:00Z").unwrap();
        let (monotonic, minutes) = (Instant::now(), |count| Duration::from_mins(count));
        let mut detector = SuspendDetector::new(start, monotonic);
        assert_eq!(detector.observe(start.plus(minutes(30)), monotonic + minutes(30)), start);
        let corrected = detector.observe(start.plus(minutes(39)), monotonic + minutes(31));
        assert_eq!(corrected, start, "a clock that is set by some minutes is no suspend");
        let woken = start.plus(minutes(300));
        assert_eq!(detector.observe(woken, monotonic + minutes(32)), woken);
        assert_eq!(detector.observe(woken.plus(minutes(1)), monotonic + minutes(33)), woken);
        let back = start.plus(minutes(10));
        assert_eq!(detector.observe(back, monotonic + minutes(34)), back, "the clock ran ahead");
    }
}
