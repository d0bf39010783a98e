//! Plans which days of the bucket a tick lists. Pure.
//!
//! The date in a key is the day of storage, and a sample is older than its object. So all objects that were
//! stored after a tick lie under the day of its mark or a later one. One more day allows for clocks that
//! differ.

use std::ops::RangeInclusive;

use crate::common::time::Timestamp;
use crate::model::bucket_day::BucketDay;
use crate::poll::windows::ReadRange;
use crate::store::operations::poll_plan::SeriesPlan;

/// The days to list in one turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDays {
    pub days: RangeInclusive<BucketDay>,
    /// Upper limit of the marks: objects of later days were not read.
    pub until: Timestamp,
    /// True if everything before these days has been read, so that this read may move the marks.
    pub moves_marks: bool,
    /// True if keys without a date are listed too. Only older versions of OW stored such objects, so it is
    /// enough to list them in the first turn, in sweeps and in backfills.
    pub has_undated: bool,
}

/// Returns the days to list for `wanted`.
pub fn plan_days(wanted: &[SeriesPlan], range: ReadRange, now: Timestamp) -> ListedDays {
    match range {
        ReadRange::Recent { at_least, first } => {
            let hot = wanted.iter().map(|one| match one.mark {
                Some(mark) => BucketDay::of(mark).before(),
                None => BucketDay::of(now.minus(first)),
            });
            let sweep = at_least.map(|back| BucketDay::of(now.minus(back)));
            let from = hot.chain(sweep).min().unwrap_or(BucketDay::of(now));
            let has_undated = at_least.is_some() || wanted.iter().any(|one| one.mark.is_none());
            ListedDays { days: from..=BucketDay::of(now), until: now, moves_marks: true, has_undated }
        }
        ReadRange::Requested(requested) => {
            let until = requested.until.min(now);
            let moves_marks = wanted.iter().all(|one| one.mark.is_some_and(|mark| requested.from <= mark));
            let days = BucketDay::of(requested.from)..=BucketDay::of(until);
            ListedDays { days, until, moves_marks, has_undated: true }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::SERIES;
    use crate::model::consent_intervals::ConsentIntervals;
    use crate::model::consent_intervals::Interval;
    use std::time::Duration;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_micros(hour * 3_600_000_000)
    }

    fn listed(mark: Option<i64>, range: ReadRange) -> (i64, i64, bool) {
        let wanted =
            SeriesPlan { series: &SERIES[0], allowed: ConsentIntervals::default(), mark: mark.map(at) };
        let listed = plan_days(&[wanted], range, at(1000));
        (listed.days.start().number(), listed.days.end().number(), listed.moves_marks)
    }

    fn recent(at_least: Option<u64>) -> ReadRange {
        ReadRange::Recent { at_least: at_least.map(Duration::from_hours), first: Duration::from_hours(24) }
    }

    #[test]
    fn a_tick_lists_from_the_day_before_the_marks() {
        assert_eq!(listed(Some(999), recent(None)), (40, 41, true));
        assert_eq!(listed(Some(500), recent(None)), (19, 41, true));
        assert_eq!(listed(None, recent(None)), (40, 41, true));
    }

    #[test]
    fn a_sweep_lists_at_least_its_days() {
        assert_eq!(listed(Some(999), recent(Some(7 * 24))), (34, 41, true));
        assert_eq!(listed(Some(100), recent(Some(7 * 24))), (3, 41, true));
    }

    #[test]
    fn keys_without_a_date_are_listed_at_first_and_by_sweeps() {
        let is_listed = |mark: Option<i64>, range| {
            let wanted =
                SeriesPlan { series: &SERIES[0], allowed: ConsentIntervals::default(), mark: mark.map(at) };
            plan_days(&[wanted], range, at(1000)).has_undated
        };
        assert!(is_listed(None, recent(None)) && is_listed(Some(999), recent(Some(7 * 24))));
        assert!(!is_listed(Some(999), recent(None)));
    }

    #[test]
    fn a_backfill_lists_the_requested_days_and_moves_a_mark_only_if_it_leaves_no_gap() {
        let requested = |from, until| ReadRange::Requested(Interval { from: at(from), until: at(until) });
        assert_eq!(listed(Some(150), requested(100, 268)), (4, 11, true));
        assert_eq!(listed(Some(90), requested(100, 268)), (4, 11, false));
        assert_eq!(listed(None, requested(900, 2000)), (37, 41, false));
    }
}
