//! Days with data, which study coordinators otherwise count by hand.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use crate::common::time::{Timestamp, midnight_in};
use crate::model::consent_intervals::{Grant, Interval};

/// The part of a day that consents cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConsentCoverage {
    Full,
    Part,
    None,
}

impl ConsentCoverage {
    /// Returns the word in the adherence table.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Full => "yes",
            Self::Part => "part",
            Self::None => "no",
        }
    }
}

/// Returns the local days that `range` touches.
pub(crate) fn local_days(range: Interval, zone: &TimeZone) -> Vec<Date> {
    let date = |at: Timestamp| at.to_jiff().map(|at| zone.to_datetime(at).date());
    let last = Timestamp::from_micros(range.until.micros().saturating_sub(1));
    let (Some(first), Some(last)) = (date(range.from), date(last)) else { return Vec::new() };
    first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last).collect()
}

/// Returns the interval of a local day: 23 or 25 hours where clocks change.
pub(crate) fn day_bounds(day: Date, zone: &TimeZone) -> Option<Interval> {
    let start = |day: Date| midnight_in(zone, day).ok();
    Some(Interval { from: start(day)?, until: start(day.tomorrow().ok()?)? })
}

/// Returns the bounds for samples of the days of `range`: its own where it cuts a day, and none where it ends
/// with a day. A sample with another offset than `zone` may lie outside of the interval of its own day.
pub(crate) fn partial_day_edges(range: Interval, zone: &TimeZone) -> Interval {
    let days = local_days(range, zone);
    let bounds = |day: Option<&Date>| day.and_then(|day| day_bounds(*day, zone));
    let starts_whole = bounds(days.first()).is_some_and(|day| day.from == range.from);
    let ends_whole = bounds(days.last()).is_some_and(|day| day.until == range.until);
    Interval {
        from: if starts_whole { Timestamp::MIN } else { range.from },
        until: if ends_whole { Timestamp::MAX } else { range.until },
    }
}

pub(crate) fn consent_coverage(grants: &[Grant], range: Interval) -> ConsentCoverage {
    let mut parts: Vec<Interval> = grants
        .iter()
        .map(|grant| Interval {
            from: grant.granted.max(range.from),
            until: grant.withdrawn.unwrap_or(Timestamp::MAX).min(range.until),
        })
        .filter(|part| part.from < part.until)
        .collect();
    parts.sort_by_key(|part| part.from);
    let extend = |covered: Timestamp, part: &Interval| {
        if part.from <= covered { covered.max(part.until) } else { covered }
    };
    let covered = parts.iter().fold(range.from, extend);
    match () {
        () if parts.is_empty() => ConsentCoverage::None,
        () if covered >= range.until => ConsentCoverage::Full,
        () => ConsentCoverage::Part,
    }
}

/// The data of one day, scope and ingest mode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DayData {
    pub(crate) samples: u64,
    /// Hours of the local clock in which a sample begins.
    pub(crate) hours: BTreeSet<i8>,
}

/// Returns the local date and hour of a sample: at its own offset, or else in `zone`.
pub(crate) fn local_date_and_hour(
    at: Timestamp,
    offset_minutes: Option<i16>,
    zone: &TimeZone,
) -> Option<(Date, i8)> {
    let at = at.to_jiff()?;
    let local = match offset_minutes {
        Some(minutes) => Offset::from_seconds(i32::from(minutes) * 60).ok()?.to_datetime(at),
        None => zone.to_datetime(at),
    };
    Some((local.date(), local.hour()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_of_a_clock_change_has_23_or_25_hours() {
        let hours = |day: Date| {
            let Interval { from, until } = day_bounds(day, &berlin()).unwrap();
            until.since(from).as_secs() / 3600
        };
        assert_eq!([day("2026-03-29"), day("2026-10-25"), day("2026-11-21")].map(hours), [23, 25, 24]);
    }

    #[test]
    fn the_days_of_a_range_follow_the_patients_clock() {
        let range = Interval { from: at("2026-10-24T22:00:00Z"), until: at("2026-10-26T23:00:00Z") };
        let days = local_days(range, &berlin());
        assert_eq!(days, [day("2026-10-25"), day("2026-10-26")]);
    }

    #[test]
    fn a_range_has_edges_where_it_cuts_a_day() {
        let (midnight, noon) = (at("2026-10-24T22:00:00Z"), at("2026-10-25T11:00:00Z"));
        let edges = |from, until| partial_day_edges(Interval { from, until }, &berlin());
        let open = Interval { from: Timestamp::MIN, until: Timestamp::MAX };
        assert_eq!(edges(midnight, at("2026-10-25T23:00:00Z")), open);
        assert_eq!(edges(midnight, noon), Interval { until: noon, ..open });
        assert_eq!(edges(noon, at("2026-10-25T23:00:00Z")), Interval { from: noon, ..open });
    }

    #[test]
    fn a_sample_counts_for_the_day_at_its_place() {
        let noon = at("2026-11-21T03:30:00Z");
        assert_eq!(local_date_and_hour(noon, None, &berlin()), Some((day("2026-11-21"), 4)));
        assert_eq!(
            local_date_and_hour(noon, Some(-300), &berlin()),
            Some((day("2026-11-20"), 22)),
            "in New York"
        );
        assert_eq!(
            local_date_and_hour(noon, Some(330), &berlin()),
            Some((day("2026-11-21"), 9)),
            "in Kolkata"
        );
    }

    #[test]
    fn a_consent_covers_a_day_or_a_part_of_it() {
        let range = Interval { from: at("2026-11-21T00:00:00Z"), until: at("2026-11-22T00:00:00Z") };
        let grant = |from: &str, until: Option<&str>| Grant {
            granted: at(from),
            withdrawn: until.map(at),
            covers_from: None,
        };
        let whole = grant("2026-11-01T00:00:00Z", None);
        let morning = grant("2026-11-01T00:00:00Z", Some("2026-11-21T12:00:00Z"));
        let evening = grant("2026-11-21T12:00:00Z", None);
        let late = grant("2026-11-21T13:00:00Z", None);
        assert_eq!(consent_coverage(&[whole], range), ConsentCoverage::Full);
        assert_eq!(consent_coverage(&[evening, morning], range), ConsentCoverage::Full);
        assert_eq!(consent_coverage(&[morning, late], range), ConsentCoverage::Part);
        assert_eq!(consent_coverage(&[grant("2026-11-22T00:00:00Z", None)], range), ConsentCoverage::None);
        let refusal = grant("2026-11-21T12:00:00Z", Some("2026-11-21T12:00:00Z"));
        assert_eq!(consent_coverage(&[refusal], range), ConsentCoverage::None);
    }
}
