//! Rate limits per client address for requests that anybody may send.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Sign-ins per minute and address. People mistype a few times. There is no limit per account, because a
/// stranger could use it to lock the owner out. Password hashing has few slots, which bound an attack from
/// many addresses.
const SIGN_INS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Requests per minute and address to pages that need no sign-in. Patients in a waiting room may share one
/// address.
const ANONYMOUS: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// Idle addresses are dropped when more than this many are in memory.
const MAX_ADDRESSES: usize = 10_000;

#[derive(Debug, Clone)]
pub struct RateLimits {
    sign_in: Arc<Limiter>,
    anonymous: Arc<Limiter>,
}

#[derive(Debug)]
struct Limiter(RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>);

impl Default for RateLimits {
    fn default() -> Self {
        let limiter = |per_minute| Arc::new(Limiter(RateLimiter::hashmap(Quota::per_minute(per_minute))));
        Self { sign_in: limiter(SIGN_INS), anonymous: limiter(ANONYMOUS) }
    }
}

impl Limiter {
    fn check(&self, client: IpAddr) -> Result<(), TooManyRequests> {
        if self.0.len() > MAX_ADDRESSES {
            self.0.retain_recent();
        }
        let wait = |too_soon: governor::NotUntil<_>| {
            TooManyRequests(too_soon.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
        };
        self.0.check_key(&network(client)).map_err(wait)
    }
}

impl RateLimits {
    /// Counts a sign-in.
    pub(crate) fn check_sign_in(&self, client: IpAddr) -> Result<(), TooManyRequests> {
        self.sign_in.check(client)
    }

    /// Counts a request of a client who is not signed in.
    pub(crate) fn check_anonymous(&self, client: IpAddr) -> Result<(), TooManyRequests> {
        self.anonymous.check(client)
    }
}

/// Returns the address under which a client is counted: for IPv6 its /64 network, because one household has a
/// whole /64.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// A refused request; the client may try again after this many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooManyRequests(pub(crate) u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_ins_are_limited_per_address() {
        let limits = RateLimits::default();
        let from = |last: u8| IpAddr::from([198, 51, 100, last]);
        for _ in 0..SIGN_INS.get() {
            assert_eq!(limits.check_sign_in(from(1)), Ok(()));
        }
        assert!(limits.check_sign_in(from(1)).is_err());
        assert_eq!(limits.check_sign_in(from(2)), Ok(()));
    }

    #[test]
    fn an_ipv6_network_of_64_bits_counts_as_one_address() {
        let ip = |text: &str| network(text.parse().unwrap());
        assert_eq!(ip("2001:db8:1:2::3"), ip("2001:db8:1:2:ffff::4"));
        assert_ne!(ip("2001:db8:1:2::3"), ip("2001:db8:1:3::3"));
    }
}
