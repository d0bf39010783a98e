//! The times for which a patient's consent holds, and windows cut to them.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::common::time::Timestamp;

/// Bytes of a [`Allowed::fingerprint`]: enough for the few consents that one patient gives.
const FINGERPRINT: usize = 8;

/// A half-open stretch of time: `from` is in it, `until` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// The first instant.
    pub from: Timestamp,
    /// The first instant past the end.
    pub until: Timestamp,
}

/// One grant of a consent, and its withdrawal where there was one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// When the patient agreed.
    pub granted: Timestamp,
    /// When the patient withdrew.
    pub withdrawn: Option<Timestamp>,
}

impl Grant {
    /// Whether it was no grant but a no: it ended as it began.
    pub fn is_refusal(&self) -> bool {
        self.withdrawn == Some(self.granted)
    }
}

/// The instants whose samples may be ingested: disjoint, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(Vec<Interval>);

impl Allowed {
    /// What a patient's grants of one scope allow. Samples from before the first grant are allowed;
    /// those from between a withdrawal and the next grant are not. Nothing is where no grant stands.
    pub fn from_grants(grants: &[Grant]) -> Self {
        if !grants.iter().any(|grant| grant.withdrawn.is_none()) {
            return Self::default();
        }
        Self::spans(grants)
    }

    /// What a patient's grants of one scope have allowed for as long as they stood: as [`Allowed::from_grants`], also
    /// where none stands any more. A no has allowed nothing.
    pub fn once_given(grants: &[Grant]) -> Self {
        if grants.iter().all(Grant::is_refusal) {
            return Self::default();
        }
        Self::spans(grants)
    }

    fn spans(grants: &[Grant]) -> Self {
        let mut grants = grants.to_vec();
        grants.sort_by_key(|grant| grant.granted);
        let mut allowed: Vec<Interval> = Vec::with_capacity(grants.len());
        for grant in grants {
            let until = grant.withdrawn.unwrap_or(Timestamp::MAX);
            match allowed.last_mut() {
                None => allowed.push(Interval { from: Timestamp::MIN, until }),
                Some(last) if grant.granted <= last.until => last.until = last.until.max(until),
                Some(_) => allowed.push(Interval { from: grant.granted, until }),
            }
        }
        Self(allowed)
    }

    /// What of it is not before `from`.
    #[must_use]
    pub fn since(&self, from: Timestamp) -> Self {
        Self(self.cut(Interval { from, until: Timestamp::MAX }).collect())
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A short name of the times of several scopes, in their order: other times have another one.
    pub fn fingerprint<'a>(all: impl IntoIterator<Item = &'a Self>) -> String {
        let mut hash = Sha256::new();
        for Self(intervals) in all {
            hash.update((intervals.len() as u64).to_be_bytes());
            for Interval { from, until } in intervals {
                hash.update(from.micros().to_be_bytes());
                hash.update(until.micros().to_be_bytes());
            }
        }
        hash.finalize().iter().take(FINGERPRINT).fold(String::new(), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether a sample of this instant may be ingested.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.0.iter().any(|interval| interval.from <= at && at < interval.until)
    }

    /// Whether a sample that measures over `interval` may be ingested: all of it has to be allowed.
    pub fn covers(&self, interval: Interval) -> bool {
        self.0.iter().any(|allowed| allowed.from <= interval.from && interval.until <= allowed.until)
    }

    /// The parts of `window` that are allowed, in order.
    pub fn cut(&self, window: Interval) -> impl Iterator<Item = Interval> + '_ {
        self.0.iter().filter_map(move |interval| {
            let from = interval.from.max(window.from);
            let until = interval.until.min(window.until);
            (from < until).then_some(Interval { from, until })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_micros(hour * 3_600_000_000)
    }

    fn grant(granted: i64, withdrawn: Option<i64>) -> Grant {
        Grant { granted: at(granted), withdrawn: withdrawn.map(at) }
    }

    fn cut(allowed: &Allowed, from: i64, until: i64) -> Vec<(i64, i64)> {
        let window = Interval { from: at(from), until: at(until) };
        allowed.cut(window).map(|part| (part.from.hour(), part.until.hour())).collect()
    }

    #[test]
    fn the_first_grant_reaches_back_and_a_later_one_does_not() {
        let allowed = Allowed::from_grants(&[grant(10, Some(20)), grant(30, None)]);
        assert_eq!(cut(&allowed, 0, 40), [(0, 20), (30, 40)]);
        assert!(allowed.contains(at(5)) && !allowed.contains(at(20)) && !allowed.contains(at(29)));
        assert!(allowed.contains(at(30)));
    }

    #[test]
    fn an_interval_that_touches_a_withdrawn_one_stays_out() {
        let allowed = Allowed::from_grants(&[grant(10, Some(20)), grant(30, None)]);
        let covers = |from, until| allowed.covers(Interval { from: at(from), until: at(until) });
        assert!(covers(5, 20) && covers(30, 38));
        assert!(!covers(19, 21) && !covers(29, 31) && !covers(15, 35));
    }

    #[test]
    fn a_withdrawn_consent_allows_nothing_not_even_the_past() {
        assert!(Allowed::from_grants(&[grant(10, Some(20))]).is_empty());
        assert!(Allowed::from_grants(&[]).is_empty());
    }

    #[test]
    fn what_was_given_once_was_given_until_it_was_withdrawn_and_a_no_never_was() {
        let given = Allowed::once_given(&[grant(10, Some(20))]);
        assert_eq!(cut(&given, 0, 40), [(0, 20)]);
        assert!(Allowed::once_given(&[grant(10, Some(10))]).is_empty());
        assert!(Allowed::once_given(&[]).is_empty());
    }

    #[test]
    fn what_was_erased_is_allowed_no_more() {
        let allowed = Allowed::from_grants(&[grant(10, Some(20)), grant(30, None)]).since(at(20));
        assert_eq!(cut(&allowed, 0, 40), [(30, 40)]);
        assert!(Allowed::default().since(at(20)).is_empty());
    }

    #[test]
    fn other_times_have_another_fingerprint() {
        let of = |grants: &[Grant]| Allowed::fingerprint([&Allowed::from_grants(grants)]);
        let (once, again) =
            (of(&[grant(10, Some(20)), grant(30, None)]), of(&[grant(10, Some(20)), grant(25, None)]));
        assert_eq!(
            once,
            of(&[grant(12, Some(20)), grant(30, None)]),
            "the first grant reaches back in any case"
        );
        assert!(once != again && once != of(&[grant(10, None)]) && once.len() == 16);
        let (all, none) = (Allowed::from_grants(&[grant(10, None)]), Allowed::default());
        assert_ne!(Allowed::fingerprint([&all, &none]), Allowed::fingerprint([&none, &all]));
    }

    #[test]
    fn a_window_outside_every_interval_is_cut_to_nothing() {
        let allowed = Allowed::from_grants(&[grant(10, Some(20)), grant(30, None)]);
        assert_eq!(cut(&allowed, 20, 30), []);
    }
}
