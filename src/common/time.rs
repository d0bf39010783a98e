//! Instants in microseconds, UTC offsets in minutes, durations, and their text forms.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, civil};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_HOUR: i64 = 3600 * MICROS_PER_SECOND;
const MICROS_PER_DAY: i64 = 24 * MICROS_PER_HOUR;
/// 0001-01-01T00:00:00Z: the first instant that Python, and so OW and omh-shim, can express.
const EARLIEST: i64 = -62_135_596_800 * MICROS_PER_SECOND;
/// 9999-12-31T00:00:00Z: a day before the year ends, so that no offset leads to the year 10000.
const LATEST: i64 = 253_402_214_400 * MICROS_PER_SECOND;

const EPOCH: civil::DateTime = civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// An instant: microseconds since 1970-01-01T00:00:00Z, the resolution of OW's database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The reason why a text is not an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    #[error("not an ISO 8601 date-time")]
    Syntax,
    #[error("no time zone offset")]
    NoOffset,
    #[error("outside the years 1 to 9999")]
    Range,
}

impl Timestamp {
    pub const MIN: Self = Self(EARLIEST);
    pub const MAX: Self = Self(LATEST);

    /// Returns the instant `micros` microseconds after the Unix epoch, clamped to the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.clamp(EARLIEST, LATEST))
    }

    /// Returns microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_add(micros_of(by)))
    }

    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self::from_micros(self.0.saturating_sub(micros_of(by)))
    }

    /// Returns the time since `earlier`; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    pub fn is_utc_midnight(self) -> bool {
        self.0.rem_euclid(MICROS_PER_DAY) == 0
    }

    /// Returns the UTC midnight at or before this instant.
    #[must_use]
    pub fn midnight(self) -> Self {
        Self(self.0 - self.0.rem_euclid(MICROS_PER_DAY))
    }

    /// Returns the UTC midnight at or after this instant.
    #[must_use]
    pub fn next_midnight(self) -> Self {
        Self::from_micros(self.0.saturating_add(MICROS_PER_DAY - 1)).midnight()
    }

    /// Returns whole hours since the Unix epoch, rounded down.
    pub fn hour(self) -> i64 {
        self.0.div_euclid(MICROS_PER_HOUR)
    }

    /// Returns the start of an hour that [`Self::hour`] returned.
    pub fn from_hour(hour: i64) -> Self {
        Self::from_micros(hour.saturating_mul(MICROS_PER_HOUR))
    }

    /// Parses an ISO 8601 date-time with an offset (`Z` or `±HH:MM`). Cuts digits past the microsecond, as
    /// Python does.
    ///
    /// # Errors
    /// [`TimeError::NoOffset`] lets the caller ask for a time zone.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        parse_plain_utc(text.as_bytes()).map_or_else(|| parse_general(text), Ok)
    }

    /// Parses an HTTP date in any of its three forms (RFC 9110, 5.6.7).
    pub fn parse_http(text: &str) -> Option<Self> {
        let at = httpdate::parse_http_date(text).ok()?;
        Some(Self(0).plus(at.duration_since(UNIX_EPOCH).ok()?))
    }

    /// Returns the instant as an HTTP date (RFC 9110, 5.6.7); before 1970 as its beginning.
    pub(crate) fn to_http(self) -> String {
        httpdate::fmt_http_date(UNIX_EPOCH + self.since(Self(0)))
    }

    /// Returns the instant for calendar computations; none for the last hours of [`Self::MAX`]'s year, which
    /// jiff lacks.
    pub(crate) fn to_jiff(self) -> Option<jiff::Timestamp> {
        jiff::Timestamp::from_microsecond(self.0).ok()
    }

    /// Returns the instant for display in UTC: `2026-11-21T08:20:00Z`, with six digits of fraction if there
    /// is one.
    pub fn utc(self) -> Local {
        Local { at: self, offset: ZoneOffset::UTC }
    }

    /// Returns the instant for display at `offset`; at UTC if there is none.
    pub fn local(self, offset: Option<ZoneOffset>) -> Local {
        Local { at: self, offset: offset.unwrap_or(ZoneOffset::UTC) }
    }

    /// Returns the instant for OW's query parameter of a range's end.
    ///
    /// OW adds a whole day to an end that reads exactly midnight at its own offset. The same instant at
    /// another offset is not changed.
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

/// An offset from UTC in minutes, east positive, of less than a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ZoneOffset(i16);

impl ZoneOffset {
    pub const UTC: Self = Self(0);

    /// Returns the offset `minutes` east of UTC; none if that is a day or more.
    pub fn from_minutes(minutes: i64) -> Option<Self> {
        let minutes = i16::try_from(minutes).ok()?;
        (minutes.abs() < 24 * 60).then_some(Self(minutes))
    }

    /// Returns minutes east of UTC.
    pub fn minutes(self) -> i16 {
        self.0
    }

    /// Returns the offset at the end of an ISO 8601 date-time; none for `Z`, which names the sender's clock
    /// and not the place of the measurement.
    pub fn from_date_time(date_time: &str) -> Option<Self> {
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
            [h1, h2] => (two_digits(*h1, *h2)?, 0),
            [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?),
            _ => return None,
        };
        if minutes > 59 {
            return None;
        }
        Self::from_minutes(sign * (i64::from(hours) * 60 + i64::from(minutes)))
    }

    /// Returns the name of the zone with this offset: `UTC`, or `±HH:MM`.
    pub fn zone_name(self) -> String {
        if self == Self::UTC { "UTC".to_owned() } else { self.to_string() }
    }

    /// Returns the zone whose clocks always show this offset.
    pub fn time_zone(self) -> TimeZone {
        // jiff accepts every offset of less than a day, so the fallback never applies.
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
        let clock = EPOCH.saturating_add(SignedDuration::from_micros(shifted));
        let (year, month, day) = (clock.year(), clock.month(), clock.day());
        let (hour, minute, second) = (clock.hour(), clock.minute(), clock.second());
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match shifted.rem_euclid(MICROS_PER_SECOND) {
            0 => {}
            fraction => write!(f, ".{fraction:06}")?,
        }
        self.offset.fmt(f)
    }
}

/// Parses a duration as people write it: `15m`, `6h`, `90d`, `2w`, `1h 30m`. A day is 24 hours.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("'{text}' is not a length of time such as 15m, 6h or 90d");
    let span: jiff::Span = text.trim().parse().map_err(|_| wrong())?;
    if span.get_years() != 0 || span.get_months() != 0 || span.is_negative() {
        return Err(wrong());
    }
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

/// Formats a duration for [`parse_duration`], in its largest whole unit.
pub fn format_duration(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        s if s >= 86_400 && s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s >= 3600 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s >= 60 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Parses an instant that a person wrote: a date-time with an offset, or a date, which means its midnight in
/// `zone`.
pub fn parse_instant(text: &str, zone: &TimeZone) -> Result<Timestamp, String> {
    if let Ok(day) = text.trim().parse::<civil::Date>()
        && text.trim().len() == "2026-11-21".len()
    {
        return midnight_in(zone, day).map_err(|error| error.to_string());
    }
    Timestamp::parse(text).map_err(|why| {
        format!(
            "'{text}' is not a time ({why}); write 2026-11-21T08:00:00Z, 2026-11-21T08:00:00+02:00 or \
             2026-11-21"
        )
    })
}

/// Returns the first instant of a day in `zone`. Where clocks skip midnight, that is the first instant after
/// the gap.
pub(crate) fn midnight_in(zone: &TimeZone, day: civil::Date) -> Result<Timestamp, jiff::Error> {
    let start = zone.to_ambiguous_zoned_datetime(day.at(0, 0, 0, 0)).compatible()?;
    Ok(Timestamp::from_micros(start.timestamp().as_microsecond()))
}

fn micros_of(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}

fn two_digits(high: u8, low: u8) -> Option<i8> {
    (high.is_ascii_digit() && low.is_ascii_digit()).then(|| ((high - b'0') * 10 + (low - b'0')).cast_signed())
}

/// Parses the one form that OW writes, `YYYY-MM-DDTHH:MM:SS[.f…]Z`. This runs once per sample, and the
/// general parser is several times as slow.
fn parse_plain_utc(text: &[u8]) -> Option<Timestamp> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2, rest @ ..] =
        text
    else {
        return None;
    };
    let fraction = match rest {
        [b'Z'] => 0,
        [b'.', digits @ .., b'Z'] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) => {
            (0..6).fold(0, |sum, at| sum * 10 + i64::from(digits.get(at).map_or(0, |d| d - b'0')))
        }
        _ => return None,
    };
    let year = i16::from(two_digits(*y1, *y2)?) * 100 + i16::from(two_digits(*y3, *y4)?);
    let (month, day) = (two_digits(*m1, *m2)?, two_digits(*d1, *d2)?);
    let (hour, minute, second) = (two_digits(*h1, *h2)?, two_digits(*n1, *n2)?, two_digits(*s1, *s2)?);
    let clock = civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let micros = clock.duration_since(EPOCH).as_secs() * MICROS_PER_SECOND + fraction;
    (EARLIEST..=LATEST).contains(&micros).then_some(Timestamp(micros))
}

fn parse_general(text: &str) -> Result<Timestamp, TimeError> {
    let parser = jiff::fmt::temporal::DateTimeParser::new();
    let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(|_| TimeError::Syntax)?;
    if pieces.time().is_none() || pieces.offset().is_none() {
        return Err(TimeError::NoOffset);
    }
    // jiff turns a leap second into :59; Python refuses it, and so do we.
    if text.contains(":60") {
        return Err(TimeError::Syntax);
    }
    let at = parser.parse_timestamp(text).map_err(|_| TimeError::Syntax)?;
    let micros = at.as_nanosecond().div_euclid(1000);
    let micros = i64::try_from(micros).map_err(|_| TimeError::Range)?;
    if (EARLIEST..=LATEST).contains(&micros) { Ok(Timestamp(micros)) } else { Err(TimeError::Range) }
}

/// Returns the offset of `zone` at an instant, in whole minutes.
pub fn offset_at(zone: &TimeZone, at: Timestamp) -> ZoneOffset {
    let offset: Offset = at.to_jiff().map_or(Offset::UTC, |at| zone.to_offset(at));
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
            assert_eq!(
                ZoneOffset::from_date_time(text).map(|zone| i64::from(zone.minutes())),
                minutes,
                "{text}"
            );
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
    fn a_text_without_an_offset_or_a_valid_date_is_refused() {
        assert_eq!(Timestamp::parse("2026-11-21T08:20:00"), Err(TimeError::NoOffset));
        assert_eq!(Timestamp::parse("2026-11-21"), Err(TimeError::NoOffset));
        for wrong in ["", "yesterday", "2026-02-30T00:00:00Z", "2026-11-21T08:20:60Z", "2026-11-21T24:00:00Z"]
        {
            assert!(Timestamp::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_range_end_is_never_written_as_midnight() {
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
        fn the_fast_parser_agrees_with_the_general_one(micros in EARLIEST..=LATEST) {
            let ours = Timestamp::from_micros(micros);
            let theirs = jiff::Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(at(&theirs.to_string()), ours);
            prop_assert_eq!(parse_general(&ours.to_string()), Ok(ours));
            prop_assert_eq!(at(&ours.to_string()), ours);
        }
    }
}
