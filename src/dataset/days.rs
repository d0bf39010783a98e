//! Days of a participant and a data type: samples, hours, wear time, gaps and delays. Pure: it is given the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, ZoneOffset, midnight_in, offset_at};
use crate::model::consent_intervals::{ConsentIntervals, Interval};

/// Minutes of the longest day, and a few more: 25 hours.
const WORDS: usize = 24;
/// Days without data have a row at most this long before the first grant: OW fetches a year of the past, and a device
/// with a wrong clock may measure in 1970.
const BEFORE_GRANT: Duration = Duration::from_hours(366 * 24);
/// Heart rates at most this far apart are one time of wearing: the slowest providers measure every 5 to 10 minutes.
const WEAR_GAP: usize = 15;

/// The minutes of a local day with a measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Minutes([u64; WORDS]);

impl Minutes {
    fn set(&mut self, from: usize, until: usize) {
        for minute in from..until.min(WORDS * 64) {
            self.0[minute / 64] |= 1 << (minute % 64);
        }
    }

    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let is_set = |minute: &usize| self.0[minute / 64] & (1 << (minute % 64)) != 0;
        (0..WORDS * 64).filter(is_set)
    }
}

/// Counts of one day.
#[derive(Debug, Clone, Default)]
struct Found {
    /// Samples of the normalized and of the raw mode.
    samples: [u64; 2],
    minutes: Minutes,
    /// Samples with a delay, and the sum of the delays in minutes.
    delayed: u64,
    delay_minutes: u64,
}

/// The part of a day that consents cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    Full,
    Part,
    None,
}

impl Coverage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "yes",
            Self::Part => "part",
            Self::None => "no",
        }
    }
}

/// One day of a data type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    pub date: Date,
    pub consented: Coverage,
    pub expected_minutes: i64,
    pub samples: u64,
    /// None if the data type has totals of days only.
    pub hours: Option<i64>,
    /// Heart rate only.
    pub wear_minutes: Option<i64>,
    pub longest_gap_minutes: Option<i64>,
    pub delay_minutes: Option<i64>,
}

/// Gathers the days of one participant and data type.
#[derive(Debug)]
pub struct Days<'a> {
    zone: &'a TimeZone,
    allowed: &'a ConsentIntervals,
    /// Measures the wear time.
    is_heart_rate: bool,
    found: BTreeMap<Date, Found>,
    /// The day of the last row, which is taken out of `found`.
    open: Option<(Date, Found)>,
    has_instants: bool,
    first_grant: Timestamp,
    /// The day of the last row and its foreign offset, with its bounds: most rows share them.
    last: Option<(DayKey, Interval)>,
}

/// A date, and the offset of a traveller's row: it differs from the zone's.
type DayKey = (Date, Option<ZoneOffset>);

/// A row's contribution to its day.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    pub date: Date,
    /// The measured interval; an instant has a zero length. None for a value of a whole day.
    pub interval: Option<Interval>,
    pub is_raw: bool,
    /// The row's own offset.
    pub offset: Option<ZoneOffset>,
    /// From the end of the measurement to its arrival; none for a corrected value, which arrived before.
    pub delay: Option<Duration>,
}

impl<'a> Days<'a> {
    pub fn new(
        zone: &'a TimeZone,
        allowed: &'a ConsentIntervals,
        is_heart_rate: bool,
        first_grant: Timestamp,
    ) -> Self {
        let (found, open, has_instants, last) = (BTreeMap::new(), None, false, None);
        Self { zone, allowed, is_heart_rate, found, open, has_instants, first_grant, last }
    }

    pub fn add(&mut self, row: Counted) {
        if self.open.as_ref().is_none_or(|(date, _)| *date != row.date) {
            let next = self.found.remove(&row.date).unwrap_or_default();
            self.found.extend(self.open.replace((row.date, next)));
        }
        let Some((_, day)) = &mut self.open else { return };
        day.samples[usize::from(row.is_raw)] += 1;
        if let Some(delay) = row.delay {
            day.delayed += 1;
            day.delay_minutes += delay.as_secs() / 60;
        }
        let Some(interval) = row.interval else { return };
        self.has_instants = true;
        let foreign = row.offset.filter(|own| *own != offset_at(self.zone, interval.from));
        let key = (row.date, foreign);
        if self.last.is_none_or(|(last, _)| last != key) {
            let found = match foreign {
                Some(own) => bounds(row.date, &own.time_zone()),
                None => bounds(row.date, self.zone),
            };
            self.last = found.map(|bounds| (key, bounds));
        }
        let Some((_, bounds)) = self.last else { return };
        // A night begins on the day before.
        if interval.until < bounds.from || bounds.until <= interval.from {
            return;
        }
        let from = minutes_between(bounds.from, interval.from);
        let until = minutes_between(bounds.from, interval.until.min(bounds.until)).max(from + 1);
        day.minutes.set(from, until);
    }

    /// Returns the days with data, and those without from the first one with data to that of `as_of`.
    pub fn finish(mut self, as_of: Timestamp) -> Vec<Day> {
        self.found.extend(self.open.take());
        let Some((&first, _)) = self.found.first_key_value() else { return Vec::new() };
        let date = |at: Timestamp| at.to_jiff().map_or(first, |at| self.zone.to_datetime(at).date());
        let (begin, today) = (first.max(date(self.first_grant.minus(BEFORE_GRANT))), date(as_of));
        let without = begin.series(jiff::Span::new().days(1)).take_while(|date| *date <= today);
        let dates: BTreeSet<Date> = self.found.keys().copied().chain(without).collect();
        dates.into_iter().filter_map(|date| self.day(date, as_of)).collect()
    }

    fn day(&self, date: Date, as_of: Timestamp) -> Option<Day> {
        let whole = bounds(date, self.zone)?;
        let passed = Interval { from: whole.from, until: whole.until.min(as_of.max(whole.from)) };
        let covered = |range: Interval| -> Duration {
            self.allowed.cut(range).map(|part| part.until.since(part.from)).sum()
        };
        let (length, consented) = (whole.until.since(whole.from), covered(whole));
        let found = self.found.get(&date).cloned().unwrap_or_default();
        let instants = || self.has_instants.then_some(&found.minutes);
        Some(Day {
            date,
            consented: match () {
                () if consented >= length => Coverage::Full,
                () if consented.is_zero() => Coverage::None,
                () => Coverage::Part,
            },
            expected_minutes: minutes(covered(passed)),
            samples: found.samples[0].max(found.samples[1]),
            hours: instants().map(hours),
            wear_minutes: instants().filter(|_| self.is_heart_rate).map(wear),
            longest_gap_minutes: instants().map(|minutes| self.longest_gap(minutes, passed)),
            delay_minutes: (found.delayed > 0)
                .then(|| i64::try_from(found.delay_minutes / found.delayed).unwrap_or(i64::MAX)),
        })
    }

    /// Returns the longest time without a measurement in the consented parts of a day.
    fn longest_gap(&self, found: &Minutes, passed: Interval) -> i64 {
        let mut longest = 0;
        for part in self.allowed.cut(passed) {
            let (start, end) =
                (minutes_between(passed.from, part.from), minutes_between(passed.from, part.until));
            let mut last = start;
            for minute in found.iter().filter(|minute| (start..end).contains(minute)) {
                longest = longest.max(minute - last);
                last = minute;
            }
            longest = longest.max(end.saturating_sub(last));
        }
        i64::try_from(longest).unwrap_or(i64::MAX)
    }
}

/// Returns the interval of a local day: 23 to 25 hours.
fn bounds(date: Date, zone: &TimeZone) -> Option<Interval> {
    let from = midnight_in(zone, date).ok()?;
    Some(Interval { from, until: midnight_in(zone, date.tomorrow().ok()?).ok()? })
}

fn minutes(length: Duration) -> i64 {
    i64::try_from(length.as_secs() / 60).unwrap_or(i64::MAX)
}

fn minutes_between(from: Timestamp, until: Timestamp) -> usize {
    usize::try_from(until.since(from).as_secs() / 60).unwrap_or(usize::MAX)
}

fn hours(found: &Minutes) -> i64 {
    let mut hours: Vec<usize> = found.iter().map(|minute| minute / 60).collect();
    hours.dedup();
    i64::try_from(hours.len()).unwrap_or(i64::MAX)
}

fn wear(found: &Minutes) -> i64 {
    let minutes: Vec<usize> = found.iter().collect();
    let worn = minutes.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap <= WEAR_GAP);
    i64::try_from(worn.sum::<usize>()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::consent_intervals::Grant;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn allowed(granted: &str, covers_from: Option<&str>) -> ConsentIntervals {
        let grant = Grant { granted: at(granted), withdrawn: None, covers_from: covers_from.map(at) };
        ConsentIntervals::ever_allowed(&[grant])
    }

    fn row(at: Timestamp, date: &str) -> Counted {
        let interval = Some(Interval { from: at, until: at });
        let (date, delay) = (date.parse().unwrap(), Some(Duration::from_mins(30)));
        Counted { date, interval, is_raw: false, offset: None, delay }
    }

    #[test]
    fn a_day_counts_samples_hours_wear_time_gaps_and_delays() {
        let (zone, allowed) =
            (TimeZone::get("Europe/Berlin").unwrap(), allowed("2026-11-01T00:00:00Z", None));
        let mut days = Days::new(&zone, &allowed, true, Timestamp::MIN);
        for minute in (0..120).step_by(5) {
            days.add(row(at("2026-11-20T07:00:00Z").plus(Duration::from_mins(minute)), "2026-11-20"));
        }
        let days = days.finish(at("2026-11-21T11:00:00Z"));
        assert_eq!(days.len(), 2, "the day without data has a row, too");
        let day = &days[0];
        assert_eq!((day.samples, day.hours, day.wear_minutes), (24, Some(2), Some(115)));
        assert_eq!(day.longest_gap_minutes, Some(24 * 60 - (8 * 60 + 115)), "from 09:55 local to midnight");
        assert_eq!(
            (day.expected_minutes, day.delay_minutes, day.consented),
            (1440, Some(30), Coverage::Full)
        );
        assert_eq!(
            (days[1].samples, days[1].expected_minutes, days[1].longest_gap_minutes),
            (0, 720, Some(720))
        );
    }

    #[test]
    fn a_day_that_was_read_from_before_the_grant_is_consented() {
        let zone = TimeZone::UTC;
        let of = |allowed: &ConsentIntervals| {
            let mut days = Days::new(&zone, allowed, false, Timestamp::MIN);
            days.add(row(at("2026-11-19T12:00:00Z"), "2026-11-19"));
            let days = days.finish(at("2026-11-20T12:00:00Z"));
            (days[0].consented, days[1].consented)
        };
        let past = allowed("2026-11-20T06:00:00Z", Some("2026-11-13T06:00:00Z"));
        assert_eq!(of(&past), (Coverage::Full, Coverage::Full));
        let no_past = allowed("2026-11-20T06:00:00Z", Some("2026-11-20T06:00:00Z"));
        assert_eq!(of(&no_past), (Coverage::None, Coverage::Part));
    }

    #[test]
    fn two_ways_of_reading_do_not_count_a_sample_twice() {
        let (zone, allowed) = (TimeZone::UTC, allowed("2026-11-01T00:00:00Z", None));
        let mut days = Days::new(&zone, &allowed, false, Timestamp::MIN);
        for is_raw in [false, true] {
            days.add(Counted { is_raw, ..row(at("2026-11-20T07:00:00Z"), "2026-11-20") });
        }
        assert_eq!(days.finish(at("2026-11-20T08:00:00Z"))[0].samples, 1);
    }

    #[test]
    fn a_row_with_another_offset_counts_for_the_hours_of_its_own_day() {
        let (zone, allowed) = (TimeZone::UTC, allowed("2026-11-01T00:00:00Z", None));
        let mut days = Days::new(&zone, &allowed, true, Timestamp::MIN);
        for hour in 0..24_u32 {
            // The whole 20 November in New York.
            let at = at("2026-11-20T05:00:00Z").plus(Duration::from_hours(1) * hour);
            days.add(Counted { offset: ZoneOffset::from_minutes(-300), ..row(at, "2026-11-20") });
        }
        let day = &days.finish(at("2026-11-21T08:00:00Z"))[0];
        assert_eq!((day.samples, day.hours), (24, Some(24)));
    }

    #[test]
    fn a_measurement_of_long_before_the_grant_makes_no_empty_days() {
        let (zone, allowed) = (TimeZone::UTC, allowed("2026-11-01T00:00:00Z", None));
        let mut days = Days::new(&zone, &allowed, false, at("2026-11-01T00:00:00Z"));
        days.add(row(at("1970-01-01T07:00:00Z"), "1970-01-01"));
        assert_eq!(days.finish(at("2026-11-02T08:00:00Z")).len(), 1 + 366 + 2);
    }

    #[test]
    fn totals_of_days_have_no_hours() {
        let (zone, allowed) = (TimeZone::UTC, allowed("2026-11-01T00:00:00Z", None));
        let mut days = Days::new(&zone, &allowed, false, Timestamp::MIN);
        days.add(Counted { interval: None, ..row(at("2026-11-20T00:00:00Z"), "2026-11-20") });
        let day = &days.finish(at("2026-11-20T08:00:00Z"))[0];
        assert_eq!((day.samples, day.hours, day.longest_gap_minutes), (1, None, None));
    }
}
