//! Hours of data of a participant, by local day. Pure.

use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::Add;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, midnight_in, time_zone_or_utc};

/// Days without data in a row from which on they count as silent.
const SILENT_DAYS: usize = 2;

/// The hours (UTC) with data, by days since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayHours(BTreeMap<i64, u32>);

impl DayHours {
    /// Adds the hours of one code: bit 0 is the hour from midnight to one.
    pub fn add(&mut self, day: i64, hours: u32) {
        *self.0.entry(day).or_default() |= hours;
    }

    /// Counts the hours with data that lie in an interval, by their middle: an hour of a zone with half hours belongs to
    /// one day.
    pub fn count(&self, from: Timestamp, until: Timestamp) -> u32 {
        const HALF: i64 = 1_800_000_000;
        let (first, end) =
            ((from.micros() + HALF).div_euclid(2 * HALF), (until.micros() + HALF).div_euclid(2 * HALF));
        let in_day = |(day, hours): (&i64, &u32)| {
            let (low, high) = ((first - day * 24).max(0), (end - day * 24).clamp(0, 24));
            (hours & ((1_u32 << high) - 1) & !((1_u32 << low.min(24)) - 1)).count_ones()
        };
        self.0.range(first.div_euclid(24)..=end.div_euclid(24)).map(in_day).sum()
    }
}

/// The time in which a participant is expected to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Participation {
    /// The first consent or connection; none if there was none yet.
    pub began: Option<Timestamp>,
    /// The withdrawal of everything that the study asks for.
    pub withdrawn: Option<Timestamp>,
    /// The end of the collection window, not part of it.
    pub completed: Option<Timestamp>,
}

/// One local day of a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayState {
    /// Before the participant began, or in the future.
    NotExpected,
    /// Hours with data, 0 to 25.
    Hours(u32),
    /// One of several days in a row without data.
    Silent,
    Withdrawn,
    Completed,
}

/// Days in a row of one time zone, with their limits. Many participants share them.
#[derive(Debug, Clone)]
pub struct LocalDays(Vec<Timestamp>);

impl LocalDays {
    pub fn new(zone: &TimeZone, first: Date, count: usize) -> Self {
        let dates = first.series(jiff::Span::new().days(1)).take(count + 1);
        Self(dates.map_while(|date| midnight_in(zone, date).ok()).collect())
    }

    /// Returns the last days up to the present one.
    pub fn until_today(zone: &TimeZone, count: u8, now: Timestamp) -> Self {
        let today = now.to_jiff().map(|now| zone.to_datetime(now).date()).unwrap_or_default();
        let first = today.saturating_sub(jiff::Span::new().days(i64::from(count) - 1));
        Self::new(zone, first, usize::from(count))
    }
}

/// The last days in each time zone, computed once.
#[derive(Debug)]
pub struct LastDays {
    count: u8,
    now: Timestamp,
    known: BTreeMap<String, LocalDays>,
}

impl LastDays {
    /// Prepares for `count` days, the present one included.
    pub fn new(count: u8, now: Timestamp) -> Self {
        Self { count, now, known: BTreeMap::new() }
    }

    /// Returns the days of a time zone: an IANA name or a fixed offset.
    pub fn of(&mut self, zone: &str) -> &LocalDays {
        let (count, now) = (self.count, self.now);
        let new = || LocalDays::until_today(&time_zone_or_utc(zone), count, now);
        if !self.known.contains_key(zone) {
            self.known.insert(zone.to_owned(), new());
        }
        &self.known[zone]
    }
}

/// Hours with data among those in which a participant was expected to deliver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    pub hours: u32,
    /// Up to now.
    pub expected: u32,
}

impl Share {
    /// Returns the share in per cent; none if nothing was expected.
    pub fn per_cent(self) -> Option<u32> {
        u32::try_from((u64::from(self.hours) * 100).checked_div(self.expected.into())?).ok()
    }
}

impl Add for Share {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { hours: self.hours + other.hours, expected: self.expected + other.expected }
    }
}

impl Sum for Share {
    fn sum<I: Iterator<Item = Self>>(shares: I) -> Self {
        shares.fold(Self::default(), Add::add)
    }
}

/// The days of one participant, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Adherence {
    pub days: Vec<DayState>,
    /// One per day; zero where nothing was expected.
    pub shares: Vec<Share>,
}

impl Adherence {
    /// Returns the state of each day.
    pub fn of(data: &DayHours, part: Participation, local: &LocalDays, now: Timestamp) -> Self {
        let (mut days, shares): (Vec<_>, _) =
            local.0.windows(2).map(|day| Self::of_day(data, part, day, now)).unzip();
        mark_silent(&mut days);
        Self { days, shares }
    }

    fn of_day(data: &DayHours, part: Participation, day: &[Timestamp], now: Timestamp) -> (DayState, Share) {
        let (from, until) = (day[0], day[1]);
        let ended = part.withdrawn.into_iter().chain(part.completed).min();
        let begin = part.began.map_or(until, |began| began.max(from));
        let end = until.min(now).min(ended.unwrap_or(until));
        if begin < end {
            let found = data.count(begin, end);
            let expected = u32::try_from(end.since(begin).as_secs().div_ceil(3600)).unwrap_or(0);
            return (DayState::Hours(found), Share { hours: found.min(expected), expected });
        }
        let state = if part.withdrawn.is_some_and(|at| at <= from) {
            DayState::Withdrawn
        } else if part.completed.is_some_and(|at| at <= from) {
            DayState::Completed
        } else {
            DayState::NotExpected
        };
        (state, Share::default())
    }

    /// Returns the share over all days.
    pub fn share(&self) -> Share {
        self.shares.iter().copied().sum()
    }
}

/// Marks the runs of days without data.
fn mark_silent(days: &mut [DayState]) {
    for run in days.chunk_by_mut(|one, next| one == next) {
        if run[0] == DayState::Hours(0) && run.len() >= SILENT_DAYS {
            run.fill(DayState::Silent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DayState::{Completed, Hours, NotExpected, Silent, Withdrawn};
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn data(hours: &[&str]) -> DayHours {
        let mut data = DayHours::default();
        for hour in hours.iter().map(|text| at(text).hour()) {
            data.add(hour.div_euclid(24), 1 << hour.rem_euclid(24));
        }
        data
    }

    #[test]
    fn an_hour_counts_for_the_local_day_and_a_new_zone_moves_it() {
        let data = data(&["2026-11-20T23:00:00Z", "2026-11-21T00:00:00Z", "2026-11-21T22:00:00Z"]);
        let part =
            Participation { began: Some(at("2026-11-20T00:00:00Z")), withdrawn: None, completed: None };
        let hours = |zone: &str| {
            let zone = TimeZone::get(zone).unwrap();
            let local = LocalDays::new(&zone, Date::constant(2026, 11, 20), 3);
            let found = Adherence::of(&data, part, &local, at("2026-11-23T12:00:00Z"));
            found
                .days
                .iter()
                .map(|day| if let DayState::Hours(hours) = day { *hours } else { 99 })
                .collect::<Vec<_>>()
        };
        assert_eq!(hours("UTC"), [1, 2, 0]);
        assert_eq!(hours("Europe/Berlin"), [0, 3, 0]);
        assert_eq!(hours("America/New_York"), [2, 1, 0]);
        assert_eq!(hours("Asia/Kathmandu"), [0, 2, 1]);
    }

    #[test]
    fn hours_from_before_the_beginning_do_not_count() {
        let data = data(&["2026-11-20T10:00:00Z", "2026-11-20T21:00:00Z"]);
        let began = Some(at("2026-11-20T20:00:00Z"));
        let part = Participation { began, withdrawn: None, completed: None };
        let local = LocalDays::new(&TimeZone::UTC, Date::constant(2026, 11, 20), 1);
        let found = Adherence::of(&data, part, &local, at("2026-11-23T12:00:00Z"));
        assert_eq!((found.days, found.shares), (vec![Hours(1)], vec![Share { hours: 1, expected: 4 }]));
    }

    #[test]
    fn silence_withdrawal_and_completion_are_told_apart_and_only_expected_hours_count() {
        let data = data(&["2026-11-10T10:00:00Z", "2026-11-12T10:00:00Z"]);
        let began = Some(at("2026-11-10T06:00:00Z"));
        let days = |withdrawn, completed| {
            let part = Participation { began, withdrawn, completed };
            let local = LocalDays::new(&TimeZone::UTC, Date::constant(2026, 11, 9), 8);
            Adherence::of(&data, part, &local, at("2026-11-15T06:00:00Z"))
        };
        let open = days(None, None);
        let begin = [NotExpected, Hours(1), Hours(0), Hours(1)];
        assert_eq!(open.days, [&begin[..], &[Silent, Silent, Silent, NotExpected]].concat());
        let share = Share { hours: 2, expected: 18 + 4 * 24 + 6 };
        assert_eq!((open.share(), share.per_cent()), (share, Some(1)));
        let end = Some(at("2026-11-13T12:00:00Z"));
        let ended = |state| [&begin[..], &[Hours(0), state, state, state]].concat();
        assert_eq!(days(end, None).days, ended(Withdrawn));
        assert_eq!(days(None, end).days, ended(Completed));
        assert_eq!(days(None, end).share().expected, 18 + 2 * 24 + 12);
        assert_eq!(
            Adherence::of(
                &data,
                Participation { began: None, withdrawn: None, completed: None },
                &LocalDays::new(&TimeZone::UTC, Date::constant(2026, 11, 9), 2),
                at("2026-11-15T06:00:00Z")
            )
            .share()
            .per_cent(),
            None
        );
    }
}
