//! Days with data: what a study coordinator counts by hand. Pure.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::Timestamp;
use crate::model::consent_intervals::{Grant, Interval};

/// Whether a patient agreed on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consented {
    /// All day.
    Yes,
    /// Some of the day.
    Part,
    /// Not at all.
    No,
}

impl Consented {
    /// As the table writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Part => "part",
            Self::No => "no",
        }
    }
}

/// The days from that of `range`'s begin to that of its last instant, as clocks read them in `zone`.
pub fn days(range: Interval, zone: &TimeZone) -> Vec<Date> {
    let date = |at: Timestamp| {
        jiff::Timestamp::from_microsecond(at.micros()).ok().map(|at| zone.to_datetime(at).date())
    };
    let last = Timestamp::from_micros(range.until.micros().saturating_sub(1));
    let (Some(first), Some(last)) = (date(range.from), date(last)) else { return Vec::new() };
    first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last).collect()
}

/// A day from its first instant to the first of the next: 23 or 25 hours where clocks are set.
pub fn bounds(day: Date, zone: &TimeZone) -> Option<Interval> {
    let start = |day: Date| {
        let start = zone.to_ambiguous_zoned_datetime(day.at(0, 0, 0, 0)).compatible().ok()?;
        Some(Timestamp::from_micros(start.timestamp().as_microsecond()))
    };
    Some(Interval { from: start(day)?, until: start(day.tomorrow().ok()?)? })
}

/// Of a day that `range` cuts, samples count from there or up to there. Whole days have no such edge: whose clock reads
/// otherwise than `zone` has them at other instants.
pub fn edges(range: Interval, zone: &TimeZone) -> Interval {
    let days = days(range, zone);
    let edge = |day: Option<&Date>| day.and_then(|day| bounds(*day, zone));
    let is_whole_before = edge(days.first()).is_some_and(|day| day.from == range.from);
    let is_whole_after = edge(days.last()).is_some_and(|day| day.until == range.until);
    Interval {
        from: if is_whole_before { Timestamp::MIN } else { range.from },
        until: if is_whole_after { Timestamp::MAX } else { range.until },
    }
}

/// Whether grants cover a stretch of time.
pub fn consented(grants: &[Grant], range: Interval) -> Consented {
    let mut parts: Vec<Interval> = grants
        .iter()
        .map(|grant| Interval {
            from: grant.granted.max(range.from),
            until: grant.withdrawn.unwrap_or(Timestamp::MAX).min(range.until),
        })
        .filter(|part| part.from < part.until)
        .collect();
    parts.sort_by_key(|part| part.from);
    let covered =
        parts.iter().fold(
            range.from,
            |covered, part| {
                if part.from <= covered { covered.max(part.until) } else { covered }
            },
        );
    match () {
        () if parts.is_empty() => Consented::No,
        () if covered >= range.until => Consented::Yes,
        () => Consented::Part,
    }
}

/// What one day of one scope has, in one mode of ingestion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Day {
    /// Samples.
    pub samples: u64,
    /// Hours of the local clock in which one began.
    pub hours: BTreeSet<i8>,
}

/// Where a sample counts: the day and the hour that the clock reads, that which the sample tells of or else `zone`'s.
pub fn place(at: Timestamp, offset_minutes: Option<i16>, zone: &TimeZone) -> Option<(Date, i8)> {
    let moment = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
    let local = match offset_minutes {
        Some(minutes) => jiff::tz::Offset::from_seconds(i32::from(minutes) * 60).ok()?.to_datetime(moment),
        None => zone.to_datetime(moment),
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
    fn a_day_on_which_clocks_are_set_has_23_or_25_hours() {
        let hours = |day: Date| {
            let Interval { from, until } = bounds(day, &berlin()).unwrap();
            until.since(from).as_secs() / 3600
        };
        assert_eq!([day("2026-03-29"), day("2026-10-25"), day("2026-11-21")].map(hours), [23, 25, 24]);
    }

    #[test]
    fn the_days_of_a_stretch_are_those_of_the_patients_clock() {
        let range = Interval { from: at("2026-10-24T22:00:00Z"), until: at("2026-10-26T23:00:00Z") };
        let days = days(range, &berlin());
        assert_eq!(days, [day("2026-10-25"), day("2026-10-26")]);
    }

    #[test]
    fn a_stretch_has_edges_where_it_cuts_a_day() {
        let (midnight, noon) = (at("2026-10-24T22:00:00Z"), at("2026-10-25T11:00:00Z"));
        let edges = |from, until| edges(Interval { from, until }, &berlin());
        let open = Interval { from: Timestamp::MIN, until: Timestamp::MAX };
        assert_eq!(edges(midnight, at("2026-10-25T23:00:00Z")), open);
        assert_eq!(edges(midnight, noon), Interval { until: noon, ..open });
        assert_eq!(edges(noon, at("2026-10-25T23:00:00Z")), Interval { from: noon, ..open });
    }

    #[test]
    fn a_sample_counts_where_the_patient_was() {
        let noon = at("2026-11-21T03:30:00Z");
        assert_eq!(place(noon, None, &berlin()), Some((day("2026-11-21"), 4)));
        assert_eq!(place(noon, Some(-300), &berlin()), Some((day("2026-11-20"), 22)), "in New York");
        assert_eq!(place(noon, Some(330), &berlin()), Some((day("2026-11-21"), 9)), "in Kolkata");
    }

    #[test]
    fn a_consent_covers_a_day_or_a_part_of_it() {
        let range = Interval { from: at("2026-11-21T00:00:00Z"), until: at("2026-11-22T00:00:00Z") };
        let grant = |from: &str, until: Option<&str>| Grant { granted: at(from), withdrawn: until.map(at) };
        let whole = grant("2026-11-01T00:00:00Z", None);
        let morning = grant("2026-11-01T00:00:00Z", Some("2026-11-21T12:00:00Z"));
        let evening = grant("2026-11-21T12:00:00Z", None);
        let late = grant("2026-11-21T13:00:00Z", None);
        assert_eq!(consented(&[whole], range), Consented::Yes);
        assert_eq!(consented(&[evening, morning], range), Consented::Yes);
        assert_eq!(consented(&[morning, late], range), Consented::Part);
        assert_eq!(consented(&[grant("2026-11-22T00:00:00Z", None)], range), Consented::No);
        let refusal = grant("2026-11-21T12:00:00Z", Some("2026-11-21T12:00:00Z"));
        assert_eq!(consented(&[refusal], range), Consented::No);
    }
}
