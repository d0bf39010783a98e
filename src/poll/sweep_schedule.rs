//! When the rarer reads of a patient are due. Pure.

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;

/// Once a day the last week is read again, for what a ring or watch synced late.
pub const DEEP_EVERY: Duration = Duration::from_hours(24);
/// How far the daily read reaches.
pub const DEEP: Duration = Duration::from_hours(7 * 24);
/// Once a week the last five weeks are read again.
pub const WIDE_EVERY: Duration = Duration::from_hours(7 * 24);
/// How far the weekly read reaches.
pub const WIDE: Duration = Duration::from_hours(35 * 24);
/// Once a day OW is asked whether it still knows the user.
pub const CHECK_EVERY: Duration = Duration::from_hours(24);

/// A day in UTC.
pub const DAY: Duration = Duration::from_hours(24);

/// Spreads patients over a period: consecutive numbers land far from each other (the golden ratio).
const SPREAD: f64 = 0.618_033_988_749_895;

/// Whether something that happens once per `every` is due for a patient. Each patient has a moment of its
/// own in the period, so that not everybody is due in the same tick. `last` is when it was last done, or
/// since when it could have been; where that is to come, the clock has stepped back, and nobody knows when it was done.
pub fn is_due(patient: PatientId, last: Timestamp, every: Duration, now: Timestamp) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a patient's share of the period need not be exact")]
    let share = (patient.get() as f64 * SPREAD).fract();
    let moment = every.mul_f64(share);
    turns(now.minus(moment), every) != turns(last.minus(moment), every)
}

/// How many whole periods have passed at an instant.
fn turns(at: Timestamp, every: Duration) -> i64 {
    let micros = i64::try_from(every.as_micros()).unwrap_or(i64::MAX).max(1);
    at.micros().div_euclid(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: u64) -> Timestamp {
        Timestamp::from_micros(1_700_000_000_000_000).plus(Duration::from_hours(hour))
    }

    #[test]
    fn each_patient_is_due_once_per_period() {
        for patient in (1..50).map(PatientId::new) {
            let mut last = at(0);
            let mut times = 0;
            for hour in 1..=240 {
                if is_due(patient, last, DEEP_EVERY, at(hour)) {
                    (last, times) = (at(hour), times + 1);
                }
            }
            assert!((9..=10).contains(&times), "{times} times in ten days");
        }
    }

    #[test]
    fn not_everybody_is_due_in_the_same_hour() {
        let due = |hour| {
            let ids = (1..=240).map(PatientId::new);
            ids.filter(|id| is_due(*id, at(hour - 1), DEEP_EVERY, at(hour))).count()
        };
        let busiest = (1..=24).map(due).max();
        assert!(busiest <= Some(15), "{busiest:?} of 240 in one hour");
    }

    #[test]
    fn a_clock_that_was_ahead_puts_nothing_off() {
        let patient = PatientId::new(1);
        assert!(is_due(patient, at(24 * 365), DEEP_EVERY, at(0)));
        let twice = (0..24).filter(|hour| is_due(patient, at(*hour), DEEP_EVERY, at(0))).count();
        assert!(twice < 24, "an hour's step back is no reason but where the period has changed");
    }

    #[test]
    fn what_was_missed_is_done_once_not_twice() {
        let patient = PatientId::new(1);
        assert!(is_due(patient, at(0), DEEP_EVERY, at(100)));
        assert!(!is_due(patient, at(100), DEEP_EVERY, at(100)));
    }
}
