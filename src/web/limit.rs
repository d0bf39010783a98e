//! How often what is open to the world may be tried.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::{HeaderValue, StatusCode, header};
use warp::reply::Response;

use super::answer::Refusal;

/// Sign-ins per minute from one address: people mistype a few times, guessers do not stop.
const SIGN_INS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Sign-ins per minute to one account, from wherever: more, so that one guesser does not keep its owner out.
const SIGN_INS_TO_ACCOUNT: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// Requests per minute from one address to what patients open without being signed in. A waiting room
/// shares an address.
const OPEN: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// When so many addresses are remembered, those that have been quiet are forgotten.
const REMEMBERED: usize = 10_000;

/// What is limited.
#[derive(Debug, Clone)]
pub struct Limits {
    sign_in_address: Arc<Limiter<IpAddr>>,
    sign_in_account: Arc<Limiter<String>>,
    open: Arc<Limiter<IpAddr>>,
}

#[derive(Debug)]
struct Limiter<K: Hash + Eq + Clone>(RateLimiter<K, HashMapStateStore<K>, DefaultClock>);

impl Default for Limits {
    fn default() -> Self {
        Self {
            sign_in_address: Arc::new(Limiter::per_minute(SIGN_INS)),
            sign_in_account: Arc::new(Limiter::per_minute(SIGN_INS_TO_ACCOUNT)),
            open: Arc::new(Limiter::per_minute(OPEN)),
        }
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn per_minute(count: NonZeroU32) -> Self {
        Self(RateLimiter::hashmap(Quota::per_minute(count)))
    }

    /// Counts one try; answers with the seconds to wait where it is one too many.
    fn count(&self, key: &K) -> Result<(), u64> {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        let wait = |too_soon: governor::NotUntil<_>| {
            too_soon.wait_time_from(DefaultClock::default().now()).as_secs() + 1
        };
        self.0.check_key(key).map_err(wait)
    }
}

impl Limits {
    /// Counts an attempt to sign in.
    pub(super) fn sign_in(&self, client: IpAddr, account: &str) -> Result<(), TooMany> {
        self.sign_in_address.count(&network(client)).map_err(TooMany)?;
        if account.is_empty() {
            // A one-time link names none, and cannot be guessed.
            return Ok(());
        }
        self.sign_in_account.count(&account.to_lowercase()).map_err(TooMany)
    }

    /// Counts a request by somebody who is not signed in.
    pub(super) fn open(&self, client: IpAddr) -> Result<(), TooMany> {
        self.open.count(&network(client)).map_err(TooMany)
    }
}

/// One household has a whole network of IPv6 addresses: its first 64 bits count.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Too many tries; in so many seconds there may be another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooMany(u64);

impl TooMany {
    pub(super) fn refusal(self) -> Refusal {
        Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many tries",
            format!("Please wait {} seconds, then try again.", self.0),
        )
    }

    pub(super) fn into_response(self) -> Response {
        let mut answer = self.refusal().into_response();
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(self.0));
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessers_are_stopped_by_address_and_by_account() {
        let limits = Limits::default();
        let from = |last: u8| IpAddr::from([198, 51, 100, last]);
        for address in 1..=6 {
            for _ in 0..SIGN_INS.get() {
                assert_eq!(limits.sign_in(from(address), "ada"), Ok(()));
            }
            assert!(limits.sign_in(from(address), "grace").is_err(), "the address is worn out");
        }
        assert!(limits.sign_in(from(7), "ADA").is_err(), "the account is worn out");
        assert_eq!(limits.sign_in(from(8), "grace"), Ok(()));
    }

    #[test]
    fn a_household_is_one_address() {
        let ip = |text: &str| network(text.parse().unwrap());
        assert_eq!(ip("2001:db8:1:2::3"), ip("2001:db8:1:2:ffff::4"));
        assert_ne!(ip("2001:db8:1:2::3"), ip("2001:db8:1:3::3"));
    }
}
