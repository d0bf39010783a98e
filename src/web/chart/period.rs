//! How much time a chart covers, and how that is cut.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, ZonedDateTime};

use crate::common::time::Timestamp;
use crate::model::consent_intervals::Interval;

/// How much time a chart covers.
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

    /// The stretches of time that are summed up, ending now, cut where the patient lives: half hours of a
    /// day, six hours of a week, days of a month.
    pub(crate) fn stretches(self, zone: &TimeZone, now: Timestamp) -> Vec<Interval> {
        let Some(now) = zoned(zone, now) else { return Vec::new() };
        let (count, step, minutes) = match self {
            Self::Day => (48, 30.minutes(), 30),
            Self::Week => (28, 6.hours(), 360),
            Self::Month => (30, 1.day(), MINUTES_OF_A_DAY),
        };
        back(&next(&now, minutes), count, step)
    }

    /// The local days that are summed up, the last of them today: of what has a value for each day, the view of a
    /// day shows yesterday as well, since today's is not complete.
    pub(crate) fn days(self, zone: &TimeZone, now: Timestamp) -> Vec<Day> {
        let Some(now) = zoned(zone, now) else { return Vec::new() };
        let count = match self {
            Self::Day => 2,
            Self::Week => 7,
            Self::Month => 30,
        };
        let ranges = back(&next(&now, MINUTES_OF_A_DAY), count, 1.day());
        ranges.into_iter().filter_map(|range| Day::new(zone, range)).collect()
    }

    /// How the beginning of a stretch is written below the drawing.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Day => "%H:%M",
            Self::Week => "%a %H:%M",
            Self::Month => "%-d %b",
        }
    }

    /// How a day is written below the drawing.
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

/// A day where the patient lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) range: Interval,
}

impl Day {
    fn new(zone: &TimeZone, range: Interval) -> Option<Self> {
        Some(Self { date: zoned(zone, range.from)?.date(), range })
    }
}

/// The day in which an instant lies, with the one before and the one after: where clocks differ, what counts for it
/// may be written in either.
pub(crate) fn around(zone: &TimeZone, at: Timestamp) -> Vec<Day> {
    let end = zoned(zone, at).and_then(|at| next(&at, MINUTES_OF_A_DAY).tomorrow().ok());
    let ranges = end.map(|end| back(&end, 3, 1.day())).unwrap_or_default();
    ranges.into_iter().filter_map(|range| Day::new(zone, range)).collect()
}

const MINUTES_OF_A_DAY: i64 = 1440;

fn zoned(zone: &TimeZone, at: Timestamp) -> Option<ZonedDateTime> {
    let at = jiff::Timestamp::from_microsecond(at.micros()).ok()?;
    Some(at.to_zoned_datetime(zone.clone()))
}

/// So many stretches that end at `end`, in the order of time.
fn back(end: &ZonedDateTime, count: usize, step: jiff::Span) -> Vec<Interval> {
    let mut stretches = Vec::with_capacity(count);
    let mut until = end.clone();
    for _ in 0..count {
        let Ok(from) = until.checked_sub(step) else { break };
        stretches.push(Interval { from: stamp(&from), until: stamp(&until) });
        until = from;
    }
    stretches.reverse();
    stretches
}

fn stamp(at: &ZonedDateTime) -> Timestamp {
    Timestamp::from_micros(at.timestamp().as_microsecond())
}

/// The next local time that is a multiple of so many minutes after midnight.
fn next(now: &ZonedDateTime, minutes: i64) -> ZonedDateTime {
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
        let month = Period::Month.stretches(&berlin, at("2026-11-21T12:00:00Z"));
        assert_eq!(month.len(), 30);
        assert_eq!(month[29].from, at("2026-11-20T23:00:00Z"), "midnight in Berlin");
        assert_eq!(month[0].from, at("2026-10-22T22:00:00Z"), "in October it is two hours ahead");
        let day = Period::Day.stretches(&berlin, at("2026-11-21T12:10:00Z"));
        assert_eq!((day.len(), day[47].until), (48, at("2026-11-21T12:30:00Z")));
        assert!(day.windows(2).all(|pair| pair[0].until == pair[1].from));
        let week = Period::Week.days(&berlin, at("2026-11-21T23:30:00Z"));
        assert_eq!((week.len(), week[6].date.to_string().as_str()), (7, "2026-11-22"), "past midnight there");
    }
}
