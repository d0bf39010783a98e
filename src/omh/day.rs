//! Local days: the interval of a date in a patient's time zone.

use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{Timestamp, ZoneOffset, offset_at};
use crate::model::sample_details::TimeFrame;

/// Returns the day `date` in `zone`: from its midnight to the next one, 23 to 25 hours later. Fails at the
/// ends of the calendar.
pub fn local_day(date: Date, zone: &TimeZone) -> Result<TimeFrame, String> {
    let beyond = |error: jiff::Error| format!("its day {date} cannot be had: {error}");
    let midnight = |date: Date| {
        let zoned = zone.to_ambiguous_zoned_datetime(date.at(0, 0, 0, 0)).compatible().map_err(beyond)?;
        let (micros, first, last) = (zoned.timestamp().as_microsecond(), Timestamp::MIN, Timestamp::MAX);
        // Not `midnight_in`: a timestamp outside of the range would be clamped into it.
        if !(first.micros()..=last.micros()).contains(&micros) {
            return Err(format!("its day {date} cannot be had: there is nothing but {first} to {last}"));
        }
        Ok(Timestamp::from_micros(micros))
    };
    let (start, end) = (midnight(date)?, midnight(date.tomorrow().map_err(beyond)?)?);
    let at = |instant| Some(offset_at(zone, instant));
    Ok(TimeFrame { start, start_zone: at(start), end, end_zone: at(end) })
}

/// Returns the local day of a daily value. A stamp of midnight UTC without an offset is a bare date.
/// Otherwise the date is that of the stamp at its own offset, or else in `zone`.
pub fn day_of_stamp(
    stamp: Timestamp,
    offset: Option<ZoneOffset>,
    zone: &TimeZone,
) -> Result<TimeFrame, String> {
    let zone_offset = offset_at(zone, stamp);
    match offset {
        None if stamp.is_utc_midnight() => local_day(date_at(stamp, ZoneOffset::UTC)?, zone),
        // The zone knows the change of the clocks within the day; an offset does not.
        Some(offset) if offset != zone_offset => local_day(date_at(stamp, offset)?, &offset.time_zone()),
        _ => local_day(date_at(stamp, zone_offset)?, zone),
    }
}

fn date_at(at: Timestamp, offset: ZoneOffset) -> Result<Date, String> {
    let shift = Duration::from_secs(u64::from(offset.minutes().unsigned_abs()) * 60);
    let shifted = if offset.minutes() < 0 { at.minus(shift) } else { at.plus(shift) };
    let moment = jiff::Timestamp::from_microsecond(shifted.micros()).map_err(|error| error.to_string())?;
    Ok(TimeZone::UTC.to_datetime(moment).date())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn written(frame: TimeFrame) -> (String, String) {
        (frame.start.local(frame.start_zone).to_string(), frame.end.local(frame.end_zone).to_string())
    }

    #[test]
    fn a_day_has_23_to_25_hours() {
        let hours = |day: &str| {
            let frame = local_day(day.parse().unwrap(), &zone("Europe/Berlin")).unwrap();
            frame.end.since(frame.start).as_secs() / 3600
        };
        assert_eq!((hours("2026-03-29"), hours("2026-10-25"), hours("2026-11-21")), (23, 25, 24));
        let spring = local_day("2026-03-29".parse().unwrap(), &zone("Europe/Berlin")).unwrap();
        let ends = ("2026-03-29T00:00:00+01:00".to_owned(), "2026-03-30T00:00:00+02:00".to_owned());
        assert_eq!(written(spring), ends);
    }

    #[test]
    fn a_day_at_the_ends_of_the_calendar_is_refused() {
        for day in ["0000-12-31", "9999-12-31"] {
            let refused = local_day(day.parse().unwrap(), &TimeZone::UTC).unwrap_err();
            assert!(refused.starts_with(&format!("its day {day} cannot be had")), "{refused}");
        }
        assert!(local_day("0001-01-02".parse().unwrap(), &TimeZone::UTC).is_ok());
    }

    #[test]
    fn a_stamp_belongs_to_its_local_day() {
        let new_york = zone("America/New_York");
        let start = |stamp: &str, offset: Option<&str>| {
            written(day_of_stamp(at(stamp), offset.and_then(ZoneOffset::parse), &new_york).unwrap()).0
        };
        assert_eq!(start("2026-11-21T00:00:00Z", None), "2026-11-21T00:00:00-05:00");
        assert_eq!(start("2026-11-21T02:00:00Z", None), "2026-11-20T00:00:00-05:00");
        assert_eq!(start("2026-11-21T09:00:00Z", Some("-05:00")), "2026-11-21T00:00:00-05:00");
        assert_eq!(start("2026-11-20T23:00:00Z", Some("+09:00")), "2026-11-21T00:00:00+09:00");
    }

    proptest! {
        #[test]
        fn days_follow_each_other_without_a_gap(days in 0_i64..40_000, place in 0_usize..6) {
            let zones =
                ["Europe/Berlin", "America/Sao_Paulo", "America/Havana", "Asia/Kathmandu", "Pacific/Apia", "UTC"];
            let zone = zone(zones[place]);
            let date = Date::new(1970, 1, 1).unwrap().checked_add(jiff::Span::new().days(days)).unwrap();
            let today = local_day(date, &zone).unwrap();
            let tomorrow = local_day(date.tomorrow().unwrap(), &zone).unwrap();
            prop_assert_eq!((today.end, today.end_zone), (tomorrow.start, tomorrow.start_zone));
            prop_assert!(today.start <= today.end);
        }
    }
}
