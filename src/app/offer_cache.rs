//! Caches the list of providers that patients can connect: building it takes one call to OW per provider.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::ow::connector::OwProvider;

const MAX_AGE: Duration = Duration::from_mins(5);
/// The time that a page waits for OW while OW counts as slow.
pub(crate) const TIMEOUT_WHEN_SLOW: Duration = Duration::from_millis(10);
/// The time for which OW counts as slow after an answer that took longer than [`TIMEOUT_WHEN_SLOW`].
const SLOW_FOR: Duration = Duration::from_mins(1);

/// A provider that is enabled at OW and has credentials there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) provider: OwProvider,
    /// The OAuth redirect URI. It has to be registered at the provider, byte for byte.
    pub(crate) redirect_uri: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct OfferCache(Arc<Mutex<CachedOffers>>);

#[derive(Debug, Default)]
struct CachedOffers {
    fresh: Option<(Timestamp, Vec<Offer>)>,
    /// The result of the last request that a page made, however old; none if OW failed.
    last: Option<Vec<Offer>>,
    slow_since: Option<Instant>,
}

impl OfferCache {
    /// Returns the list if it is younger than [`MAX_AGE`].
    pub(crate) fn get(&self, now: Timestamp) -> Option<Vec<Offer>> {
        let cached = self.0.lock();
        let (at, offers) = cached.fresh.as_ref()?;
        (now.since(*at) < MAX_AGE && now >= *at).then(|| offers.clone())
    }

    /// Returns the redirect URI that OW named for a provider when it was last listed, if that was a short time ago.
    pub(crate) fn find_redirect(&self, provider: &str, now: Timestamp) -> Option<String> {
        self.get(now)?.into_iter().find(|one| one.provider.provider == provider)?.redirect_uri
    }

    /// Returns the newest list that is not empty, however old.
    pub(crate) fn latest(&self) -> Option<Vec<Offer>> {
        self.0.lock().fresh.as_ref().map(|(_, offers)| offers.clone())
    }

    pub(crate) fn set(&self, now: Timestamp, offers: &[Offer]) {
        // An empty list is not cached: an operator is probably about to configure the first provider.
        self.0.lock().fresh = (!offers.is_empty()).then(|| (now, offers.to_vec()));
    }

    /// Records the result of a request to OW that a page made, and the time it took.
    pub(crate) fn record_request(&self, offers: Option<Vec<Offer>>, took: Duration) {
        let mut cached = self.0.lock();
        cached.last = offers;
        cached.slow_since = (took > TIMEOUT_WHEN_SLOW).then(Instant::now);
    }

    pub(crate) fn last(&self) -> Option<Vec<Offer>> {
        self.0.lock().last.clone()
    }

    pub(crate) fn is_slow(&self) -> bool {
        self.0.lock().slow_since.is_some_and(|since| since.elapsed() < SLOW_FOR)
    }

    /// Empties the cache: a new configuration may name another OW with other providers.
    pub(crate) fn clear(&self) {
        *self.0.lock() = CachedOffers::default();
    }
}
