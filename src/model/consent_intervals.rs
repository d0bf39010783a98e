//! The intervals that a patient's consents cover, and the intersection of windows with them.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::common::time::Timestamp;

/// Bytes of a [`ConsentIntervals::fingerprint`]: enough for the few consents of one patient.
const FINGERPRINT: usize = 8;

/// A half-open interval: it contains `from` and not `until`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// One grant of a consent, and its withdrawal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    pub granted: Timestamp,
    pub withdrawn: Option<Timestamp>,
    /// The earliest measurement that a first grant covers; none if the text named no limit.
    pub covers_from: Option<Timestamp>,
}

impl Grant {
    /// Returns true for a refusal, which is stored as a grant that is withdrawn at once.
    pub fn is_refusal(&self) -> bool {
        self.withdrawn == Some(self.granted)
    }
}

/// The intervals whose samples may be ingested: disjoint and sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsentIntervals(Vec<Interval>);

impl ConsentIntervals {
    /// Returns the intervals that the grants of one scope allow: before the first grant as far back as it says,
    /// and nothing between a withdrawal and the next grant. Without an active grant, nothing is allowed.
    pub fn from_grants(grants: &[Grant]) -> Self {
        if !grants.iter().any(|grant| grant.withdrawn.is_none()) {
            return Self::default();
        }
        Self::merge(grants)
    }

    /// Returns the intervals of [`ConsentIntervals::from_grants`] also if no grant is active any more. A
    /// refusal allows nothing.
    pub fn ever_allowed(grants: &[Grant]) -> Self {
        if grants.iter().all(Grant::is_refusal) {
            return Self::default();
        }
        Self::merge(grants)
    }

    fn merge(grants: &[Grant]) -> Self {
        let mut grants = grants.to_vec();
        grants.sort_by_key(|grant| grant.granted);
        let mut allowed: Vec<Interval> = Vec::with_capacity(grants.len());
        // A refusal before the first grant allows nothing by itself; it cuts what that grant covers of the past.
        let refused = grants.iter().find(|grant| grant.is_refusal()).map(|grant| grant.granted);
        for grant in grants.into_iter().skip_while(Grant::is_refusal) {
            let until = grant.withdrawn.unwrap_or(Timestamp::MAX);
            // A first consent covers a part of the past too: the patient agrees to share what the device already has.
            let from = grant.covers_from.unwrap_or(Timestamp::MIN).min(grant.granted);
            let is_first = allowed.len() < 2;
            match allowed.last_mut() {
                None => match refused.filter(|refused| *refused < grant.granted) {
                    Some(refused) => {
                        allowed.extend((from < refused).then_some(Interval { from, until: refused }));
                        allowed.push(Interval { from: grant.granted, until });
                    }
                    None => allowed.push(Interval { from, until }),
                },
                Some(last) if grant.granted <= last.until => {
                    last.until = last.until.max(until);
                    // Another study's grant may reach further back, but not over a withdrawal.
                    if is_first {
                        last.from = last.from.min(from);
                    }
                }
                Some(_) => allowed.push(Interval { from: grant.granted, until }),
            }
        }
        Self(allowed)
    }

    /// Returns the times that at least one of `all` allows.
    pub fn union(all: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<Interval> = all.into_iter().flat_map(|one| one.0).collect();
        all.sort_by_key(|one| one.from);
        let mut union: Vec<Interval> = Vec::new();
        for one in all {
            match union.last_mut() {
                Some(last) if one.from <= last.until => last.until = last.until.max(one.until),
                _ => union.push(one),
            }
        }
        Self(union)
    }

    /// Returns the part from `from` on.
    #[must_use]
    pub fn since(&self, from: Timestamp) -> Self {
        self.within(Interval { from, until: Timestamp::MAX })
    }

    /// Returns the part inside of one interval.
    #[must_use]
    pub fn within(&self, limits: Interval) -> Self {
        Self(self.cut(limits).collect())
    }

    /// Returns the times that both allow.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self(other.0.iter().flat_map(|limits| self.cut(*limits)).collect())
    }

    /// Returns the time from the first interval's beginning to the last one's end.
    pub fn span(&self) -> Option<Interval> {
        let (first, last) = (self.0.first()?, self.0.last()?);
        Some(Interval { from: first.from, until: last.until })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a short hash of the intervals of several scopes, in their order.
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
            // Writing to a string never fails.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    pub fn contains(&self, at: Timestamp) -> bool {
        self.0.iter().any(|interval| interval.from <= at && at < interval.until)
    }

    /// Returns true if a sample over all of `interval` may be ingested.
    pub fn covers(&self, interval: Interval) -> bool {
        self.0.iter().any(|allowed| allowed.from <= interval.from && interval.until <= allowed.until)
    }

    /// Returns the allowed parts of `window`, in order.
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
        Grant { granted: at(granted), withdrawn: withdrawn.map(at), covers_from: None }
    }

    fn cut(allowed: &ConsentIntervals, from: i64, until: i64) -> Vec<(i64, i64)> {
        let window = Interval { from: at(from), until: at(until) };
        allowed.cut(window).map(|part| (part.from.hour(), part.until.hour())).collect()
    }

    #[test]
    fn a_first_grant_reaches_back_as_far_as_it_says_and_a_refusal_opens_nothing() {
        let limited = |granted, from| Grant { covers_from: Some(at(from)), ..grant(granted, None) };
        let hours = |grants: &[Grant]| {
            let all = ConsentIntervals::from_grants(grants);
            [5, 12, 18, 25].map(|hour| all.contains(at(hour)))
        };
        assert_eq!(hours(&[limited(20, 15)]), [false, false, true, true]);
        assert_eq!(hours(&[grant(10, Some(10)), limited(20, 15)]), [false, false, false, true]);
        assert_eq!(hours(&[grant(10, Some(10)), limited(20, 2)]), [true, false, false, true]);
        assert_eq!(hours(&[limited(20, 15), limited(22, 11)]), [false, true, true, true], "another study");
    }

    #[test]
    fn the_first_grant_reaches_back_and_a_later_one_does_not() {
        let allowed = ConsentIntervals::from_grants(&[grant(10, Some(20)), grant(30, None)]);
        assert_eq!(cut(&allowed, 0, 40), [(0, 20), (30, 40)]);
        assert!(allowed.contains(at(5)) && !allowed.contains(at(20)) && !allowed.contains(at(29)));
        assert!(allowed.contains(at(30)));
    }

    #[test]
    fn an_interval_that_touches_a_withdrawn_one_stays_out() {
        let allowed = ConsentIntervals::from_grants(&[grant(10, Some(20)), grant(30, None)]);
        let covers = |from, until| allowed.covers(Interval { from: at(from), until: at(until) });
        assert!(covers(5, 20) && covers(30, 38));
        assert!(!covers(19, 21) && !covers(29, 31) && !covers(15, 35));
    }

    #[test]
    fn a_withdrawn_consent_allows_nothing_not_even_the_past() {
        assert!(ConsentIntervals::from_grants(&[grant(10, Some(20))]).is_empty());
        assert!(ConsentIntervals::from_grants(&[]).is_empty());
    }

    #[test]
    fn a_withdrawn_grant_was_once_allowed_and_a_refusal_never_was() {
        let given = ConsentIntervals::ever_allowed(&[grant(10, Some(20))]);
        assert_eq!(cut(&given, 0, 40), [(0, 20)]);
        assert!(ConsentIntervals::ever_allowed(&[grant(10, Some(10))]).is_empty());
        assert!(ConsentIntervals::ever_allowed(&[]).is_empty());
    }

    #[test]
    fn erased_time_is_not_allowed_again() {
        let allowed = ConsentIntervals::from_grants(&[grant(10, Some(20)), grant(30, None)]).since(at(20));
        assert_eq!(cut(&allowed, 0, 40), [(30, 40)]);
        assert!(ConsentIntervals::default().since(at(20)).is_empty());
    }

    #[test]
    fn an_intersection_is_what_both_allow() {
        let one = ConsentIntervals::from_grants(&[grant(10, Some(20)), grant(30, None)]);
        let other = one.within(Interval { from: at(15), until: at(35) });
        assert_eq!(cut(&other, 0, 99), [(15, 20), (30, 35)]);
        assert_eq!(one.intersect(&other), other);
        assert_eq!(other.intersect(&one), other);
        assert!(other.intersect(&ConsentIntervals::default()).is_empty());
    }

    #[test]
    fn a_fingerprint_depends_on_the_intervals() {
        let of = |grants: &[Grant]| ConsentIntervals::fingerprint([&ConsentIntervals::from_grants(grants)]);
        let (once, again) =
            (of(&[grant(10, Some(20)), grant(30, None)]), of(&[grant(10, Some(20)), grant(25, None)]));
        assert_eq!(
            once,
            of(&[grant(12, Some(20)), grant(30, None)]),
            "the first grant reaches back in any case"
        );
        assert!(once != again && once != of(&[grant(10, None)]) && once.len() == 16);
        let (all, none) = (ConsentIntervals::from_grants(&[grant(10, None)]), ConsentIntervals::default());
        assert_ne!(
            ConsentIntervals::fingerprint([&all, &none]),
            ConsentIntervals::fingerprint([&none, &all])
        );
    }

    #[test]
    fn a_window_outside_every_interval_is_cut_to_nothing() {
        let allowed = ConsentIntervals::from_grants(&[grant(10, Some(20)), grant(30, None)]);
        assert_eq!(cut(&allowed, 20, 30), []);
    }
}
