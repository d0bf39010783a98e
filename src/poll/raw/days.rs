//! Which days of the bucket a tick lists. Pure.
//!
//! The date in a key is that of storing, and a sample is older than its object. Whatever was stored after a tick
//! stands under the day of its mark or a later one; one day more makes up for clocks that differ.

use std::ops::RangeInclusive;

use crate::common::time::Timestamp;
use crate::model::bucket_day::Day;
use crate::poll::windows::Reach;
use crate::store::operations::poll_plan::Wanted;

/// Days to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The days, in order.
    pub days: RangeInclusive<Day>,
    /// No mark may move past this: objects of later days were not read.
    pub until: Timestamp,
    /// Whether the marks follow from this read: nothing before it is left unread.
    pub moves_marks: bool,
    /// Whether what stands under no date is listed too. An older OW has stored it so, and stores nothing there any
    /// more: at first, with the sweeps, and where somebody asks for the past.
    pub has_undated: bool,
}

/// The days for the wanted types.
pub fn days(wanted: &[Wanted], reach: Reach, now: Timestamp) -> Span {
    match reach {
        Reach::Recent { at_least, first } => {
            let hot = wanted.iter().map(|one| match one.mark {
                Some(mark) => Day::of(mark).before(),
                None => Day::of(now.minus(first)),
            });
            let swept = at_least.map(|back| Day::of(now.minus(back)));
            let from = hot.chain(swept).min().unwrap_or(Day::of(now));
            let has_undated = at_least.is_some() || wanted.iter().any(|one| one.mark.is_none());
            Span { days: from..=Day::of(now), until: now, moves_marks: true, has_undated }
        }
        Reach::Asked(asked) => {
            let until = asked.until.min(now);
            let joins = |one: &Wanted| one.mark.is_some_and(|mark| asked.from <= mark);
            let moves_marks = wanted.iter().all(joins);
            Span { days: Day::of(asked.from)..=Day::of(until), until, moves_marks, has_undated: true }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::SERIES;
    use crate::model::consent_intervals::Allowed;
    use crate::model::consent_intervals::Interval;
    use std::time::Duration;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_micros(hour * 3_600_000_000)
    }

    fn listed(mark: Option<i64>, reach: Reach) -> (i64, i64, bool) {
        let wanted = Wanted { series: &SERIES[0], allowed: Allowed::default(), mark: mark.map(at) };
        let span = days(&[wanted], reach, at(1000));
        (span.days.start().number(), span.days.end().number(), span.moves_marks)
    }

    fn recent(at_least: Option<u64>) -> Reach {
        Reach::Recent { at_least: at_least.map(Duration::from_hours), first: Duration::from_hours(24) }
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
    fn what_stands_under_no_date_is_listed_at_first_and_by_sweeps() {
        let is_listed = |mark: Option<i64>, reach| {
            let wanted = Wanted { series: &SERIES[0], allowed: Allowed::default(), mark: mark.map(at) };
            days(&[wanted], reach, at(1000)).has_undated
        };
        assert!(is_listed(None, recent(None)) && is_listed(Some(999), recent(Some(7 * 24))));
        assert!(!is_listed(Some(999), recent(None)));
    }

    #[test]
    fn the_past_is_listed_as_asked_and_moves_a_mark_only_where_it_joins_it() {
        let asked = |from, until| Reach::Asked(Interval { from: at(from), until: at(until) });
        assert_eq!(listed(Some(150), asked(100, 268)), (4, 11, true));
        assert_eq!(listed(Some(90), asked(100, 268)), (4, 11, false));
        assert_eq!(listed(None, asked(900, 2000)), (37, 41, false));
    }
}
