//! The period that a chart covers, and its division into intervals.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, ZonedDateTime};

use crate::common::time::Timestamp;
use crate::model::consent_intervals::Interval;

/// A period that ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    Day,
    Week,
    Month,
}

impl Period {
    pub(crate) const ALL: &[Self] = &[Self::Day, Self::Week, Self::Month];

    pub(crate) fn parse(text: &str) -> Self {
        Self::ALL.iter().copied().find(|period| period.as_str() == text).unwrap_or(Self::Day)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Returns the intervals to summarize, in the patient's time zone: half hours of a day, six hours of a week, days
    /// of a month. The last one contains `now`.
    pub(crate) fn intervals(self, zone: &TimeZone, now: Timestamp) -> Vec<Interval> {
        let Some(now) = to_local(zone, now) else { return Vec::new() };
        let (count, step, minutes) = match self {
            Self::Day => (48, 30.minutes(), 30),
            Self::Week => (28, 6.hours(), 360),
            Self::Month => (30, 1.day(), MINUTES_OF_A_DAY),
        };
        intervals_before(&next_boundary(&now, minutes), count, step)
    }

    /// Returns the local days to summarize, up to today. The period of a day includes yesterday, since today is not
    /// complete.
    pub(crate) fn days(self, zone: &TimeZone, now: Timestamp) -> Vec<Day> {
        let Some(now) = to_local(zone, now) else { return Vec::new() };
        let count = match self {
            Self::Day => 2,
            Self::Week => 7,
            Self::Month => 30,
        };
        let ranges = intervals_before(&next_boundary(&now, MINUTES_OF_A_DAY), count, 1.day());
        ranges.into_iter().filter_map(|range| Day::new(zone, range)).collect()
    }

    /// Time format of the labels below a chart of intervals.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Day => "%H:%M",
            Self::Week => "%a %H:%M",
            Self::Month => "%-d %b",
        }
    }

    /// Time format of the labels below a chart of days.
    pub(crate) fn day_label(self) -> &'static str {
        match self {
            Self::Day | Self::Week => "%a",
            Self::Month => "%-d %b",
        }
    }

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Day => "the last 24 hours",
            Self::Week => "the last 7 days",
            Self::Month => "the last 30 days",
        }
    }
}

/// A calendar day in the patient's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) range: Interval,
}

impl Day {
    fn new(zone: &TimeZone, range: Interval) -> Option<Self> {
        Some(Self { date: to_local(zone, range.from)?.date(), range })
    }
}

/// Returns the day of an instant, with the day before and after: a device's clock in another time zone may assign a
/// value to either.
pub(crate) fn days_around(zone: &TimeZone, at: Timestamp) -> Vec<Day> {
    let end = to_local(zone, at).and_then(|at| next_boundary(&at, MINUTES_OF_A_DAY).tomorrow().ok());
    let ranges = end.map(|end| intervals_before(&end, 3, 1.day())).unwrap_or_default();
    ranges.into_iter().filter_map(|range| Day::new(zone, range)).collect()
}

const MINUTES_OF_A_DAY: i64 = 1440;

fn to_local(zone: &TimeZone, at: Timestamp) -> Option<ZonedDateTime> {
    let at = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
    Some(at.to_zoned_datetime(zone.clone()))
}

/// Returns `count` consecutive intervals that end at `end`, oldest first.
fn intervals_before(end: &ZonedDateTime, count: usize, step: jiff::Span) -> Vec<Interval> {
    let mut intervals = Vec::with_capacity(count);
    let mut until = end.clone();
    for _ in 0..count {
        let Ok(from) = until.checked_sub(step) else { break };
        intervals.push(Interval { from: to_timestamp(&from), until: to_timestamp(&until) });
        until = from;
    }
    intervals.reverse();
    intervals
}

fn to_timestamp(at: &ZonedDateTime) -> Timestamp {
    Timestamp::from_micros(at.timestamp().as_microsecond())
}

/// Returns the next local time that is a multiple of `minutes` after midnight.
fn next_boundary(now: &ZonedDateTime, minutes: i64) -> ZonedDateTime {
    let Ok(midnight) = now.start_of_day() else { return now.clone() };
    if minutes == MINUTES_OF_A_DAY {
        return midnight.tomorrow().unwrap_or(midnight);
    }
    let passed = (i64::from(now.hour()) * 60 + i64::from(now.minute())) / minutes + 1;
    let wall = midnight.datetime().checked_add((passed * minutes).minutes());
    wall.and_then(|wall| wall.to_zoned_datetime(now.time_zone().clone())).unwrap_or_else(|_| now.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_period_is_cut_where_the_patient_lives() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let month = Period::Month.intervals(&berlin, at("2026-11-21T12:00:00Z"));
        assert_eq!(month.len(), 30);
        assert_eq!(month[29].from, at("2026-11-20T23:00:00Z"), "midnight in Berlin");
        assert_eq!(month[0].from, at("2026-10-22T22:00:00Z"), "in October it is two hours ahead");
        let day = Period::Day.intervals(&berlin, at("2026-11-21T12:10:00Z"));
        assert_eq!((day.len(), day[47].until), (48, at("2026-11-21T12:30:00Z")));
        assert!(day.windows(2).all(|pair| pair[0].until == pair[1].from));
        let week = Period::Week.days(&berlin, at("2026-11-21T23:30:00Z"));
        assert_eq!((week.len(), week[6].date.to_string().as_str()), (7, "2026-11-22"), "past midnight there");
    }
}
