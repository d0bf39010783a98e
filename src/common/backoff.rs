//! Retries: exponential back-off with jitter, and the `Retry-After` header.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::common::{clock::Clock, time::Timestamp};

/// Attempts per call within one tick: the next tick comes within minutes.
const ATTEMPTS: u32 = 3;
/// The longest time from the first attempt to the start of the last one: one patient must not hold up the
/// tick.
const BUDGET: Duration = Duration::from_secs(15);
/// Pauses within a tick: a server that restarts needs seconds.
const WITHIN_TICK: Backoff = Backoff { first: Duration::from_millis(500), longest: BUDGET };
/// The longest accepted `Retry-After`: a mistaken number must not postpone a call for ever.
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);
/// The share of a pause that jitter removes at most. It never adds: a due time beyond `longest` counts as
/// clock skew.
const JITTER: f64 = 0.25;

/// Pauses that double with each failure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// Returns the pause after a failure with `earlier` failures before it. `jitter`, from 0 to 1, shortens
    /// the pause.
    pub(crate) fn pause(self, earlier: u32, jitter: f64) -> Duration {
        let pause = self.first.saturating_mul(2_u32.saturating_pow(earlier)).min(self.longest);
        pause.mul_f64(1.0 - JITTER * jitter)
    }
}

/// Returns a random number from 0 to 1, so that calls that failed together do not retry together.
pub(crate) fn jitter() -> f64 {
    let mut byte = [0];
    // Without randomness there is no jitter; the pause still works.
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}

/// The value of a `Retry-After` header, in either of its forms (RFC 9110, 10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    Wait(Duration),
    At(Timestamp),
}

impl RetryAfter {
    /// Parses the header; an unreadable value counts as none.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
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
        wait.min(MAX_RETRY_AFTER)
    }
}

/// A failed attempt of a call.
#[derive(Debug)]
pub(crate) struct FailedAttempt<E> {
    pub(crate) error: E,
    /// True if another attempt may succeed.
    pub(crate) is_transient: bool,
    pub(crate) retry_after: Option<RetryAfter>,
}

/// Makes a call and repeats it after transient errors, within the time budget of a tick.
pub(crate) async fn retry_within_tick<T, E: Debug, F>(
    clock: &Clock,
    mut call: impl FnMut() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<T, FailedAttempt<E>>>,
{
    let began = Instant::now();
    let mut earlier = 0;
    loop {
        let failed = match call().await {
            Ok(answer) => return Ok(answer),
            Err(failed) => failed,
        };
        let minimum = failed.retry_after.map_or(Duration::ZERO, |after| after.wait(clock.now()));
        let pause = next_pause(earlier, began.elapsed(), minimum, jitter());
        let Some(pause) = pause.filter(|_| failed.is_transient) else { return Err(failed.error) };
        tracing::debug!(?pause, "retrying a call that failed: {:?}", failed.error);
        tokio::time::sleep(pause).await;
        earlier += 1;
    }
}

/// Returns the pause before the next attempt; none if the next tick has to make it.
fn next_pause(earlier: u32, elapsed: Duration, minimum: Duration, jitter: f64) -> Option<Duration> {
    let pause = WITHIN_TICK.pause(earlier, jitter).max(minimum);
    (earlier + 1 < ATTEMPTS && elapsed.saturating_add(pause) <= BUDGET).then_some(pause)
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
    fn a_call_is_attempted_three_times_within_the_budget() {
        let pause = |earlier, elapsed, minimum| next_pause(earlier, elapsed * SECOND, minimum * SECOND, 0.0);
        assert_eq!((pause(0, 0, 0), pause(1, 1, 0)), (Some(SECOND / 2), Some(SECOND)));
        assert_eq!((pause(2, 2, 0), pause(0, 15, 0)), (None, None));
        assert_eq!((pause(0, 0, 5), pause(0, 0, 60)), (Some(5 * SECOND), None));
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let wait = |value: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            RetryAfter::from_headers(&headers).map(|after| after.wait(now))
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
        let day = Some(MAX_RETRY_AFTER);
        assert_eq!((wait("18446744073709551615"), wait("Fri, 31 Dec 9999 23:59:59 GMT")), (day, day));
        assert_eq!(RetryAfter::from_headers(&HeaderMap::new()), None);
    }
}
