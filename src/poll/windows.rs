//! Plans the time ranges that a tick requests from OW. Pure.
//!
//! OW filters by sample time only, and rings sync late. So a window begins before the mark, the mark is the
//! newest sample time and never a wall clock, and a long range is read in slices, in order.

use std::time::Duration;

use crate::common::time::Timestamp;
use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::consent_intervals::Interval;
use crate::store::operations::poll_plan::SeriesPlan;

/// Start of a hot read before the mark: the next tick catches a ring that synced a morning late, and to read
/// six hours again is one page.
const OVERLAP: Duration = Duration::from_hours(6);
/// Types share a request only if their windows begin within this time of each other: a weight of two months
/// ago must not cause two months of heart rate to be read again.
const SHARED_WITHIN: Duration = Duration::from_hours(6);
/// Longest range of one series of pages. The mark moves, and a backfill can resume, per slice.
pub const SLICE: Duration = Duration::from_hours(7 * 24);

/// The time that one read covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadRange {
    /// From the mark to now.
    Recent {
        /// Minimum length of a sweep, which catches late data.
        at_least: Option<Duration>,
        /// Length where there is no mark yet.
        first: Duration,
    },
    /// A backfill.
    Requested(Interval),
}

/// A time range to read with one series of pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Series types that OW returns in the same response.
    pub series: Vec<&'static SeriesType>,
    /// At most [`SLICE`] long, unless one page may hold all of it.
    pub range: Interval,
    /// True if everything before the range has been read, so that this read may move the marks.
    pub moves_marks: bool,
}

impl Window {
    pub fn is_followed_by(&self, next: &Self) -> bool {
        self.series == next.series && self.range.until == next.range.from
    }

    /// Joins several slices into one range; returns none for a single slice.
    pub fn join(slices: &[Self]) -> Option<Self> {
        let [first, .., last] = slices else { return None };
        Some(Self { range: Interval { until: last.range.until, ..first.range }, ..first.clone() })
    }
}

/// Returns the windows for `wanted` in the order in which to read them.
pub fn windows(wanted: &[SeriesPlan], range: ReadRange, now: Timestamp) -> Vec<Window> {
    let mut reads: Vec<(Interval, bool, &SeriesPlan)> = wanted
        .iter()
        .map(|wanted| {
            let (range, moves_marks) = series_range(wanted, range, now);
            (range, moves_marks, wanted)
        })
        .collect();
    reads.sort_by_key(|(range, _, wanted)| (priority(wanted.series.origin), range.from));
    let mut windows = Vec::new();
    let mut rest = reads.as_slice();
    while let Some((first, _, SeriesPlan { series, allowed, .. })) = rest.first() {
        let shares_request = |(range, _, wanted): &&(Interval, bool, &SeriesPlan)| {
            wanted.series.origin.shares_request(series.origin)
                && range.from.since(first.from) <= SHARED_WITHIN
                && wanted.allowed == *allowed
        };
        let (group, others) = rest.split_at(rest.iter().take_while(shares_request).count());
        let series: Vec<_> = group.iter().map(|(.., wanted)| wanted.series).collect();
        let moves_marks = group.iter().all(|(_, moves, _)| *moves);
        for range in allowed.cut(*first).flat_map(slices) {
            windows.push(Window { series: series.clone(), range, moves_marks });
        }
        rest = others;
    }
    windows
}

/// Returns the rank of an endpoint: samples come first, since users wait for them.
fn priority(origin: OwEndpoint) -> u8 {
    match origin {
        OwEndpoint::Timeseries(_) => 0,
        OwEndpoint::Sleep => 1,
        OwEndpoint::Workouts => 2,
        OwEndpoint::Activity => 3,
    }
}

/// Returns the range to read for one type, and whether the read may move its mark.
fn series_range(wanted: &SeriesPlan, range: ReadRange, now: Timestamp) -> (Interval, bool) {
    match range {
        ReadRange::Recent { at_least, first } => {
            let hot = wanted.mark.map_or(now.minus(first), |mark| mark.minus(OVERLAP));
            let from = at_least.map_or(hot, |back| hot.min(now.minus(back)));
            (Interval { from, until: now }, true)
        }
        ReadRange::Requested(Interval { from, until }) => {
            // A range that begins after the mark would leave a gap between the two.
            let moves_mark = wanted.mark.is_some_and(|mark| from <= mark);
            (Interval { from, until: until.min(now) }, moves_mark)
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
    use crate::model::consent_intervals::ConsentIntervals;
    use crate::model::consent_intervals::Grant;

    const DAY: i64 = 24;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_micros(hour * 3_600_000_000)
    }

    fn wanted(mark: Option<i64>) -> SeriesPlan {
        let grants = [Grant { granted: at(0), withdrawn: None, covers_from: None }];
        SeriesPlan { series: &SERIES[0], allowed: ConsentIntervals::from_grants(&grants), mark: mark.map(at) }
    }

    fn hot(at_least: Option<i64>) -> ReadRange {
        let hours = |hours: i64| Duration::from_hours(hours.unsigned_abs());
        ReadRange::Recent { at_least: at_least.map(hours), first: hours(DAY) }
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
    fn an_outage_of_any_length_leaves_no_gap() {
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
    fn a_backfill_moves_the_mark_only_if_it_leaves_no_gap() {
        let requested = |from, until| ReadRange::Requested(Interval { from: at(from), until: at(until) });
        assert!(windows(&[wanted(Some(150))], requested(100, 200), at(1000))[0].moves_marks);
        assert!(!windows(&[wanted(Some(90))], requested(100, 200), at(1000))[0].moves_marks);
        assert!(!windows(&[wanted(None)], requested(100, 200), at(1000))[0].moves_marks);
    }

    #[test]
    fn no_window_ends_after_now() {
        let requested = ReadRange::Requested(Interval { from: at(900), until: at(2000) });
        assert_eq!(hours(&windows(&[wanted(None)], requested, at(1000))), [(900, 1000)]);
        let future = ReadRange::Requested(Interval { from: at(1500), until: at(2000) });
        assert_eq!(windows(&[wanted(None)], future, at(1000)), []);
    }

    #[test]
    fn windows_are_cut_to_the_consented_intervals() {
        let grants = [
            Grant { granted: at(0), withdrawn: Some(at(985)), covers_from: None },
            Grant { granted: at(995), withdrawn: None, covers_from: None },
        ];
        let wanted = SeriesPlan { allowed: ConsentIntervals::from_grants(&grants), ..wanted(Some(990)) };
        assert_eq!(hours(&windows(&[wanted], hot(None), at(1000))), [(984, 985), (995, 1000)]);
    }

    #[test]
    fn types_share_a_request_only_if_their_windows_begin_together() {
        let near = [wanted(Some(990)), wanted(Some(986))];
        let shared = windows(&near, hot(None), at(1000));
        assert_eq!((hours(&shared), shared[0].series.len()), (vec![(980, 1000)], 2));
        let far = [wanted(Some(990)), wanted(Some(900))];
        assert_eq!(hours(&windows(&far, hot(None), at(1000))), [(894, 1000), (984, 1000)]);
    }
}
