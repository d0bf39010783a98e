//! Parses FHIR's search parameters of type date into intervals (<https://hl7.org/fhir/R5/search.html#date>).

use std::time::Duration;

use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::common::time::{TimeError, Timestamp, midnight_in};
use crate::model::consent_intervals::Interval;

/// All of time.
pub const ALWAYS: Interval = Interval { from: Timestamp::MIN, until: Timestamp::MAX };

/// Parses a value such as `ge2026-11-29` or `2026-11-29T08:00:00+01:00`. A value without a time zone is in UTC. Returns
/// the interval in which a match lies; the error says what is wrong.
pub fn parse(text: &str) -> Result<Interval, String> {
    let prefix_length = text.bytes().take_while(u8::is_ascii_alphabetic).count().min(2);
    let (prefix, value) = text.split_at(prefix_length);
    let Interval { from, until } = parse_value(value)?;
    Ok(match prefix {
        "" | "eq" => Interval { from, until },
        "ge" => Interval { from, ..ALWAYS },
        "gt" | "sa" => Interval { from: until, ..ALWAYS },
        "le" => Interval { until, ..ALWAYS },
        "lt" | "eb" => Interval { until: from, ..ALWAYS },
        _ => return Err(format!("the prefix '{prefix}' is not supported; use eq, ge, gt, le, lt, sa or eb")),
    })
}

/// Returns the times that both intervals contain.
pub fn intersect(one: Interval, other: Interval) -> Interval {
    Interval { from: one.from.max(other.from), until: one.until.min(other.until) }
}

/// Returns the time that a value stands for: a year, a month, a day, a minute, a second, or a part of one.
fn parse_value(value: &str) -> Result<Interval, String> {
    let bad = || format!("'{value}' is no date; write 2026-11-29 or 2026-11-29T08:00:00Z");
    let length = match value.len() {
        4 => Span::new().years(1),
        7 => Span::new().months(1),
        10 => Span::new().days(1),
        _ => return parse_time(value).ok_or_else(bad),
    };
    let padded = format!("{value}{}", "0000-01-01".get(value.len()..).unwrap_or_default());
    let day: Date = padded.parse().map_err(|_| bad())?;
    // The last days of the calendar stand for "no end".
    let midnight = |day: Date| midnight_in(&TimeZone::UTC, day).unwrap_or(Timestamp::MAX);
    Ok(Interval { from: midnight(day), until: day.checked_add(length).map_or(Timestamp::MAX, midnight) })
}

fn parse_time(value: &str) -> Option<Interval> {
    let (_, time) = value.split_once('T')?;
    // A plus sign that was not encoded arrives as a space.
    let value = value.replace(' ', "+");
    let clock = time.split([' ', '+', '-', 'Z']).next()?;
    // FHIR lets a search leave out the seconds and the time zone.
    let value = if clock.len() == 5 { value.replacen(clock, &format!("{clock}:00"), 1) } else { value };
    let from = match Timestamp::parse(&value) {
        Err(TimeError::NoOffset) => Timestamp::parse(&format!("{value}Z")),
        parsed => parsed,
    };
    let from = from.ok()?;
    let length = match (clock.len(), clock.contains('.')) {
        (5, _) => Duration::from_mins(1),
        (_, false) => Duration::from_secs(1),
        // The finest that is stored.
        (_, true) => Duration::from_micros(1),
    };
    Some(Interval { from, until: from.plus(length) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str) -> (String, String) {
        let Interval { from, until } = parse(text).unwrap();
        (from.to_string(), until.to_string())
    }

    #[test]
    fn a_value_covers_the_time_that_it_names() {
        for (text, from, until) in [
            ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("eq2026-11-29", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("2026-11-29T08:00", "2026-11-29T08:00:00Z", "2026-11-29T08:01:00Z"),
            ("2026-11-29T08:00:00+01:00", "2026-11-29T07:00:00Z", "2026-11-29T07:00:01Z"),
            ("2026-11-29T08:00:00 01:00", "2026-11-29T07:00:00Z", "2026-11-29T07:00:01Z"),
            ("2026-11-29T08:00:00.5Z", "2026-11-29T08:00:00.500000Z", "2026-11-29T08:00:00.500001Z"),
        ] {
            assert_eq!(times(text), (from.to_owned(), until.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_prefix_opens_one_end() {
        let day = parse("2026-11-29").unwrap();
        assert_eq!(parse("ge2026-11-29").unwrap(), Interval { from: day.from, ..ALWAYS });
        assert_eq!(parse("gt2026-11-29").unwrap(), Interval { from: day.until, ..ALWAYS });
        assert_eq!(parse("le2026-11-29").unwrap(), Interval { until: day.until, ..ALWAYS });
        for open in ["le9999-12-31", "lt9999-12-31", "ge0001-01-01"] {
            assert_eq!(parse(open).unwrap(), ALWAYS, "{open}");
        }
        assert_eq!(parse("lt2026-11-29").unwrap(), Interval { until: day.from, ..ALWAYS });
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in
            ["", "ge", "yesterday", "2026-13", "2026-11-31", "ne2026", "ap2026-11-29", "2026-1", "ü026"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
