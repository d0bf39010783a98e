//! Rate limits: per session or API token for callers who have one, else per client address.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::secrets::token::TokenHash;

/// Sign-ins per minute and address. People mistype a few times. Attempts at one account wait longer and longer
/// (`sign_in_attempts`); password hashing has few slots, which bound an attack from many addresses.
const SIGN_INS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Requests per minute and address to pages that need no sign-in. Patients in a waiting room may share one
/// address.
const ANONYMOUS: NonZeroU32 = NonZeroU32::new(120).unwrap();
/// Requests per minute of one session or API token, whatever its neighbours at the same address do.
const SIGNED_IN: NonZeroU32 = NonZeroU32::new(240).unwrap();
/// Requests per minute of one token for reading: a notebook follows pages as fast as they come.
const READS: NonZeroU32 = NonZeroU32::new(6000).unwrap();
/// New links per hour and mail address: nobody fills a patient's mailbox.
const NEW_LINKS: NonZeroU32 = NonZeroU32::new(3).unwrap();
/// Idle addresses and tokens are dropped when more than this many are in memory.
const MAX_KEYS: usize = 10_000;

#[derive(Debug, Clone)]
pub struct RateLimits {
    sign_in: Arc<Limiter<IpAddr>>,
    anonymous: Arc<Limiter<IpAddr>>,
    signed_in: Arc<Limiter<TokenHash>>,
    new_link: Arc<Limiter<TokenHash>>,
    read: Arc<Limiter<TokenHash>>,
}

#[derive(Debug)]
struct Limiter<K: Hash + Eq + Clone>(RateLimiter<K, HashMapStateStore<K>, DefaultClock>);

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            sign_in: Limiter::new(Quota::per_minute(SIGN_INS)),
            anonymous: Limiter::new(Quota::per_minute(ANONYMOUS)),
            signed_in: Limiter::new(Quota::per_minute(SIGNED_IN)),
            new_link: Limiter::new(Quota::per_hour(NEW_LINKS)),
            read: Limiter::new(Quota::per_minute(READS)),
        }
    }
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(quota: Quota) -> Arc<Self> {
        Arc::new(Self(RateLimiter::hashmap(quota)))
    }

    fn check(&self, key: &K) -> Result<(), TooManyRequests> {
        if self.0.len() > MAX_KEYS {
            self.0.retain_recent();
        }
        let wait = |too_soon: governor::NotUntil<_>| {
            TooManyRequests(too_soon.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
        };
        self.0.check_key(key).map_err(wait)
    }
}

impl RateLimits {
    /// Counts a sign-in.
    pub(crate) fn check_sign_in(&self, client: IpAddr) -> Result<(), TooManyRequests> {
        self.sign_in.check(&network(client))
    }

    /// Counts a request of a client who is not signed in.
    pub(crate) fn check_anonymous(&self, client: IpAddr) -> Result<(), TooManyRequests> {
        self.anonymous.check(&network(client))
    }

    /// Counts a new link to a mail address, by its hash.
    pub(crate) fn check_new_link(&self, address: TokenHash) -> Result<(), TooManyRequests> {
        self.new_link.check(&address)
    }

    /// Counts a request of a valid token for reading.
    pub(crate) fn check_read(&self, token: TokenHash) -> Result<(), TooManyRequests> {
        self.read.check(&token)
    }

    /// Counts a request of a valid session or API token.
    pub(crate) fn check_signed_in(&self, token: TokenHash) -> Result<(), TooManyRequests> {
        self.signed_in.check(&token)
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
