//! When a failed call is made again: exponential back-off with jitter, and `Retry-After`.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::common::clock::Clock;
use crate::common::time::Timestamp;

/// Tries of a call within one tick: the next tick comes within minutes.
const TRIES: u32 = 3;
/// No try begins later than this after the first one: one patient must not hold up the tick.
const BUDGET: Duration = Duration::from_secs(15);
/// Pauses within a tick: a server that restarts is back within seconds.
const WITHIN_TICK: Backoff = Backoff { first: Duration::from_millis(500), longest: BUDGET };
/// The longest wait that a server may ask for: a mistaken number must not put a call off for ever.
const LONGEST_WAIT: Duration = Duration::from_hours(24);
/// The part of a pause that jitter may take off. It never adds: a due time beyond `longest` counts as a clock error.
const JITTER: f64 = 0.25;

/// Pauses that double with each failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// The pause after the first failure.
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// Returns the pause after a failure that `earlier` failures came before. `jitter`, from 0 to 1, shortens it.
    pub(crate) fn pause(self, earlier: u32, jitter: f64) -> Duration {
        let pause = self.first.saturating_mul(2_u32.saturating_pow(earlier)).min(self.longest);
        pause.mul_f64(1.0 - JITTER * jitter)
    }
}

/// Returns a random number from 0 to 1: calls that failed together should not come back together.
pub(crate) fn jitter() -> f64 {
    let mut byte = [0];
    // Without randomness there is no jitter, which is no reason to fail.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

/// The value of a `Retry-After` header, in either of its forms (RFC 9110, 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// A number of seconds.
    Wait(Duration),
    /// An HTTP date.
    At(Timestamp),
}

impl RetryAfter {
    /// Reads the header; an unreadable value counts as none.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        let seconds = text.parse().map(|seconds| Self::Wait(Duration::from_secs(seconds)));
        seconds.ok().or_else(|| Timestamp::parse_http(text).map(Self::At))
    }

    /// Returns how long to wait from `now` on, at most a day. A date in the past means now.
    pub(crate) fn wait(self, now: Timestamp) -> Duration {
        let wait = match self {
            Self::Wait(wait) => wait,
            Self::At(at) => at.since(now),
        };
        wait.min(LONGEST_WAIT)
    }
}

/// A try that failed.
#[derive(Debug)]
pub(crate) struct Failed<E> {
    pub(crate) error: E,
    /// Whether another try may go well.
    pub(crate) may_pass: bool,
    pub(crate) retry_after: Option<RetryAfter>,
}

/// Makes a call, and again where that may help within this tick.
pub(crate) async fn within_tick<T, E: Debug, F>(clock: &Clock, mut call: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, Failed<E>>>,
{
    let began = Instant::now();
    let mut earlier = 0;
    loop {
        let failed = match call().await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        let asked = failed.retry_after.map_or(Duration::ZERO, |after| after.wait(clock.now()));
        let pause = next_pause(earlier, began.elapsed(), asked, jitter());
        let Some(pause) = pause.filter(|_| failed.may_pass) else { return Err(failed.error) };
        tracing::debug!(?pause, "a call failed and is made again: {:?}", failed.error);
        tokio::time::sleep(pause).await;
        earlier += 1;
    }
}

/// Returns the pause before the next try, or none where that is left to the next tick.
fn next_pause(earlier: u32, elapsed: Duration, asked: Duration, jitter: f64) -> Option<Duration> {
    let pause = WITHIN_TICK.pause(earlier, jitter).max(asked);
    (earlier + 1 < TRIES && elapsed.saturating_add(pause) <= BUDGET).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_jitter_only_shortens_them() {
        let backoff = Backoff { first: 60 * SECOND, longest: 3600 * SECOND };
        let minutes = [0, 1, 2, 5, 6, 40].map(|earlier| backoff.pause(earlier, 0.0).as_secs() / 60);
        assert_eq!(minutes, [1, 2, 4, 32, 60, 60]);
        assert_eq!(backoff.pause(0, 1.0), 45 * SECOND);
    }

    #[test]
    fn a_tick_tries_three_times_within_its_budget() {
        let pause = |earlier, elapsed, asked| next_pause(earlier, elapsed * SECOND, asked * SECOND, 0.0);
        assert_eq!((pause(0, 0, 0), pause(1, 1, 0)), (Some(SECOND / 2), Some(SECOND)));
        assert_eq!((pause(2, 2, 0), pause(0, 15, 0)), (None, None));
        assert_eq!((pause(0, 0, 5), pause(0, 0, 60)), (Some(5 * SECOND), None));
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let wait = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            RetryAfter::of(&headers).map(|after| after.wait(now))
        };
        assert_eq!(wait(" 90 "), Some(90 * SECOND));
        assert_eq!(wait("Sat, 21 Nov 2026 14:00:00 GMT"), Some(7200 * SECOND));
        assert_eq!(wait("Saturday, 21-Nov-26 14:00:00 GMT"), Some(7200 * SECOND));
        assert_eq!(
            wait("Sat, 21 Nov 2026 11:59:00 GMT"),
            Some(Duration::ZERO),
            "a date in the past means now"
        );
        for bad in ["soon", "-1", "1.5", "", "2026-11-21T14:00:00Z"] {
            assert_eq!(wait(bad), None, "{bad}");
        }
        let day = Some(LONGEST_WAIT);
        assert_eq!((wait("18446744073709551615"), wait("Fri, 31 Dec 9999 23:59:59 GMT")), (day, day));
        assert_eq!(RetryAfter::of(&HeaderMap::new()), None);
    }
}
