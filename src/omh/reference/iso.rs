//! The ISO 8601 grammar of Python 3.11's `datetime.fromisoformat`, with all that it lets through.
//!
//! It takes any character between date and time, basic and week forms, a comma for the decimal point, one
//! character of any kind before the offset, and cuts what is finer than a microsecond.

use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Why a text is no date-time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum IsoError {
    /// It is of another form.
    Form,
    /// A part is out of range, in Python's words.
    Range(String),
}

/// A date-time as it is written, with the offset in microseconds where it has one.
pub(super) fn parse(text: &str) -> Result<(DateTime, Option<i64>), IsoError> {
    let text = text.as_bytes();
    let separator = separator(text).ok_or(IsoError::Form)?;
    let (date, rest) = text.split_at_checked(separator).ok_or(IsoError::Form)?;
    let [year, month, day] = date_fields(date).ok_or(IsoError::Form)?;
    let mut clock = Clock::default();
    let mut offset = None;
    if let Some(first) = rest.first() {
        let width = match first {
            first if first & 0x80 == 0 => 1,
            first if first & 0xf0 == 0xe0 => 3,
            first if first & 0xf0 == 0xf0 => 4,
            _ => 2,
        };
        let rest = rest.get(width..).ok_or(IsoError::Form)?;
        (clock, offset) = time_fields(rest).ok_or(IsoError::Form)?;
    }
    // Python makes the offset before it looks at the fields.
    let out = |what: &str| IsoError::Range(what.to_owned());
    if let Some(offset) = offset.filter(|offset| offset.abs() >= MICROS_PER_DAY) {
        return Err(IsoError::Range(format!(
            "offset must be a timedelta strictly between -timedelta(hours=24) and timedelta(hours=24), not {}.",
            timedelta(offset)
        )));
    }
    if !(1..=9999).contains(&year) {
        return Err(IsoError::Range(format!("year {year} is out of range")));
    }
    if !(1..=12).contains(&month) {
        return Err(out("month must be in 1..12"));
    }
    let date = Date::new(narrow(year), narrow(month), narrow(day));
    let date = date.map_err(|_| out("day is out of range for month"))?;
    let Clock { hour, minute, second, micro } = clock;
    if hour > 23 {
        return Err(out("hour must be in 0..23"));
    }
    if minute > 59 {
        return Err(out("minute must be in 0..59"));
    }
    if second > 59 {
        return Err(out("second must be in 0..59"));
    }
    let time = Time::new(narrow(hour), narrow(minute), narrow(second), micro * 1000);
    Ok((DateTime::from_parts(date, time.map_err(|_| IsoError::Form)?), offset))
}

/// Fields have four digits at most.
fn narrow<T: TryFrom<i32> + Default>(field: i32) -> T {
    T::try_from(field).unwrap_or_default()
}

/// Where the date ends. `YYYY-Www-DD` could be a week and an hour or a day and half of one: the former.
fn separator(text: &[u8]) -> Option<usize> {
    let at = |index: usize| text.get(index).copied().unwrap_or_default();
    match text.len() {
        ..7 => return None,
        7 => return Some(7),
        _ => {}
    }
    match (at(4), at(5)) {
        (b'-', b'W') if text.len() > 8 && at(8) == b'-' => match text.len() {
            9 => None,
            _ if at(10).is_ascii_digit() => Some(8),
            _ => Some(10),
        },
        (b'-', b'W') => Some(8),
        (b'-', _) => Some(10),
        (b'W', _) => {
            let digits = text[7..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            match 7 + digits {
                end @ ..9 => Some(end),
                end if end % 2 == 0 => Some(7),
                _ => Some(8),
            }
        }
        _ => Some(8),
    }
}

fn date_fields(date: &[u8]) -> Option<[i32; 3]> {
    let (year, rest) = number(date, 4)?;
    let (dashed, rest) = match rest {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, rest),
    };
    let after_dash = |rest| if dashed { dash(rest) } else { Some(rest) };
    if let [b'W', rest @ ..] = rest {
        let (week, rest) = number(rest, 2)?;
        let day = if rest.is_empty() { 1 } else { number(after_dash(rest)?, 1)?.0 };
        return week_date(year, week, day);
    }
    let (month, rest) = number(rest, 2)?;
    let (day, _) = number(after_dash(rest)?, 2)?;
    Some([year, month, day])
}

fn week_date(year: i32, week: i32, day: i32) -> Option<[i32; 3]> {
    let weekday = Weekday::from_monday_one_offset(narrow(day)).ok()?;
    // The last week of the last year ends in the next, which is out of range and not of another form.
    if (year, week, day >= 6) == (9999, 52, true) {
        return Some([10_000, 1, 1]);
    }
    let date = ISOWeekDate::new(narrow(year), narrow(week), weekday).ok()?.date();
    Some([date.year().into(), date.month().into(), date.day().into()])
}

fn dash(text: &[u8]) -> Option<&[u8]> {
    match text {
        [b'-', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// `length` digits, and what comes after them.
fn number(text: &[u8], length: usize) -> Option<(i32, &[u8])> {
    let (digits, rest) = text.split_at_checked(length)?;
    let add = |sum: i32, byte: &u8| byte.is_ascii_digit().then(|| sum * 10 + i32::from(byte - b'0'));
    Some((digits.iter().try_fold(0, add)?, rest))
}

#[derive(Default)]
struct Clock {
    hour: i32,
    minute: i32,
    second: i32,
    micro: i32,
}

fn time_fields(text: &[u8]) -> Option<(Clock, Option<i64>)> {
    let Some(sign) = text.iter().position(|byte| matches!(byte, b'+' | b'-' | b'Z')) else {
        let (clock, whole) = clock(text)?;
        return whole.then_some((clock, None));
    };
    let (local, offset) = text.split_at(sign);
    let (local, _) = clock(local)?;
    if offset[0] == b'Z' {
        // A NUL ends a text, and Python does not look behind it.
        return offset.get(1).is_none_or(|byte| *byte == 0).then_some((local, Some(0)));
    }
    let (offset_clock, whole) = clock(&offset[1..])?;
    if !whole {
        return None;
    }
    let Clock { hour, minute, second, micro } = offset_clock;
    let seconds = i64::from(hour * 3600 + minute * 60 + second);
    // Python takes an offset without whole seconds for UTC.
    let micros = if seconds == 0 { 0 } else { seconds * MICROS_PER_SECOND + i64::from(micro) };
    Some((local, Some(if offset[0] == b'-' { -micros } else { micros })))
}

/// `HH[:?MM[:?SS[fraction]]]`, and whether that was all of it. One character too many is let through here, and
/// told of: in front of an offset it does no harm.
fn clock(text: &[u8]) -> Option<(Clock, bool)> {
    let mut fields = [0; 3];
    let mut colons = true;
    let mut rest = text;
    for index in 0..3 {
        (fields[index], rest) = number(rest, 2)?;
        let next = rest.first().copied().unwrap_or_default();
        if index == 0 {
            colons = next == b':';
        }
        let [hour, minute, second] = fields;
        if rest.len() <= 1 {
            return Some((Clock { hour, minute, second, micro: 0 }, next == 0));
        }
        match next {
            b':' if colons => rest = &rest[1..],
            b'.' | b',' => {
                rest = &rest[1..];
                break;
            }
            _ if !colons => {}
            _ => return None,
        }
    }
    let [hour, minute, second] = fields;
    let length = rest.len().min(6);
    let (mut micro, rest) = number(rest, length)?;
    for _ in length..6 {
        micro *= 10;
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = rest.get(digits).is_none_or(|byte| *byte == 0);
    Some((Clock { hour, minute, second, micro }, whole))
}

/// `repr()` of the length of time.
fn timedelta(micros: i64) -> String {
    let parts = [
        ("days", micros.div_euclid(MICROS_PER_DAY)),
        ("seconds", micros.rem_euclid(MICROS_PER_DAY) / MICROS_PER_SECOND),
        ("microseconds", micros.rem_euclid(MICROS_PER_SECOND)),
    ];
    let shown: Vec<String> = parts
        .iter()
        .filter(|(_, count)| *count != 0)
        .map(|(name, count)| format!("{name}={count}"))
        .collect();
    format!("datetime.timedelta({})", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok((at, None)) => at.to_string(),
            Ok((at, Some(offset))) => format!("{at} {}", offset / MICROS_PER_SECOND),
            Err(IsoError::Form) => "form".to_owned(),
            Err(IsoError::Range(what)) => what,
        }
    }

    #[test]
    fn a_date_time_is_read_in_every_form_that_python_reads() {
        for (text, read) in [
            ("2026-04-09", "2026-04-09T00:00:00"),
            ("2026-04-09T08:30:00+00:00", "2026-04-09T08:30:00 0"),
            ("20260409T083000-0530", "2026-04-09T08:30:00 -19800"),
            ("2026-04-09 08", "2026-04-09T08:00:00"),
            ("2026-04-09é08:30Z", "2026-04-09T08:30:00 0"),
            ("2026-W15-4x08:30,5Z", "2026-04-09T08:30:00.5 0"),
            ("2026W15", "2026-04-06T00:00:00"),
            ("2026W154", "2026-04-09T00:00:00"),
            ("2026W15408", "2026-04-06T08:00:00"),
            ("2026-W15-08", "2026-04-06T08:00:00"),
            ("2026-04-09T08:30:00.999999999+02:60", "2026-04-09T08:30:00.999999 10800"),
            ("2026-04-09T08:30:00 +05:30:15", "2026-04-09T08:30:00 19815"),
            ("2026-04-09T08:30:00.+02", "2026-04-09T08:30:00 7200"),
            ("2026-04-09T08:30:00:123456Z", "2026-04-09T08:30:00.123456 0"),
            ("2026-04-09T083000123456Z", "2026-04-09T08:30:00.123456 0"),
            ("2026-04-09T08:30:00+00:00:00.5", "2026-04-09T08:30:00 0"),
        ] {
            assert_eq!(shown(text), read, "{text}");
        }
    }

    #[test]
    fn what_python_does_not_read_is_of_another_form() {
        for text in [
            "",
            "2026",
            "202604",
            "2026-4-9",
            "2026-04-09T",
            "2026-04-09TZ",
            "2026-04-09T08:30:00z",
            "2026-W54-1",
            "2026-W15-",
            "2026-04-09T08:30:00é+02:00",
            "2026-04-09T08:30:00.12,34Z",
            "2026-04-09T08:30:00Z[UTC]",
            "2026-04-09T08:30:00+05:3015",
            "2026-04-09T-02:00",
            "1775722200",
            "é026-04-09T08:30:00Z",
        ] {
            assert_eq!(shown(text), "form", "{text}");
        }
    }

    #[test]
    fn a_part_out_of_range_is_named() {
        for (text, what) in [
            ("0000-01-01", "year 0 is out of range"),
            ("9999-W52-7", "year 10000 is out of range"),
            ("2026-13-01", "month must be in 1..12"),
            ("2026-02-30", "day is out of range for month"),
            ("2026-04-09T24:00", "hour must be in 0..23"),
            ("2026-04-09T23:60", "minute must be in 0..59"),
            ("2026-04-09T23:59:60Z", "second must be in 0..59"),
        ] {
            assert_eq!(shown(text), what, "{text}");
        }
        assert!(shown("2026-04-09T08:30-24:00").ends_with("not datetime.timedelta(days=-1)."));
        assert!(shown("2026-04-09T08:30+24:00:01").ends_with("not datetime.timedelta(days=1, seconds=1)."));
    }
}
