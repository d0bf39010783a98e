//! Instants in microseconds, offsets in minutes, and the ISO 8601 forms that OW, OMH and people use.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use jiff::civil;
use jiff::tz::{Offset, TimeZone};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_HOUR: i64 = 3600 * MICROS_PER_SECOND;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// 0001-01-01T00:00:00Z: the first instant that the reference converter can express.
const EARLIEST: i64 = -62_135_596_800 * MICROS_PER_SECOND;
/// 9999-12-31T00:00:00Z, a day before the last year ends, so that no offset leads out of it.
const LATEST: i64 = 253_402_214_400 * MICROS_PER_SECOND;

/// An instant: microseconds since 1970-01-01T00:00:00Z, the resolution that OW's database keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// Why a text is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is not ISO 8601.
    #[error("not an ISO 8601 date-time")]
    Syntax,
    /// The text gives a local time without saying where.
    #[error("no time zone offset")]
    NoOffset,
    /// The instant lies outside the years 1 to 9999.
    #[error("outside the years 1 to 9999")]
    Range,
}

impl Timestamp {
    /// The earliest instant there is: the year 1.
    pub const MIN: Self = Self(EARLIEST);
    /// The latest instant there is: the year 9999.
    pub const MAX: Self = Self(LATEST);

    /// The instant `micros` microseconds after the Unix epoch, held to the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(EARLIEST, LATEST))
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// This instant moved later by `by`.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros_of(by)))
    }

    /// This instant moved earlier by `by`.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(micros_of(by)))
    }

    /// How long after `earlier` this instant is; zero where it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whether the UTC clock reads exactly 00:00:00 at this instant.
    pub fn is_utc_midnight(self) -> bool {
        self.0.rem_euclid(MICROS_PER_DAY) == 0
    }

    /// The UTC midnight that this instant's day began with.
    #[must_use]
    pub fn midnight(self) -> Self {
        Self(self.0 - self.0.rem_euclid(MICROS_PER_DAY))
    }

    /// The first UTC midnight that is not before this instant.
    #[must_use]
    pub fn next_midnight(self) -> Self {
        Self::from_micros(self.0.saturating_add(MICROS_PER_DAY - 1)).midnight()
    }

    /// Whole hours since the Unix epoch, rounded down.
    pub fn hour(self) -> i64 {
        self.0.div_euclid(MICROS_PER_HOUR)
    }

    /// The beginning of an hour that [`Self::hour`] answered.
    pub fn of_hour(hour: i64) -> Self {
        Self::from_micros(hour.saturating_mul(MICROS_PER_HOUR))
    }

    /// Parses an ISO 8601 date-time that carries an offset (`Z` or `±HH:MM`). Digits past the
    /// microsecond are cut off, as the reference converter cuts them.
    ///
    /// # Errors
    /// [`TimeError`] says whether the text, its missing offset or its range is at fault.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        match parse_plain_utc(text.as_bytes()) {
            Some(plain) => Ok(plain),
            None => parse_any(text),
        }
    }

    /// Parses an HTTP date in any of its three forms (RFC 9110, 5.6.7).
    pub fn parse_http(text: &str) -> Option<Self> {
        let at = httpdate::parse_http_date(text).ok()?;
        Some(Self(0).plus(at.duration_since(UNIX_EPOCH).ok()?))
    }

    /// The instant in UTC: `2026-11-21T08:20:00Z`, with six digits of fraction where there is one.
    pub fn utc(self) -> Local {
        Local { at: self, offset: ZoneOffset::UTC }
    }

    /// The instant as a clock at `offset` reads it; without an offset, as UTC.
    pub fn local(self, offset: Option<ZoneOffset>) -> Local {
        Local { at: self, offset: offset.unwrap_or(ZoneOffset::UTC) }
    }

    /// The instant in the form OW's query parameters take as the end of a range.
    ///
    /// OW adds a whole day to an end whose own clock reads exactly midnight; the same instant in
    /// another offset is taken as it stands.
    pub fn as_range_end(self) -> Local {
        let offset = if self.is_utc_midnight() { ZoneOffset(60) } else { ZoneOffset::UTC };
        Local { at: self, offset }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.utc().fmt(f)
    }
}

/// An offset from UTC in minutes, east positive, less than a day either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ZoneOffset(i16);

impl ZoneOffset {
    /// UTC itself.
    pub const UTC: Self = Self(0);

    /// An offset of `minutes` east of UTC, where that is less than a day.
    pub fn from_minutes(minutes: i64) -> Option<Self> {
        let minutes = i16::try_from(minutes).ok()?;
        (minutes.abs() < 24 * 60).then_some(Self(minutes))
    }

    /// Minutes east of UTC.
    pub fn minutes(self) -> i16 {
        self.0
    }

    /// The offset at the end of an ISO 8601 date-time. `Z` says where the clock of the sender stood, and nothing of
    /// where the sample was taken.
    pub fn of(date_time: &str) -> Option<Self> {
        let (_, time) = date_time.split_once(['T', 't', ' '])?;
        let offset = &time[time.rfind(['+', '-'])?..];
        Self::parse(offset)
    }

    /// Parses OW's `zone_offset`: `Z`, `±HH:MM`, `±HHMM` or `±HH`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text == "Z" {
            return Some(Self::UTC);
        }
        let (sign, digits) = match text.as_bytes().first()? {
            b'+' => (1, &text[1..]),
            b'-' => (-1, &text[1..]),
            _ => return None,
        };
        let (hours, minutes) = match digits.as_bytes() {
            [h1, h2] => (two(*h1, *h2)?, 0),
            [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two(*h1, *h2)?, two(*m1, *m2)?),
            _ => return None,
        };
        if minutes > 59 {
            return None;
        }
        Self::from_minutes(sign * (hours * 60 + minutes))
    }

    /// Returns the zone whose clocks always show this offset.
    pub fn time_zone(self) -> TimeZone {
        // An offset of less than a day is within the range of jiff.
        Offset::from_seconds(i32::from(self.0) * 60).map_or(TimeZone::UTC, TimeZone::fixed)
    }
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("Z"),
            minutes => {
                let sign = if minutes < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        }
    }
}

/// Returns the time zone of an IANA name such as `Europe/Berlin`, or of a fixed offset such as `+02:00`.
pub fn time_zone(text: &str) -> Option<TimeZone> {
    let offset = ZoneOffset::parse(text).map(ZoneOffset::time_zone);
    offset.or_else(|| TimeZone::get(text).ok())
}

/// Returns a stored patient's time zone; UTC for a name that this version's time zone database lacks.
pub fn time_zone_or_utc(name: &str) -> TimeZone {
    time_zone(name).unwrap_or(TimeZone::UTC)
}

/// An instant together with the offset it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    at: Timestamp,
    offset: ZoneOffset,
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shifted = self.at.0 + i64::from(self.offset.0) * 60 * MICROS_PER_SECOND;
        let days = shifted.div_euclid(MICROS_PER_DAY);
        let in_day = shifted.rem_euclid(MICROS_PER_DAY);
        let (year, month, day) = civil_from_days(days);
        let seconds = in_day / MICROS_PER_SECOND;
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )?;
        match in_day % MICROS_PER_SECOND {
            0 => {}
            fraction => write!(f, ".{fraction:06}")?,
        }
        self.offset.fmt(f)
    }
}

/// Parses a length of time as people write it: `15m`, `6h`, `90d`, `2w`, `1h 30m`. A day is 24 hours.
///
/// # Errors
/// A sentence that says what a length of time looks like.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a length of time such as 15m, 6h or 90d");
    let span: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 || span.is_negative() {
        return Err(wrong());
    }
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

/// Writes a length of time the way [`parse_duration`] reads it, in its largest whole unit.
pub fn show_duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        s if s >= 86_400 && s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s >= 3600 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Parses what a person gives for an instant: a date-time with an offset, or a bare date, which is
/// midnight of that day in `zone`.
///
/// # Errors
/// A sentence that shows both forms.
pub fn parse_moment(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(day) = text.trim().parse::<civil::Date>()
        && text.trim().len() == "2026-11-21".len()
    {
        let start =
            zone.to_ambiguous_zoned_datetime(day.at(0, 0, 0, 0)).compatible().map_err(|e| e.to_string())?;
        return Ok(Timestamp::from_micros(start.timestamp().as_microsecond()));
    }
    Timestamp::parse(text).map_err(|why| {
        format!("'{text}' is not a time ({why}); write 2026-11-21T08:00:00Z, 2026-11-21T08:00:00+02:00 or 2026-11-21")
    })
}

fn micros_of(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

fn two(high: u8, low: u8) -> Option<i64> {
    (high.is_ascii_digit() && low.is_ascii_digit()).then(|| i64::from((high - b'0') * 10 + (low - b'0')))
}

/// The one form that OW itself writes, `YYYY-MM-DDTHH:MM:SS[.f…]Z`, without the general parser:
/// this runs once for every sample of every page.
fn parse_plain_utc(text: &[u8]) -> Option<Timestamp> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, rest @ ..] =
        text
    else {
        return None;
    };
    let year = two(*y1, *y2)? * 100 + two(*y3, *y4)?;
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    let (hour, minute, second) = (two(*h1, *h2)?, two(*n1, *n2)?, two(*s1, *s2)?);
    if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match rest {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            (0..6).fold(0, |sum, at| sum * 10 + i64::from(digits.get(at).map_or(0, |d| d - b'0')))
        }
        _ => return None,
    };
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let micros = seconds * MICROS_PER_SECOND + fraction;
    (EARLIEST..=LATEST).contains(&micros).then_some(Timestamp(micros))
}

fn parse_any(text: &str) -> Result<Timestamp, TimeError> {
    let parser = jiff::fmt::temporal::DateTimeParser::new();
    let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| TimeError::Syntax)?;
    if pieces.time().is_none() || pieces.offset().is_none() {
        return Err(TimeError::NoOffset);
    }
    // The general parser folds a leap second into :59; the reference converter refuses it.
    if text.contains(":60") {
        return Err(TimeError::Syntax);
    }
    let at = parser.parse_timestamp(text).map_err(|_| TimeError::Syntax)?;
    let micros = at.as_nanosecond().div_euclid(1000);
    let micros = i64::try_from(micros).map_err(|_| TimeError::Range)?;
    if (EARLIEST..=LATEST).contains(&micros) { Ok(Timestamp(micros)) } else { Err(TimeError::Range) }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years are counted from
/// March, so that the leap day is the last of its year.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The reverse of [`days_from_civil`]: year, month, day.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The offset that `zone` has at `at`, in whole minutes.
pub fn offset_in(zone: &TimeZone, at: Timestamp) -> ZoneOffset {
    let offset: Offset = jiff::Timestamp::from_microsecond(at.0).map_or(Offset::UTC, |at| zone.to_offset(at));
    ZoneOffset::from_minutes(i64::from(offset.seconds()) / 60).unwrap_or(ZoneOffset::UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn the_offset_of_a_date_time_is_the_one_it_is_written_in() {
        for (text, minutes) in [
            ("2026-11-21T08:20:00+02:00", Some(120)),
            ("2026-11-21T08:20:00.5-03:30", Some(-210)),
            ("2026-11-21T08:20:00+00:00", Some(0)),
            ("2026-11-21T08:20:00Z", None),
            ("2026-11-21", None),
        ] {
            assert_eq!(ZoneOffset::of(text).map(|zone| i64::from(zone.minutes())), minutes, "{text}");
        }
    }

    #[test]
    fn a_timestamp_reads_back_as_it_was_written() {
        for text in ["2026-11-21T08:20:00Z", "2024-02-29T23:59:59.000001Z", "0001-01-01T00:00:00Z"] {
            assert_eq!(at(text).to_string(), text);
        }
    }

    #[test]
    fn fractions_are_cut_at_the_microsecond_and_written_with_six_digits() {
        assert_eq!(at("2026-11-21T08:20:00.1Z").to_string(), "2026-11-21T08:20:00.100000Z");
        assert_eq!(at("2026-11-21T08:20:00.999999999Z").to_string(), "2026-11-21T08:20:00.999999Z");
        assert_eq!(at("2026-11-21T08:20:00.000Z").to_string(), "2026-11-21T08:20:00Z");
    }

    #[test]
    fn an_offset_names_the_same_instant() {
        assert_eq!(at("2026-11-21T10:20:00+02:00"), at("2026-11-21T08:20:00Z"));
        let written = at("2026-11-21T08:20:00Z").local(ZoneOffset::parse("+02:00"));
        assert_eq!(written.to_string(), "2026-11-21T10:20:00+02:00");
    }

    #[test]
    fn what_is_not_an_instant_is_refused() {
        assert_eq!(Timestamp::parse("2026-11-21T08:20:00"), Err(TimeError::NoOffset));
        assert_eq!(Timestamp::parse("2026-11-21"), Err(TimeError::NoOffset));
        for wrong in ["", "yesterday", "2026-02-30T00:00:00Z", "2026-11-21T08:20:60Z", "2026-11-21T24:00:00Z"]
        {
            assert!(Timestamp::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_end_never_reads_midnight() {
        assert_eq!(at("2026-11-22T00:00:00Z").as_range_end().to_string(), "2026-11-22T01:00:00+01:00");
        assert_eq!(at("2026-11-22T00:00:01Z").as_range_end().to_string(), "2026-11-22T00:00:01Z");
    }

    #[test]
    fn lengths_of_time_are_read_as_people_write_them() {
        assert_eq!(parse_duration("90d"), Ok(Duration::from_hours(90 * 24)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert!(parse_duration("soon").is_err());
        assert!(parse_duration("-3d").is_err());
        assert!(parse_duration("1 month").is_err());
    }

    proptest! {
        #[test]
        fn our_calendar_agrees_with_the_general_one(micros in EARLIEST..=LATEST) {
            let ours = Timestamp::from_micros(micros);
            let theirs = jiff::Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(at(&theirs.to_string()), ours);
            prop_assert_eq!(parse_any(&ours.to_string()), Ok(ours));
        }
    }
}
