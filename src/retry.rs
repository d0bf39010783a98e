//! When a call is tried again: few times and soon, or not before the next tick.

use std::time::Duration;

/// How often a call is made at most within a tick.
pub(crate) const TRIES: u32 = 3;
/// No try begins later than this after the first one: a tick must not stand still behind one patient.
pub(crate) const BUDGET: Duration = Duration::from_secs(15);
/// Pause before the second try; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// What one try of a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// The try that failed, from 1.
    pub(crate) attempt: u32,
    /// Time since the first try began.
    pub(crate) elapsed: Duration,
    /// What the server asked for with `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

/// How long to wait before the next try; none where there is to be no next try within this tick. `jitter`
/// is a random number from 0 to 1: clients that failed together should not come back together.
pub(crate) fn pause(failed: &Failed, jitter: f64) -> Option<Duration> {
    if failed.attempt >= TRIES {
        return None;
    }
    let backoff = FIRST_PAUSE * 2_u32.pow(failed.attempt - 1);
    let pause = backoff.mul_f64(0.75 + jitter / 2.0).max(failed.retry_after.unwrap_or_default());
    (failed.elapsed.saturating_add(pause) <= BUDGET).then_some(pause)
}

/// A random number from 0 to 1.
pub(crate) fn random_fraction() -> f64 {
    let mut byte = [0];
    // Without randomness there is no jitter, which is no reason to fail.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

/// Seconds of a `Retry-After` header. Its other form, a date, is taken as "not within this tick".
pub(crate) fn retry_after(header: &str) -> Duration {
    header.trim().parse().map_or(Duration::MAX / 2, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(attempt: u32, elapsed: u64, retry_after: Option<u64>) -> Failed {
        let retry_after = retry_after.map(Duration::from_secs);
        Failed { attempt, elapsed: Duration::from_secs(elapsed), retry_after }
    }

    #[test]
    fn tries_are_few_and_spread() {
        assert_eq!(pause(&failed(1, 0, None), 0.5), Some(Duration::from_millis(500)));
        assert_eq!(pause(&failed(2, 1, None), 0.5), Some(Duration::from_secs(1)));
        assert_eq!(pause(&failed(3, 2, None), 0.5), None);
        assert!(pause(&failed(1, 0, None), 0.0) < pause(&failed(1, 0, None), 1.0));
    }

    #[test]
    fn a_wait_that_does_not_fit_into_the_tick_is_left_to_the_next() {
        assert_eq!(pause(&failed(1, 0, Some(5)), 0.5), Some(Duration::from_secs(5)));
        assert_eq!(pause(&failed(1, 0, Some(60)), 0.5), None);
        assert_eq!(pause(&failed(1, 30, None), 0.5), None);
    }

    #[test]
    fn a_date_in_retry_after_means_later_than_this_tick() {
        assert_eq!(retry_after(" 7 "), Duration::from_secs(7));
        let date = retry_after("Wed, 21 Oct 2026 07:28:00 GMT");
        assert_eq!(pause(&Failed { retry_after: Some(date), ..failed(1, 0, None) }, 0.5), None);
        let ages = retry_after(&u64::MAX.to_string());
        assert_eq!(pause(&Failed { retry_after: Some(ages), ..failed(1, 3, None) }, 0.5), None);
    }
}
