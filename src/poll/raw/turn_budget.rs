//! How much one patient's turn may take in raw mode, before it is the others' turn. Pure.

use std::time::Duration;

use crate::common::time::Timestamp;

/// Objects of one turn: Oura's dozen endpoints, stored at each quarter of an hour, are 1,152 a day, so that the ticks of
/// every day never come to it. Also how many of a day are held in memory to be put in order: less than 2 MiB.
const OBJECTS: usize = 5000;
/// Time of one turn, where the bucket is slow: a hundred patients, four at a time, then keep a tick less than an hour.
const TIME: Duration = Duration::from_mins(2);

/// What is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Objects that may still be read.
    pub(crate) left: usize,
    until: Timestamp,
    has_read: bool,
}

impl Budget {
    /// For a turn that begins now.
    pub(crate) fn begin(now: Timestamp) -> Self {
        Self { left: OBJECTS, until: now.plus(TIME), has_read: false }
    }

    /// For a read that nobody waits for.
    pub(crate) fn unlimited() -> Self {
        Self { left: usize::MAX, until: Timestamp::MAX, has_read: false }
    }

    /// Takes one object out of it; answers whether there was one. However long the listing took, one is read: each
    /// turn comes further than the one before.
    pub(crate) fn spend(&mut self, now: Timestamp) -> bool {
        if self.left == 0 || (self.has_read && now >= self.until) {
            return false;
        }
        (self.left, self.has_read) = (self.left - 1, true);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_micros(second * 1_000_000)
    }

    #[test]
    fn a_turn_ends_after_its_objects() {
        let mut budget = Budget::begin(at(0));
        assert_eq!((0..10_000).filter(|_| budget.spend(at(1))).count(), OBJECTS);
    }

    #[test]
    fn a_turn_ends_after_its_time_and_comes_one_object_further_in_any_case() {
        let mut budget = Budget::begin(at(0));
        assert!(budget.spend(at(500)) && !budget.spend(at(500)));
        let mut budget = Budget::begin(at(0));
        assert!(budget.spend(at(1)) && budget.spend(at(119)) && !budget.spend(at(120)));
    }
}
