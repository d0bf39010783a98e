use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::ow::connector::Provider;

/// How long the list of providers is believed: finding out costs OW a call each.
pub(crate) const OFFERS_AGE: Duration = Duration::from_mins(5);

/// The same where OW was slower than this the last time, and for how long that is remembered.
pub(crate) const NO_PATIENCE: Duration = Duration::from_millis(10);

pub(crate) const SLOW_FOR: Duration = Duration::from_mins(1);

/// A provider that patients can really connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The provider, as OW names it.
    pub(crate) provider: Provider,
    /// What OW has the provider send browsers back to: to be registered there, byte for byte.
    pub(crate) redirect_uri: Option<String>,
}

/// The last list of offers, for a while.
#[derive(Debug, Clone, Default)]
pub struct Offers(Arc<Mutex<Option<Kept>>>, Arc<Mutex<Seen>>);

/// How OW was last asked for them by a page.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    last: Option<Vec<Offer>>,
    /// When it was slow, where it was the last time.
    slow: Option<Instant>,
}

/// A list of offers, and when it was made.
pub(crate) type Kept = (Timestamp, Vec<Offer>);

impl Offers {
    pub(crate) fn get(&self, now: Timestamp) -> Option<Vec<Offer>> {
        let kept = self.0.lock();
        let (at, offers) = kept.as_ref()?;
        (now.since(*at) < OFFERS_AGE && now >= *at).then(|| offers.clone())
    }

    pub(crate) fn note(&self, offers: Option<Vec<Offer>>, took: Duration) {
        let slow = (took > NO_PATIENCE).then(Instant::now);
        *self.1.lock() = Seen { last: offers, slow };
    }

    pub(crate) fn last(&self) -> Option<Vec<Offer>> {
        self.1.lock().last.clone()
    }

    pub(crate) fn is_slow(&self) -> bool {
        let seen = self.1.lock();
        seen.slow.is_some_and(|slow| slow.elapsed() < SLOW_FOR)
    }

    /// Forgets it: another OW may have other providers.
    pub(crate) fn forget(&self) {
        *self.1.lock() = Seen::default();
        *self.0.lock() = None;
    }

    pub(crate) fn set(&self, now: Timestamp, offers: &[Offer]) {
        // "Nothing is configured" is what an operator is about to mend.
        let kept = (!offers.is_empty()).then(|| (now, offers.to_vec()));
        *self.0.lock() = kept;
    }
}
