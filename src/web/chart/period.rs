//! The days that charts cover, in the patient's time zone, and their division into intervals.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Unit};

use crate::common::time::{Timestamp, midnight_in};
use crate::i18n::texts::Texts;
use crate::model::consent_intervals::Interval;
use crate::web::chart::words::{format_date, format_time, name_range};
use crate::web::layout::format_local;
use crate::web::request::FormFields;

/// The length of the time that charts cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Period {
    Day,
    Week,
    TwoWeeks,
    FourWeeks,
    TwelveWeeks,
}

impl Period {
    pub(crate) const ALL: &[Self] =
        &[Self::Day, Self::Week, Self::TwoWeeks, Self::FourWeeks, Self::TwelveWeeks];

    /// Returns the name in addresses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::TwoWeeks => "2weeks",
            Self::FourWeeks => "4weeks",
            Self::TwelveWeeks => "12weeks",
        }
    }

    fn days(self) -> i32 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::TwoWeeks => 14,
            Self::FourWeeks => 28,
            Self::TwelveWeeks => 84,
        }
    }

    /// Returns the length of the intervals that a line joins: 48 of a day, 84 of any other period.
    pub(crate) fn step(self) -> Duration {
        match self {
            Self::Day => Duration::from_mins(30),
            Self::Week => Duration::from_hours(2),
            Self::TwoWeeks => Duration::from_hours(4),
            Self::FourWeeks => Duration::from_hours(8),
            Self::TwelveWeeks => Duration::from_hours(25),
        }
    }

    /// Returns the time without data that a chart marks at its end.
    fn least_silence(self) -> Duration {
        if self == Self::Day { Duration::from_hours(2) } else { Duration::from_hours(24) }
    }

    /// Returns the number of days from one label to the next: at most six labels.
    fn days_per_label(self) -> usize {
        match self {
            Self::Day => 1,
            Self::Week => 2,
            Self::TwoWeeks => 3,
            Self::FourWeeks => 7,
            Self::TwelveWeeks => 21,
        }
    }
}

/// Parses `period` and `until` of a query: the period, or `default`, and its last day.
pub(crate) fn parse_window(query: &FormFields, default: Period) -> (Period, Option<Date>) {
    let wanted = query.get("period");
    let period = Period::ALL.iter().copied().find(|period| period.as_str() == wanted).unwrap_or(default);
    (period, query.get("until").parse().ok())
}

/// Whole days of a patient, up to today.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    pub(crate) period: Period,
    pub(crate) zone: TimeZone,
    /// From the first midnight to the one after the last day.
    pub(crate) range: Interval,
    pub(crate) now: Timestamp,
    /// The language of the charts.
    pub(crate) texts: Texts,
    last: Date,
    today: Date,
}

/// A calendar day in the patient's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) date: Date,
    pub(crate) range: Interval,
}

impl Day {
    fn new(zone: &TimeZone, date: Date) -> Option<Self> {
        let (from, until) = (midnight_in(zone, date).ok()?, midnight_in(zone, date.tomorrow().ok()?).ok()?);
        Some(Self { date, range: Interval { from, until } })
    }
}

impl Window {
    /// Returns the period that ends on the day `until`; today if that is none or has not come.
    pub(crate) fn new(
        (period, until): (Period, Option<Date>),
        zone: &TimeZone,
        now: Timestamp,
        texts: Texts,
    ) -> Self {
        let today = local_date(zone, now);
        let last = until.filter(|day| *day <= today && *day >= EARLIEST).unwrap_or(today);
        let range = Interval { from: now, until: now };
        let mut window = Self { period, zone: zone.clone(), range, now, texts, last, today };
        if let (Some(first), Some(last)) = (Day::new(zone, window.first()), Day::new(zone, last)) {
            window.range = Interval { from: first.range.from, until: last.range.until };
        }
        window
    }

    fn first(&self) -> Date {
        self.last.saturating_sub((self.period.days() - 1).days())
    }

    pub(crate) fn days(&self) -> Vec<Day> {
        let dates = std::iter::successors(Some(self.first()), |date| date.tomorrow().ok());
        let dates = dates.take_while(|date| *date <= self.last);
        dates.filter_map(|date| Day::new(&self.zone, date)).collect()
    }

    /// Cuts each day into intervals of `step`; a day on which the clocks change has a shorter last one, or one more.
    pub(crate) fn cut(&self, step: Duration) -> Vec<Interval> {
        let days = self.days().into_iter().map(|day| day.range);
        days.flat_map(|day| {
            let starts = std::iter::successors(Some(day.from), move |from| Some(from.plus(step)));
            let starts = starts.take_while(move |from| *from < day.until);
            starts.map(move |from| Interval { from, until: from.plus(step).min(day.until) })
        })
        .collect()
    }

    /// Returns the rows of a table: hours of a day, days of a longer period.
    pub(crate) fn rows(&self) -> Vec<Interval> {
        match self.period {
            Period::Day => self.cut(Duration::from_hours(1)),
            _ => self.days().into_iter().map(|day| day.range).collect(),
        }
    }

    /// Names one of the rows.
    pub(crate) fn row_label(&self, from: Timestamp) -> String {
        let format = if self.period == Period::Day { "%H:%M" } else { "%a %-d %b" };
        format_time(self.texts, &self.zone, from, format)
    }

    /// Returns the address of the earlier period, and of the later one if that has begun.
    pub(crate) fn neighbours(&self) -> (Date, Option<Date>) {
        let days = self.period.days().days();
        let later = || self.last.saturating_add(days).min(self.today);
        (self.last.saturating_sub(days), (self.last < self.today).then(later))
    }

    /// Returns the last day for addresses; none for today, so that a kept address stays up to date.
    pub(crate) fn until(&self) -> Option<Date> {
        (self.last < self.today).then_some(self.last)
    }

    /// Names the days: `15 to 28 Nov 2026`.
    pub(crate) fn title(&self) -> String {
        let (first, last) = (self.first(), self.last);
        let from = match () {
            () if first == last => return format_date(self.texts, last, "%a, %-d %b %Y"),
            () if first.year() != last.year() => "%-d %b %Y",
            () if first.month() != last.month() => "%-d %b",
            () => "%-d",
        };
        let date = |date, format| format_date(self.texts, date, format);
        name_range(self.texts, &date(first, from), &date(last, "%-d %b %Y"))
    }

    /// Returns the end without data, if it is long enough to be marked: from the end of the newest data to now.
    pub(crate) fn missing_end(&self, last: Option<Timestamp>) -> Option<Interval> {
        let (from, until) = (last?, self.range.until.min(self.now));
        (until.since(from) >= self.period.least_silence()).then_some(Interval { from, until })
    }

    pub(crate) fn axis(&self) -> TimeAxis {
        if self.period == Period::Day {
            return TimeAxis::of_hours(self.range, &self.zone);
        }
        let days = self.days();
        let is_long = matches!(self.period, Period::FourWeeks | Period::TwelveWeeks);
        let axis = TimeAxis { range: self.range, ticks: Vec::new(), marks: Vec::new() };
        let share = |at| axis.share(at);
        let labelled = days.iter().step_by(self.period.days_per_label());
        let tick = |day: &Day| {
            let label = |format| format_date(self.texts, day.date, format);
            let (from, until) = (share(day.range.from), share(day.range.until));
            if is_long {
                TimeTick { at: from, label: label("%-d %b") }
            } else {
                TimeTick { at: f64::midpoint(from, until), label: label("%a %-d") }
            }
        };
        let ticks: Vec<TimeTick> = labelled.map(tick).collect();
        let marks = if is_long {
            ticks.iter().map(|tick| tick.at).collect()
        } else {
            days.iter().map(|day| share(day.range.from)).collect()
        };
        TimeAxis { ticks, marks, ..axis }
    }
}

/// The horizontal axis of a chart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimeAxis {
    pub(crate) range: Interval,
    pub(crate) ticks: Vec<TimeTick>,
    /// Places of the marks: midnights or full hours.
    pub(crate) marks: Vec<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimeTick {
    /// Place, from 0 at the left to 1.
    pub(crate) at: f64,
    pub(crate) label: String,
}

impl TimeAxis {
    /// Labels full hours of the zone: the shortest step that gives at most five labels.
    pub(crate) fn of_hours(range: Interval, zone: &TimeZone) -> Self {
        let hours = full_hours(range, zone);
        let every =
            |step: i8| hours.iter().filter(move |(_, hour)| hour % step == 0).copied().collect::<Vec<_>>();
        let labelled = [1, 2, 3, 4, 6, 12, 24].map(every).into_iter().find(|ticks| ticks.len() <= MOST_TICKS);
        let mut axis = Self { range, ticks: Vec::new(), marks: Vec::new() };
        for (at, _) in labelled.unwrap_or_default() {
            let label = format_local(zone, at, "%H:%M");
            axis.ticks.push(TimeTick { at: axis.share(at), label });
        }
        axis.marks = axis.ticks.iter().map(|tick| tick.at).collect();
        axis
    }

    /// Returns the place of a time, from 0 at the left to 1; times outside are at the nearest edge.
    pub(crate) fn share(&self, at: Timestamp) -> f64 {
        let whole = self.range.until.since(self.range.from).as_secs_f64();
        if whole <= 0.0 { 0.0 } else { (at.since(self.range.from).as_secs_f64() / whole).min(1.0) }
    }
}

/// Labels of one axis of hours, at most: more touch each other on a phone.
const MOST_TICKS: usize = 5;
/// No data are older; dates near the limits of the calendar would overflow.
const EARLIEST: Date = jiff::civil::date(1900, 1, 1);

/// Lists the full hours of a range, each with its hour on the local clock.
fn full_hours(range: Interval, zone: &TimeZone) -> Vec<(Timestamp, i8)> {
    let local = |at: Timestamp| at.to_jiff().map(|at| at.to_zoned_datetime(zone.clone()));
    let Some(begin) = local(range.from).and_then(|from| from.round(Unit::Hour).ok()) else {
        return Vec::new();
    };
    let begin = Timestamp::from_micros(begin.timestamp().as_microsecond());
    let all = std::iter::successors(Some(begin), |at| Some(at.plus(Duration::from_hours(1))));
    let all = all.skip_while(|at| *at < range.from).take_while(|at| *at < range.until);
    all.filter_map(|at| local(at).filter(|local| local.minute() == 0).map(|local| (at, local.hour())))
        .collect()
}

/// Returns the day of an instant, with the day before and after: a device's clock in another time zone may assign a
/// value to either.
pub(crate) fn days_around(zone: &TimeZone, at: Timestamp) -> Vec<Day> {
    let day = local_date(zone, at);
    let dates = [day.yesterday().ok(), Some(day), day.tomorrow().ok()];
    dates.into_iter().flatten().filter_map(|date| Day::new(zone, date)).collect()
}

pub(crate) fn local_date(zone: &TimeZone, at: Timestamp) -> Date {
    at.to_jiff().map_or(EARLIEST, |at| zone.to_datetime(at).date())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn window(period: Period, until: Option<&str>, now: &str) -> Window {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        Window::new((period, until.map(|day| day.parse().unwrap())), &berlin, at(now), Texts::ENGLISH)
    }

    #[test]
    fn a_period_is_cut_where_the_patient_lives() {
        let month = window(Period::FourWeeks, None, "2026-11-21T12:00:00Z");
        assert_eq!((month.days().len(), month.title().as_str()), (28, "25 Oct to 21 Nov 2026"));
        assert_eq!(month.range.from, at("2026-10-24T22:00:00Z"), "in October it is two hours ahead");
        assert_eq!(month.range.until, at("2026-11-21T23:00:00Z"), "midnight in Berlin");
        let parts = month.cut(Period::FourWeeks.step());
        assert!(parts.windows(2).all(|pair| pair[0].until == pair[1].from));
        assert_eq!(parts.len(), 28 * 3 + 1, "the day of 25 hours has a part of one hour");
        let week = window(Period::Week, None, "2026-11-21T23:30:00Z");
        assert_eq!(week.days()[6].date.to_string(), "2026-11-22", "past midnight there");
        for period in Period::ALL {
            let parts = window(*period, None, "2026-12-21T12:00:00Z").cut(period.step()).len();
            assert!((48..=84).contains(&parts), "{period:?}: {parts}");
        }
    }

    #[test]
    fn earlier_and_later_periods_are_next_to_each_other_and_none_is_in_the_future() {
        let now = "2026-11-21T12:00:00Z";
        let week = window(Period::Week, Some("2026-11-10"), now);
        let (earlier, later) = week.neighbours();
        assert_eq!(
            (earlier.to_string(), later.unwrap().to_string()),
            ("2026-11-03".into(), "2026-11-17".into())
        );
        let newest = window(Period::Week, Some("2026-11-20"), now);
        assert_eq!(newest.neighbours().1.unwrap().to_string(), "2026-11-21", "not past today");
        for until in ["2026-11-22", "-009999-01-01", "9999-12-31"] {
            assert_eq!(window(Period::Week, Some(until), now), window(Period::Week, None, now), "{until}");
        }
        assert_eq!(window(Period::Week, None, now).neighbours().1, None);
    }

    #[test]
    fn an_axis_has_at_most_six_labels_at_midnights_or_full_hours() {
        for period in Period::ALL {
            for now in ["2026-03-29T12:00:00Z", "2026-10-25T12:00:00Z", "2026-11-21T12:00:00Z"] {
                let axis = window(*period, None, now).axis();
                let labels: Vec<&str> = axis.ticks.iter().map(|tick| tick.label.as_str()).collect();
                assert!((4..=6).contains(&labels.len()), "{period:?}: {labels:?}");
                let marks = axis.marks.iter().map(|share| {
                    let whole = axis.range.until.since(axis.range.from);
                    let near = axis.range.from.plus(whole.mul_f64(*share));
                    format_local(
                        &window(*period, None, now).zone,
                        near.plus(Duration::from_millis(1)),
                        "%H:%M",
                    )
                });
                let is_full = |mark: &String| match period {
                    Period::Day => mark.ends_with(":00"),
                    _ => mark == "00:00",
                };
                assert!(marks.into_iter().all(|mark| is_full(&mark)), "{period:?} {now}");
            }
        }
        let night = Interval { from: at("2026-11-20T22:08:00Z"), until: at("2026-11-21T06:02:00Z") };
        let axis = TimeAxis::of_hours(night, &TimeZone::get("Asia/Kolkata").unwrap());
        let labels: Vec<&str> = axis.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["04:00", "06:00", "08:00", "10:00"], "half an hour beside UTC");
    }

    #[test]
    fn an_end_without_data_is_marked_until_now_only() {
        let week = window(Period::Week, None, "2026-11-21T12:00:00Z");
        let end = week.missing_end(Some(at("2026-11-19T12:00:00Z"))).unwrap();
        assert_eq!(end.until, at("2026-11-21T12:00:00Z"), "tonight has not come");
        assert_eq!(week.missing_end(Some(at("2026-11-21T02:00:00Z"))), None);
        let past = window(Period::Week, Some("2026-11-10"), "2026-11-21T12:00:00Z");
        assert_eq!(past.missing_end(Some(at("2026-11-09T00:00:00Z"))).unwrap().until, past.range.until);
        assert_eq!(past.missing_end(None), None);
    }
}
