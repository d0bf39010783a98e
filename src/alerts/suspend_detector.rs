//! Whether what the store says is news by now. A machine that slept, or a daemon that was stopped, has read nothing for a
//! while, and is about to: what it finds missing then is told only after it has looked.

use std::time::{Duration, Instant};

use crate::common::time::Timestamp;

/// Clocks are set by some minutes; a machine that slept for less than this has missed nothing that is told.
const SLEPT: Duration = Duration::from_mins(10);

/// Since when the process has run without a gap.
#[derive(Debug, Clone, Copy)]
pub struct Awake {
    since: Timestamp,
    /// The last look, by a clock that tells the time and by one that stands still while the machine sleeps.
    looked: (Timestamp, Instant),
}

impl Awake {
    /// Awake since now.
    pub fn new(now: Timestamp, ticking: Instant) -> Self {
        Self { since: now, looked: (now, ticking) }
    }

    /// Looks at both clocks, and answers since when the process has run without a gap.
    pub fn look(&mut self, now: Timestamp, ticking: Instant) -> Timestamp {
        let (before, ticked) = self.looked;
        if now.since(before) > ticking.saturating_duration_since(ticked) + SLEPT {
            self.since = now;
        }
        // A clock that was ahead when the process began would keep it waiting for that time.
        self.since = self.since.min(now);
        self.looked = (now, ticking);
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_between_two_looks_is_a_sleep() {
        let start = Timestamp::parse("2026-11-26T12:00:00Z").unwrap();
        let (ticking, minutes) = (Instant::now(), |count| Duration::from_mins(count));
        let mut awake = Awake::new(start, ticking);
        assert_eq!(awake.look(start.plus(minutes(30)), ticking + minutes(30)), start);
        assert_eq!(awake.look(start.plus(minutes(39)), ticking + minutes(31)), start, "set by some minutes");
        let woken = start.plus(minutes(300));
        assert_eq!(awake.look(woken, ticking + minutes(32)), woken);
        assert_eq!(awake.look(woken.plus(minutes(1)), ticking + minutes(33)), woken);
        let back = start.plus(minutes(10));
        assert_eq!(awake.look(back, ticking + minutes(34)), back, "the clock was ahead");
    }
}
