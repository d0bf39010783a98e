//! Hours of data of a participant, by local day. Pure.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, midnight_in};

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
        let has_data = |hour: i64| {
            let hours = self.0.get(&hour.div_euclid(24)).copied().unwrap_or_default();
            hours >> hour.rem_euclid(24) & 1
        };
        (first..end).map(has_data).sum()
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

/// The days of one participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adherence {
    /// One per day, in order.
    pub days: Vec<DayState>,
    /// Hours with data.
    pub hours: u32,
    /// Expected hours of the last day.
    pub last_expected: u32,
    /// Hours of the days in which the participant was expected to deliver, up to now.
    pub expected: u32,
}

impl Adherence {
    /// Returns the days from `first` on, `count` of them, in the participant's zone.
    pub fn of(
        data: &DayHours,
        part: Participation,
        zone: &TimeZone,
        first: Date,
        count: usize,
        now: Timestamp,
    ) -> Self {
        let dates = first.series(jiff::Span::new().days(1)).take(count + 1);
        let midnights: Vec<Timestamp> = dates.map_while(|date| midnight_in(zone, date).ok()).collect();
        let (mut days, mut hours, mut expected, mut last_expected) = (Vec::with_capacity(count), 0, 0, 0);
        for day in midnights.windows(2) {
            let (from, until) = (day[0], day[1]);
            let ended = part.withdrawn.into_iter().chain(part.completed).min();
            let begin = part.began.map_or(until, |began| began.max(from));
            let end = until.min(now).min(ended.unwrap_or(until));
            let found = data.count(from, until);
            last_expected = 0;
            if begin < end {
                last_expected = u32::try_from(end.since(begin).as_secs().div_ceil(3600)).unwrap_or(0);
                expected += last_expected;
                hours += found;
                days.push(DayState::Hours(found));
            } else if part.withdrawn.is_some_and(|at| at <= from) {
                days.push(DayState::Withdrawn);
            } else if part.completed.is_some_and(|at| at <= from) {
                days.push(DayState::Completed);
            } else {
                days.push(DayState::NotExpected);
            }
        }
        mark_silent(&mut days);
        Self { days, hours, last_expected, expected }
    }

    /// Returns the share of the expected hours in per cent, 100 at most; none if nothing was expected.
    pub fn per_cent(&self) -> Option<u32> {
        (self.expected > 0).then(|| (self.hours * 100 / self.expected).min(100))
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
            let found = Adherence::of(
                &data,
                part,
                &zone,
                Date::constant(2026, 11, 20),
                3,
                at("2026-11-23T12:00:00Z"),
            );
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
    fn silence_withdrawal_and_completion_are_told_apart_and_only_expected_hours_count() {
        let data = data(&["2026-11-10T10:00:00Z", "2026-11-12T10:00:00Z"]);
        let began = Some(at("2026-11-10T06:00:00Z"));
        let days = |withdrawn, completed| {
            let part = Participation { began, withdrawn, completed };
            let (first, now) = (Date::constant(2026, 11, 9), at("2026-11-15T06:00:00Z"));
            Adherence::of(&data, part, &TimeZone::UTC, first, 8, now)
        };
        let open = days(None, None);
        let begin = [NotExpected, Hours(1), Hours(0), Hours(1)];
        assert_eq!(open.days, [&begin[..], &[Silent, Silent, Silent, NotExpected]].concat());
        assert_eq!((open.hours, open.expected, open.per_cent()), (2, 18 + 4 * 24 + 6, Some(1)));
        let end = Some(at("2026-11-13T12:00:00Z"));
        let ended = |state| [&begin[..], &[Hours(0), state, state, state]].concat();
        assert_eq!(days(end, None).days, ended(Withdrawn));
        assert_eq!(days(None, end).days, ended(Completed));
        assert_eq!(days(None, end).expected, 18 + 2 * 24 + 12);
        assert_eq!(
            Adherence::of(
                &data,
                Participation { began: None, withdrawn: None, completed: None },
                &TimeZone::UTC,
                Date::constant(2026, 11, 9),
                2,
                at("2026-11-15T06:00:00Z")
            )
            .per_cent(),
            None
        );
    }
}
