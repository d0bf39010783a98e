//! Instants and intervals of a body: the local time that was given, with its offset.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, ToSpan};

use super::error::{Raised, refused};
use super::iso::{self, IsoError};
use super::value::{Value, quoted};
use super::write::put;

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MINUTE: i64 = 60 * MICROS_PER_SECOND;
/// Python's words for what leads out of the years 1 to 9999.
const OUT_OF_RANGE: &str = "date value out of range";
const NO_TIME_ZONE: &str = "this data type requires an explicit timezone \u{2014} pass tz=... to convert() so \
                            day boundaries reflect the user's local calendar day";

/// A local time and its offset in microseconds, from the year 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    local: DateTime,
    offset: i64,
}

/// When something was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    At(Moment),
    Between(Moment, Moment),
}

impl Moment {
    /// A date-time with an offset, which is kept.
    ///
    /// # Errors
    /// The reference converter's sentences, with the text as it was given.
    pub(super) fn parse(value: &Value<'_>) -> Result<Self, Raised> {
        let Value::Text(text) = value else {
            let given = value.type_name();
            return Err(Raised::Conversion(format!("expected ISO-8601 datetime string, got {given}").into()));
        };
        let invalid = || Raised::Conversion(format!("invalid ISO-8601 datetime: {}", quoted(text)).into());
        let stripped = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f'));
        let (local, offset) = read(stripped).map_err(|_| invalid())?;
        let Some(offset) = offset else {
            return Err(Raised::Conversion(
                format!(
                    "datetime {} has no timezone; omh-shim requires explicit timezone offsets to avoid silently \
                     misaligning clinical data",
                    quoted(text)
                )
                .into(),
            ));
        };
        Self { local, offset }.checked()
    }

    /// Python writes `Z` for the first half of such an offset and leaves the other half.
    fn checked(self) -> Result<Self, Raised> {
        if (1..MICROS_PER_MINUTE).contains(&self.offset) {
            return Err(refused("an offset of less than a minute cannot be written"));
        }
        Ok(self)
    }

    /// One minute earlier by the clock.
    ///
    /// # Errors
    /// Before the year 1.
    pub(super) fn minute_before(self) -> Result<Self, Raised> {
        let local = self.local.checked_sub(1.minute()).ok().filter(|local| local.year() >= 1);
        local.map(|local| Self { local, ..self }).ok_or(Raised::Overflow(OUT_OF_RANGE))
    }

    /// The instant in UTC; where that is out of the years 1 to 9999, as it is.
    pub(super) fn in_utc(self) -> Self {
        let local = self.local.checked_sub(SignedDuration::from_micros(self.offset)).ok();
        match local.filter(|local| local.year() >= 1) {
            Some(local) => Self { local, offset: 0 },
            None => self,
        }
    }

    /// What is on the wire, without quotes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let (date, time) = (self.local.date(), self.local.time());
        digits::<4>(date.year().into(), out);
        for (mark, part) in [
            (b'-', date.month()),
            (b'-', date.day()),
            (b'T', time.hour()),
            (b':', time.minute()),
            (b':', time.second()),
        ] {
            out.push(mark);
            digits::<2>(part.into(), out);
        }
        fraction(i64::from(time.subsec_nanosecond()) / 1000, out);
        if self.offset == 0 {
            return out.push(b'Z');
        }
        let size = self.offset.abs();
        let (seconds, micros) = (size / MICROS_PER_SECOND, size % MICROS_PER_SECOND);
        out.push(if self.offset < 0 { b'-' } else { b'+' });
        digits::<2>(seconds / 3600, out);
        out.push(b':');
        digits::<2>(seconds / 60 % 60, out);
        if seconds % 60 != 0 || micros != 0 {
            out.push(b':');
            digits::<2>(seconds % 60, out);
        }
        fraction(micros, out);
    }
}

/// Python is given `+00:00` for a `Z` at the end. Where it would take the `Z` itself, it is spared the copy.
fn read(text: &str) -> Result<(DateTime, Option<i64>), IsoError> {
    match (iso::parse(text), text.strip_suffix('Z')) {
        (Err(IsoError::Form), Some(body)) => iso::parse(&format!("{body}+00:00")),
        (read, _) => read,
    }
}

/// A fraction of a second has six digits, or there is none.
fn fraction(micros: i64, out: &mut Vec<u8>) {
    if micros != 0 {
        out.push(b'.');
        digits::<6>(micros, out);
    }
}

fn digits<const N: usize>(mut number: i64, out: &mut Vec<u8>) {
    let mut text = [b'0'; N];
    for place in text.iter_mut().rev() {
        *place += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    out.extend_from_slice(&text);
}

impl Frame {
    /// From one date-time to another; which of them comes first is nobody's business here.
    ///
    /// # Errors
    /// As [`Moment::parse`].
    pub(super) fn between(start: &Value<'_>, end: &Value<'_>) -> Result<Self, Raised> {
        Ok(Self::Between(Moment::parse(start)?, Moment::parse(end)?))
    }

    /// The minute before a date-time.
    ///
    /// # Errors
    /// As [`Moment::parse`].
    pub(super) fn minute_to(end: &Value<'_>) -> Result<Self, Raised> {
        let end = Moment::parse(end)?;
        Ok(Self::Between(end.minute_before()?, end))
    }

    /// A day by the clocks of `zone`, so of 23 or 25 hours where they change.
    ///
    /// # Errors
    /// Without a zone, for what is no day, and for a day with an offset, which the zone would contradict.
    pub(super) fn day(value: &Value<'_>, zone: Option<&TimeZone>) -> Result<Self, Raised> {
        let zone = zone.ok_or(Raised::Conversion(NO_TIME_ZONE.into()))?;
        let Value::Text(text) = value else {
            return Err(Raised::Type("fromisoformat: argument must be str".to_owned()));
        };
        let (start, offset) = iso::parse(text).map_err(|error| match error {
            IsoError::Form => Raised::Value(format!("Invalid isoformat string: {}", quoted(text))),
            IsoError::Range(what) => Raised::Value(what),
        })?;
        if offset.is_some() {
            return Err(refused(format!(
                "the day {} carries an offset, and tz says where it was: write the date alone",
                quoted(text)
            )));
        }
        let end = start.checked_add(1.day()).map_err(|_| Raised::Overflow(OUT_OF_RANGE))?;
        Ok(Self::Between(at_place(start, zone)?, at_place(end, zone)?))
    }

    /// What is on the wire.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::At(moment) => {
                put(out, &["{\"date_time\":\""]);
                moment.write(out);
                put(out, &["\"}"]);
            }
            Self::Between(start, end) => {
                put(out, &["{\"time_interval\":{\"start_date_time\":\""]);
                start.write(out);
                put(out, &["\",\"end_date_time\":\""]);
                end.write(out);
                put(out, &["\"}}"]);
            }
        }
    }

    /// When it was over.
    pub(super) fn end(&self) -> Moment {
        match self {
            Self::At(end) | Self::Between(_, end) => *end,
        }
    }

    /// When it began.
    pub(super) fn start(&self) -> Moment {
        match self {
            Self::At(start) | Self::Between(start, _) => *start,
        }
    }
}

/// A local time that the clocks skip or show twice has the offset from before they change.
fn at_place(local: DateTime, zone: &TimeZone) -> Result<Moment, Raised> {
    let (AmbiguousOffset::Unambiguous { offset: before }
    | AmbiguousOffset::Gap { before, .. }
    | AmbiguousOffset::Fold { before, .. }) = zone.to_ambiguous_timestamp(local).offset();
    Moment { local, offset: i64::from(before.seconds()) * MICROS_PER_SECOND }.checked()
}
