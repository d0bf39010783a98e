//! Attempts to sign in: pauses after failed ones for each account, and sign-ins that wait for their one-time code.
//!
//! The pause grows to a minute, so a stranger cannot lock the owner out. A browser in which the account has signed in
//! before has a count of its own. Names without an account are counted alike: a pause reveals nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::app::rate_limit::TooManyRequests;
use crate::common::time::Timestamp;
use crate::model::account::AccountId;
use crate::secrets::token::TokenHash;

/// Attempts without a pause: people mistype a few times.
const FREE: u32 = 5;
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// A series ends with this time without an attempt.
const SERIES_PAUSE: Duration = Duration::from_hours(1);
/// Series in memory. Above that, those that are short are forgotten.
const MAX_SERIES: usize = 10_000;
/// An alert is sent at the attempt with this number.
pub(crate) const ALERT_AT: u32 = 20;
/// Time to take out the phone.
const CODE_TIME: Duration = Duration::from_mins(5);
/// Wrong codes until the password is asked again.
const WRONG_CODES: u32 = 5;

#[derive(Debug, Clone, Default)]
pub struct SignInAttempts {
    series: Arc<Mutex<HashMap<TokenHash, Series>>>,
    waiting: Arc<Mutex<HashMap<TokenHash, WaitingSignIn>>>,
}

/// Attempts without a success, none an hour after the one before.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series {
    pub(crate) count: u32,
    pub(crate) first: Timestamp,
    last: Timestamp,
}

/// A sign-in whose password was right and whose code is missing.
#[derive(Debug, Clone)]
pub(crate) struct WaitingSignIn {
    pub(crate) account: AccountId,
    /// The one-time link in place of a password.
    pub(crate) link: Option<TokenHash>,
    pub(crate) next: String,
    began: Timestamp,
    wrong_codes: u32,
}

/// Returns the key under which attempts at an account are counted.
pub(crate) fn attempts_by_name(name: &str) -> TokenHash {
    TokenHash::of(format!("name:{}", name.to_lowercase()).as_bytes())
}

/// Returns the key for a browser in which the account has signed in before.
pub(crate) fn attempts_by_browser(browser: TokenHash, account: AccountId) -> TokenHash {
    TokenHash::of(format!("browser:{}:{account}", browser.hex()).as_bytes())
}

impl SignInAttempts {
    /// Counts an attempt before it is checked, so that parallel ones count too.
    pub(crate) fn begin(&self, key: TokenHash, now: Timestamp) -> Result<Series, TooManyRequests> {
        let mut all = self.series.lock();
        if all.len() > MAX_SERIES {
            all.retain(|_, series| series.count >= FREE && now.since(series.last) < SERIES_PAUSE);
        }
        let series = all.entry(key).or_insert(Series { count: 0, first: now, last: now });
        if now.since(series.last) >= SERIES_PAUSE {
            *series = Series { count: 0, first: now, last: now };
        }
        let (pause, waited) = (pause_after(series.count), now.since(series.last));
        if waited < pause {
            return Err(TooManyRequests(pause.saturating_sub(waited).as_secs().max(1)));
        }
        series.count += 1;
        series.last = now;
        Ok(*series)
    }

    /// Ends a series with a success.
    pub(crate) fn succeed(&self, key: TokenHash) {
        self.series.lock().remove(&key);
    }

    /// Lets a sign-in wait for its code.
    pub(crate) fn wait_for_code(
        &self,
        browser: TokenHash,
        account: AccountId,
        link: Option<TokenHash>,
        next: &str,
        now: Timestamp,
    ) {
        let mut waiting = self.waiting.lock();
        waiting.retain(|_, one| now.since(one.began) < CODE_TIME);
        let next = next.to_owned();
        waiting.insert(browser, WaitingSignIn { account, link, next, began: now, wrong_codes: 0 });
    }

    pub(crate) fn find_waiting(&self, browser: TokenHash, now: Timestamp) -> Option<WaitingSignIn> {
        self.waiting.lock().get(&browser).filter(|one| now.since(one.began) < CODE_TIME).cloned()
    }

    /// Counts a wrong code. After some, the password is asked again.
    pub(crate) fn count_wrong_code(&self, browser: TokenHash) {
        let mut waiting = self.waiting.lock();
        let is_over = waiting.get_mut(&browser).is_some_and(|one| {
            one.wrong_codes += 1;
            one.wrong_codes >= WRONG_CODES
        });
        if is_over {
            waiting.remove(&browser);
        }
    }

    pub(crate) fn end_waiting(&self, browser: TokenHash) {
        self.waiting.lock().remove(&browser);
    }
}

/// Returns the pause after so many attempts: 1, 2, 4 seconds and so on.
fn pause_after(count: u32) -> Duration {
    match count.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(further) => Duration::from_secs(1 << further.min(16)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_no_further() {
        let (attempts, key) = (SignInAttempts::default(), attempts_by_name("Operator"));
        let mut now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        assert_eq!(key, attempts_by_name("operator"));
        for count in 1..=30 {
            assert_eq!(attempts.begin(key, now).unwrap().count, count);
            let Err(TooManyRequests(seconds)) = attempts.begin(key, now) else {
                assert!(count < FREE);
                attempts.series.lock().get_mut(&key).unwrap().count -= 1;
                continue;
            };
            assert!(count >= FREE && seconds <= 60 && (count < 12 || seconds == 60), "{count}: {seconds}");
            now = now.plus(Duration::from_secs(seconds));
        }
        assert_eq!(attempts.begin(key, now.plus(SERIES_PAUSE)).unwrap().count, 1, "a new series");
    }
}
