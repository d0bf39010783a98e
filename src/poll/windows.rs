//! Which time ranges a tick asks OW for. Pure.
//!
//! OW filters by sample time only, and rings sync late: so a window is wider than the mark, the mark is
//! the newest sample time and never a wall clock, and what is wide is read in slices, in order.

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::model::catalog::series_type::{Origin, Series};
use crate::model::consent_intervals::Interval;
use crate::store::operations::poll_plan::Wanted;

/// How far behind the mark a hot read begins: a ring that synced late by a morning is caught by the next
/// tick, and a re-read of six hours is one page.
const OVERLAP: Duration = Duration::from_hours(6);
/// Types whose windows begin within this time of each other share a request: a weight from two months ago
/// must not re-read two months of heart rate.
const SHARED_WITHIN: Duration = Duration::from_hours(6);
/// The longest range of one request series. The mark moves, and a backfill can resume, per slice.
pub const SLICE: Duration = Duration::from_hours(7 * 24);

/// How far a read reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From the mark to now; at least this far back.
    Recent {
        /// How far back in any case, for the rarer sweeps that catch late data.
        at_least: Option<Duration>,
        /// How far back where there is no mark yet.
        first: Duration,
    },
    /// As somebody asked.
    Asked(Interval),
}

/// A time range to be read with one series of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Which rows of the catalogue, all of which come in one answer.
    pub series: Vec<&'static Series>,
    /// Which time; not longer than [`SLICE`], unless one page holds all of it.
    pub range: Interval,
    /// Whether the marks of the types follow from this read: nothing before it is left unread.
    pub moves_marks: bool,
}

impl Window {
    /// Whether `next` is the slice that follows this one.
    pub fn goes_on_in(&self, next: &Self) -> bool {
        self.series == next.series && self.range.until == next.range.from
    }

    /// Several slices as the one range that they are; none where it is one slice.
    pub fn whole(slices: &[Self]) -> Option<Self> {
        let [first, .., last] = slices else { return None };
        Some(Self { range: Interval { until: last.range.until, ..first.range }, ..first.clone() })
    }
}

/// The windows for the wanted types, in the order in which they are to be read.
pub fn windows(wanted: &[Wanted], reach: Reach, now: Timestamp) -> Vec<Window> {
    let mut reads: Vec<(Interval, bool, &Wanted)> = wanted
        .iter()
        .map(|wanted| {
            let (range, moves_marks) = range(wanted, reach, now);
            (range, moves_marks, wanted)
        })
        .collect();
    reads.sort_by_key(|(range, _, wanted)| (place(wanted.series.origin), range.from));
    let mut windows = Vec::new();
    let mut rest = reads.as_slice();
    while let Some((first, ..)) = rest.first() {
        let Wanted { series, allowed, .. } = rest[0].2;
        let together = |(range, _, wanted): &&(Interval, bool, &Wanted)| {
            let is_shared = wanted.series.origin.shares_request(series.origin);
            is_shared && range.from.since(first.from) <= SHARED_WITHIN && wanted.allowed == *allowed
        };
        let count = rest.iter().take_while(together).count();
        let (group, others) = rest.split_at(count);
        let series: Vec<_> = group.iter().map(|(.., wanted)| wanted.series).collect();
        let moves_marks = group.iter().all(|(_, moves, _)| *moves);
        for range in allowed.cut(*first).flat_map(slices) {
            windows.push(Window { series: series.clone(), range, moves_marks });
        }
        rest = others;
    }
    windows
}

/// Samples first: they are what is waited for.
fn place(origin: Origin) -> u8 {
    match origin {
        Origin::Timeseries(_) => 0,
        Origin::Sleep => 1,
        Origin::Workouts => 2,
        Origin::Activity => 3,
    }
}

fn range(wanted: &Wanted, reach: Reach, now: Timestamp) -> (Interval, bool) {
    match reach {
        Reach::Recent { at_least, first } => {
            let hot = wanted.mark.map_or(now.minus(first), |mark| mark.minus(OVERLAP));
            let from = at_least.map_or(hot, |back| hot.min(now.minus(back)));
            (Interval { from, until: now }, true)
        }
        Reach::Asked(asked) => {
            let joins = wanted.mark.is_some_and(|mark| asked.from <= mark);
            (Interval { from: asked.from, until: asked.until.min(now) }, joins)
        }
    }
}

/// Cuts a range into slices of at most [`SLICE`], in order.
pub fn slices(range: Interval) -> impl Iterator<Item = Interval> {
    let mut from = range.from;
    std::iter::from_fn(move || {
        (from < range.until).then(|| {
            let slice = Interval { from, until: from.plus(SLICE).min(range.until) };
            from = slice.until;
            slice
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::SERIES;
    use crate::model::consent_intervals::Allowed;
    use crate::model::consent_intervals::Grant;

    const DAY: i64 = 24;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_micros(hour * 3_600_000_000)
    }

    fn wanted(mark: Option<i64>) -> Wanted {
        let grants = [Grant { granted: at(0), withdrawn: None }];
        Wanted { series: &SERIES[0], allowed: Allowed::from_grants(&grants), mark: mark.map(at) }
    }

    fn hot(at_least: Option<i64>) -> Reach {
        let hours = |hours: i64| Duration::from_hours(hours.unsigned_abs());
        Reach::Recent { at_least: at_least.map(hours), first: hours(DAY) }
    }

    fn hours(windows: &[Window]) -> Vec<(i64, i64)> {
        windows.iter().map(|window| (window.range.from.hour(), window.range.until.hour())).collect()
    }

    #[test]
    fn a_hot_read_begins_six_hours_before_the_mark_and_one_day_back_without_a_mark() {
        assert_eq!(hours(&windows(&[wanted(Some(990))], hot(None), at(1000))), [(984, 1000)]);
        assert_eq!(hours(&windows(&[wanted(None)], hot(None), at(1000))), [(976, 1000)]);
    }

    #[test]
    fn an_outage_leaves_no_hole_however_long_it_was() {
        let windows = windows(&[wanted(Some(500))], hot(None), at(1000));
        assert_eq!(hours(&windows), [(494, 662), (662, 830), (830, 998), (998, 1000)]);
        assert!(windows.iter().all(|window| window.moves_marks));
    }

    #[test]
    fn a_sweep_reads_at_least_its_range_and_never_less_than_the_hot_one() {
        assert_eq!(hours(&windows(&[wanted(Some(990))], hot(Some(7 * DAY)), at(1000))), [(832, 1000)]);
        assert_eq!(
            hours(&windows(&[wanted(Some(800))], hot(Some(DAY)), at(1000))),
            [(794, 962), (962, 1000)]
        );
    }

    #[test]
    fn a_read_of_the_past_moves_the_mark_only_where_it_joins_it() {
        let asked = |from, until| Reach::Asked(Interval { from: at(from), until: at(until) });
        assert!(windows(&[wanted(Some(150))], asked(100, 200), at(1000))[0].moves_marks);
        assert!(!windows(&[wanted(Some(90))], asked(100, 200), at(1000))[0].moves_marks);
        assert!(!windows(&[wanted(None)], asked(100, 200), at(1000))[0].moves_marks);
    }

    #[test]
    fn nothing_is_asked_beyond_now() {
        let asked = Reach::Asked(Interval { from: at(900), until: at(2000) });
        assert_eq!(hours(&windows(&[wanted(None)], asked, at(1000))), [(900, 1000)]);
        let future = Reach::Asked(Interval { from: at(1500), until: at(2000) });
        assert_eq!(windows(&[wanted(None)], future, at(1000)), []);
    }

    #[test]
    fn windows_are_cut_to_what_the_patient_allows() {
        let grants =
            [Grant { granted: at(0), withdrawn: Some(at(985)) }, Grant { granted: at(995), withdrawn: None }];
        let wanted = Wanted { allowed: Allowed::from_grants(&grants), ..wanted(Some(990)) };
        assert_eq!(hours(&windows(&[wanted], hot(None), at(1000))), [(984, 985), (995, 1000)]);
    }

    #[test]
    fn types_share_a_request_only_where_their_windows_begin_together() {
        let near = [wanted(Some(990)), wanted(Some(986))];
        let shared = windows(&near, hot(None), at(1000));
        assert_eq!((hours(&shared), shared[0].series.len()), (vec![(980, 1000)], 2));
        let far = [wanted(Some(990)), wanted(Some(900))];
        assert_eq!(hours(&windows(&far, hot(None), at(1000))), [(894, 1000), (984, 1000)]);
    }
}
