//! The collection window of a study: the days whose measurements count.

use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, midnight_in};
use crate::model::consent_intervals::Interval;

/// Time after the end of a window in which measurements from inside it are still read: devices sync late.
pub const LATE_DATA: Duration = Duration::from_hours(7 * 24);
/// Ten years; longer studies leave the number out.
const MAX_DAYS: u16 = 3660;

/// The window as a study sets it. The default has no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionWindow {
    /// Calendar days of the participant; the last one is inclusive.
    Dates { from: Option<Date>, until: Option<Date> },
    /// From connecting the first device to the end of the day that many days later.
    Days(u16),
}

impl Default for CollectionWindow {
    fn default() -> Self {
        Self::Dates { from: None, until: None }
    }
}

/// The reason why the parts of a window do not fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("the last day is before the first")]
    Reversed,
    #[error("enter dates or a number of days, not both")]
    DatesAndDays,
    #[error("enter 1 to 3660 days")]
    DaysOutOfRange,
}

impl CollectionWindow {
    pub fn new(from: Option<Date>, until: Option<Date>, days: Option<u16>) -> Result<Self, WindowError> {
        match (from, until, days) {
            (None, None, Some(days)) if (1..=MAX_DAYS).contains(&days) => Ok(Self::Days(days)),
            (None, None, Some(_)) => Err(WindowError::DaysOutOfRange),
            (_, _, Some(_)) => Err(WindowError::DatesAndDays),
            (Some(from), Some(until), None) if until < from => Err(WindowError::Reversed),
            (from, until, None) => Ok(Self::Dates { from, until }),
        }
    }

    /// Returns the first day, the last day and the number of days, as they were entered.
    pub fn parts(self) -> (Option<Date>, Option<Date>, Option<u16>) {
        match self {
            Self::Dates { from, until } => (from, until, None),
            Self::Days(days) => (None, None, Some(days)),
        }
    }

    /// Computes the window of one participant as instants; none stands for no limit. The last day is `own_until`, if
    /// that is set. Days count from `connected`; before it is known, they begin with `linked` and have no end.
    pub fn resolve(
        self,
        own_until: Option<Date>,
        (connected, linked): (Option<Timestamp>, Option<Timestamp>),
        zone: &TimeZone,
    ) -> (Option<Timestamp>, Option<Timestamp>) {
        let midnight = |day: Date| midnight_in(zone, day).ok();
        let (from, until) = match self {
            Self::Dates { from, until } => (from.and_then(midnight), until),
            Self::Days(days) => {
                let day = connected.and_then(|at| day_in(zone, at));
                let last = day.and_then(|day| day.checked_add(i32::from(days).days()).ok());
                (connected.or(linked), last)
            }
        };
        let last = own_until.or(until);
        (from, last.and_then(|last| last.tomorrow().ok()).and_then(midnight))
    }

    /// Describes the window for people.
    pub fn describe(self) -> String {
        match self {
            Self::Dates { from: None, until: None } => "no limit".to_owned(),
            Self::Dates { from: Some(from), until: None } => format!("from {from}"),
            Self::Dates { from: None, until: Some(until) } => format!("until {until}"),
            Self::Dates { from: Some(from), until: Some(until) } => format!("{from} to {until}"),
            Self::Days(1) => "1 day from connecting".to_owned(),
            Self::Days(days) => format!("{days} days from connecting"),
        }
    }
}

/// Returns the last day of a window that ends before the instant `until`.
pub fn last_day(until: Timestamp, zone: &TimeZone) -> Option<Date> {
    day_in(zone, until.minus(Duration::from_micros(1)))
}

fn day_in(zone: &TimeZone, at: Timestamp) -> Option<Date> {
    Some(zone.to_datetime(at.to_jiff()?).date())
}

/// Returns the interval between the limits of a window; empty for a window whose last day is before its first.
pub fn interval((from, until): (Option<Timestamp>, Option<Timestamp>)) -> Interval {
    Interval { from: from.unwrap_or(Timestamp::MIN), until: until.unwrap_or(Timestamp::MAX) }
}

/// Returns the past that a change of a window opens and that no later read reaches by itself. A limit that is taken
/// away at the beginning opens nothing: how far back the first read goes is a setting.
pub fn opened(
    before: (Option<Timestamp>, Option<Timestamp>),
    after: (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
) -> Option<Interval> {
    let (old, new) = (interval(before), interval(after));
    let earlier = after.0.filter(|from| *from < old.from && old.from < old.until).filter(|from| *from < now);
    let later =
        Some(old.until.max(new.from)).filter(|end| *end < new.until.min(now) && old.until < new.until);
    let from = earlier.into_iter().chain(later).min()?;
    Some(Interval { from, until: new.until.min(now) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_day_is_inclusive_on_the_clock_of_the_patient() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let of = |window: CollectionWindow, own: Option<Date>, connected: Option<Timestamp>| {
            let (from, until) = window.resolve(own, (connected, Some(at("2026-01-01T00:00:00Z"))), &zone);
            [from, until].map(|at| at.map_or_else(String::new, |at| at.to_string()))
        };
        let dates = CollectionWindow::new(Some(day("2026-10-20")), Some(day("2026-10-25")), None).unwrap();
        // Clocks are set back on 25 October.
        assert_eq!(of(dates, None, None), ["2026-10-19T22:00:00Z", "2026-10-25T23:00:00Z"]);
        assert_eq!(of(dates, Some(day("2026-10-24")), None)[1], "2026-10-24T22:00:00Z");
        let days = CollectionWindow::new(None, None, Some(2)).unwrap();
        let connected = at("2026-10-23T22:30:00Z");
        assert_eq!(of(days, None, Some(connected)), ["2026-10-23T22:30:00Z", "2026-10-26T23:00:00Z"]);
        assert_eq!(of(days, None, None), ["2026-01-01T00:00:00Z", ""], "the count has not begun");
        assert_eq!(of(CollectionWindow::default(), None, None), ["", ""]);
        assert_eq!(last_day(at("2026-10-26T23:00:00Z"), &zone), Some(day("2026-10-26")));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let (one, two) = (Some(day("2026-10-20")), Some(day("2026-10-21")));
        assert_eq!(CollectionWindow::new(two, one, None), Err(WindowError::Reversed));
        assert_eq!(CollectionWindow::new(one, None, Some(3)), Err(WindowError::DatesAndDays));
        assert_eq!(CollectionWindow::new(None, None, Some(0)), Err(WindowError::DaysOutOfRange));
        for window in [CollectionWindow::new(one, one, None), CollectionWindow::new(None, None, Some(3660))] {
            let (from, until, days) = window.unwrap().parts();
            assert_eq!(CollectionWindow::new(from, until, days), window);
        }
    }

    #[test]
    fn a_longer_window_opens_the_past_that_was_outside() {
        let hour = |hour: i64| Some(Timestamp::from_micros(hour * 3_600_000_000));
        let of = |before, after| {
            let opened = opened(before, after, hour(100).unwrap())?;
            Some((opened.from.hour(), opened.until.hour()))
        };
        assert_eq!(of((hour(10), hour(20)), (hour(10), hour(30))), Some((20, 30)));
        assert_eq!(of((hour(10), hour(20)), (hour(5), hour(300))), Some((5, 100)));
        assert_eq!(of((hour(10), hour(20)), (hour(10), None)), Some((20, 100)));
        assert_eq!(of((hour(10), hour(20)), (None, hour(20))), None);
        assert_eq!(of((hour(10), hour(20)), (hour(12), hour(15))), None);
        assert_eq!(of((hour(10), hour(200)), (hour(10), hour(300))), None, "still to come");
        assert_eq!(of((None, None), (hour(10), hour(20))), None);
        assert_eq!(of((hour(10), hour(20)), (hour(40), hour(50))), Some((40, 50)), "moved");
    }
}
