//! Limits one patient's turn in raw mode, so that the others get theirs. Pure.

use std::time::Duration;

use crate::common::time::Timestamp;

/// Objects per turn. Oura's dozen endpoints, stored every quarter of an hour, are 1,152 a day, so normal
/// ticks never reach it. It also limits the memory for sorting the objects of a day to 2 MiB.
const OBJECTS: usize = 5000;
/// Time per turn with a slow bucket: with a hundred patients, four at a time, a tick takes less than an hour.
const TIME: Duration = Duration::from_mins(2);

/// The rest of a turn's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TurnBudget {
    /// Objects that may still be read.
    pub(crate) left: usize,
    until: Timestamp,
    has_read: bool,
}

impl TurnBudget {
    pub(crate) fn begin(now: Timestamp) -> Self {
        Self { left: OBJECTS, until: now.plus(TIME), has_read: false }
    }

    pub(crate) fn unlimited() -> Self {
        Self { left: usize::MAX, until: Timestamp::MAX, has_read: false }
    }

    /// Takes one object from the budget; returns false if it is spent.
    pub(crate) fn spend(&mut self, now: Timestamp) -> bool {
        // However long the listing took, one object is read: so each turn makes progress.
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
        let mut budget = TurnBudget::begin(at(0));
        assert_eq!((0..10_000).filter(|_| budget.spend(at(1))).count(), OBJECTS);
    }

    #[test]
    fn a_turn_ends_after_its_time_and_comes_one_object_further_in_any_case() {
        let mut budget = TurnBudget::begin(at(0));
        assert!(budget.spend(at(500)) && !budget.spend(at(500)));
        let mut budget = TurnBudget::begin(at(0));
        assert!(budget.spend(at(1)) && budget.spend(at(119)) && !budget.spend(at(120)));
    }
}
