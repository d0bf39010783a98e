//! How often what is open to the world may be tried.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Sign-ins per minute from one address: people mistype a few times, guessers do not stop. Accounts have no
/// limit of their own: whoever wears it out would keep their owners out. Guessers with many addresses share
/// the few places that there are for hashing.
const SIGN_INS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Requests per minute from one address to what patients open without being signed in. A waiting room
/// shares an address.
const OPEN: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// When so many addresses are remembered, those that have been quiet are forgotten.
const REMEMBERED: usize = 10_000;

/// What is limited.
#[derive(Debug, Clone)]
pub struct Limits {
    sign_in: Arc<Limiter>,
    open: Arc<Limiter>,
}

#[derive(Debug)]
struct Limiter(RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>);

impl Default for Limits {
    fn default() -> Self {
        Self { sign_in: Arc::new(Limiter::per_minute(SIGN_INS)), open: Arc::new(Limiter::per_minute(OPEN)) }
    }
}

impl Limiter {
    fn per_minute(count: NonZeroU32) -> Self {
        Self(RateLimiter::hashmap(Quota::per_minute(count)))
    }

    /// Counts one try; answers how long to wait where it is one too many.
    fn count(&self, client: IpAddr) -> Result<(), TooMany> {
        if self.0.len() > REMEMBERED {
            self.0.retain_recent();
        }
        let wait = |too_soon: governor::NotUntil<_>| {
            TooMany(too_soon.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
        };
        self.0.check_key(&network(client)).map_err(wait)
    }
}

impl Limits {
    /// Counts an attempt to sign in.
    pub(crate) fn sign_in(&self, client: IpAddr) -> Result<(), TooMany> {
        self.sign_in.count(client)
    }

    /// Counts a request by somebody who is not signed in.
    pub(crate) fn open(&self, client: IpAddr) -> Result<(), TooMany> {
        self.open.count(client)
    }
}

/// One household has a whole network of IPv6 addresses: its first 64 bits count.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// Too many tries; in so many seconds there may be another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany(pub(crate) u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessers_are_stopped_and_keep_nobody_else_out() {
        let limits = Limits::default();
        let from = |last: u8| IpAddr::from([198, 51, 100, last]);
        for _ in 0..SIGN_INS.get() {
            assert_eq!(limits.sign_in(from(1)), Ok(()));
        }
        assert!(limits.sign_in(from(1)).is_err());
        assert_eq!(limits.sign_in(from(2)), Ok(()));
    }

    #[test]
    fn a_household_is_one_address() {
        let ip = |text: &str| network(text.parse().unwrap());
        assert_eq!(ip("2001:db8:1:2::3"), ip("2001:db8:1:2:ffff::4"));
        assert_ne!(ip("2001:db8:1:2::3"), ip("2001:db8:1:3::3"));
    }
}
