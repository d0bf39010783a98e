//! Decides when the rarer reads of a patient are due. Pure.

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;

/// Interval of the daily sweep, which catches data that a ring or watch synced late.
pub const DEEP_EVERY: Duration = Duration::from_hours(24);
/// Range of the daily sweep.
pub const DEEP: Duration = Duration::from_hours(7 * 24);
/// Interval of the weekly sweep.
pub const WIDE_EVERY: Duration = Duration::from_hours(7 * 24);
/// Range of the weekly sweep.
pub const WIDE: Duration = Duration::from_hours(35 * 24);
/// Interval of the check that OW still knows the user.
pub const CHECK_EVERY: Duration = Duration::from_hours(24);

/// Fractional part of the golden ratio. Its multiples spread consecutive patient ids evenly over a period.
const SPREAD: f64 = 0.618_033_988_749_895;

/// Returns whether something that happens once per `every` is due for a patient. Each patient has an own
/// moment in the period, so that not all are due in the same tick. `last` is the last time, or the first
/// possible one. A `last` in the future means that the clock was set back: what belongs to another period is
/// due.
pub fn is_due(patient: PatientId, last: Timestamp, every: Duration, now: Timestamp) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a patient's share of the period need not be exact")]
    let share = (patient.get() as f64 * SPREAD).fract();
    let moment = every.mul_f64(share);
    periods(now.minus(moment), every) != periods(last.minus(moment), every)
}

/// Returns the number of whole periods that have passed at an instant.
fn periods(at: Timestamp, every: Duration) -> i64 {
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
    fn not_all_patients_are_due_in_the_same_hour() {
        let due = |hour| {
            let ids = (1..=240).map(PatientId::new);
            ids.filter(|id| is_due(*id, at(hour - 1), DEEP_EVERY, at(hour))).count()
        };
        let busiest = (1..=24).map(due).max();
        assert!(busiest <= Some(15), "{busiest:?} of 240 in one hour");
    }

    #[test]
    fn a_clock_that_was_ahead_delays_nothing() {
        let patient = PatientId::new(1);
        assert!(is_due(patient, at(24 * 365), DEEP_EVERY, at(0)));
        let twice = (0..24).filter(|hour| is_due(patient, at(*hour), DEEP_EVERY, at(0))).count();
        assert!(twice < 24, "a step back of an hour makes a patient due only in a new period");
    }

    #[test]
    fn a_missed_read_is_due_once_not_twice() {
        let patient = PatientId::new(1);
        assert!(is_due(patient, at(0), DEEP_EVERY, at(100)));
        assert!(!is_due(patient, at(100), DEEP_EVERY, at(100)));
    }
}
