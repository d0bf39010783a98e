//! What the pages have in common: their bounds, limits and cursors, and the words in which OW refuses them.

use std::fmt::Write;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use crate::common::time::{Timestamp, ZoneOffset};

/// Records per page where the request does not say.
const DEFAULT_LIMIT: usize = 50;
const DAY: std::time::Duration = std::time::Duration::from_hours(24);

/// The pairs of a query.
pub(crate) type Pairs = [(String, String)];

/// The value of a parameter; of several the last one counts.
pub(crate) fn last<'a>(pairs: &'a Pairs, name: &str) -> Option<&'a str> {
    pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A bound of time, as it was sent: a date-time, a date, or Unix seconds; without an offset it is in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) at: Timestamp,
    offset: Option<ZoneOffset>,
}

impl Moment {
    /// The value of a parameter that must be there.
    pub(crate) fn required(pairs: &Pairs, name: &str) -> Result<Self, String> {
        Self::parse(last(pairs, name).ok_or("Field required")?)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<i64>() {
            let at = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
            return Ok(Self { at, offset: Some(ZoneOffset::UTC) });
        }
        let wrong =
            || format!("Invalid datetime format: '{text}'. Expected ISO 8601 format or Unix timestamp.");
        let is_date = text.len() == "2026-11-21".len();
        let offset = if text.ends_with('Z') { Some(ZoneOffset::UTC) } else { ZoneOffset::of(text) };
        let whole = match (is_date, offset) {
            (true, _) => format!("{text}T00:00:00Z"),
            (false, None) => format!("{text}Z"),
            (false, Some(_)) => text.to_owned(),
        };
        Ok(Self { at: Timestamp::parse(&whole).map_err(|_| wrong())?, offset: offset.filter(|_| !is_date) })
    }

    /// The day that the bound's own clock shows in UTC, which is all that summaries look at.
    pub(crate) fn date(self) -> String {
        date(self.at, None)
    }

    /// The trap of `/timeseries`: an end whose own clock reads exactly midnight means the end of that day.
    pub(crate) fn as_end_of_range(self) -> Timestamp {
        let clock = self.at.local(self.offset).to_string();
        let is_midnight = clock.contains("T00:00:00") && self.at.micros() % 1_000_000 == 0;
        if is_midnight { self.at.plus(DAY) } else { self.at }
    }

    /// As the metadata of a page repeat it: a bound without an offset keeps none.
    fn echo(self) -> String {
        let text = self.at.local(self.offset).to_string();
        if self.offset.is_none() { text.trim_end_matches('Z').to_owned() } else { text }
    }
}

/// The local day of an instant; without an offset that of UTC.
pub(crate) fn date(at: Timestamp, zone: Option<&str>) -> String {
    let mut text = at.local(zone.and_then(ZoneOffset::parse)).to_string();
    text.truncate("2026-11-21".len());
    text
}

/// How many records a page may have, from 1 to `cap`.
pub(crate) fn limit(pairs: &Pairs, cap: usize) -> Result<usize, String> {
    match last(pairs, "limit").map(str::parse::<i64>) {
        None => Ok(DEFAULT_LIMIT.min(cap)),
        Some(Err(_)) => Err("Input should be a valid integer, unable to parse string as an integer".into()),
        Some(Ok(limit)) if limit < 1 => Err("Input should be greater than or equal to 1".into()),
        Some(Ok(limit)) => usize::try_from(limit)
            .ok()
            .filter(|limit| *limit <= cap)
            .ok_or_else(|| format!("Input should be less than or equal to {cap}")),
    }
}

/// Where a page begins: behind a record, or before one and backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cursor<K> {
    After(K),
    Before(K),
}

impl<K> Cursor<K> {
    /// Reads a cursor of this many fields; `read` makes the record's place of them.
    pub(crate) fn parse(
        pairs: &Pairs,
        fields: usize,
        read: impl Fn(&[&str]) -> Option<K>,
    ) -> Result<Option<Self>, String> {
        let Some(text) = last(pairs, "cursor") else { return Ok(None) };
        let (is_backward, code) = match text.strip_prefix("prev_") {
            Some(code) => (true, code),
            None => (false, text),
        };
        let invalid = |shown: &str| format!("Invalid cursor format: '{shown}'. Expected 'timestamp|id'.");
        let plain = URL_SAFE.decode(code).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let plain = plain.ok_or_else(|| invalid(code))?;
        let parts: Vec<&str> = plain.split('|').collect();
        let place = (parts.len() == fields).then(|| read(&parts)).flatten();
        let place = place.ok_or_else(|| invalid(text))?;
        Ok(Some(if is_backward { Self::Before(place) } else { Self::After(place) }))
    }

    pub(crate) fn is_backward(&self) -> bool {
        matches!(self, Self::Before(_))
    }
}

/// Writes a cursor; the one to the previous page has its mark before the code.
pub(crate) fn write_cursor(fields: &str, prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE.encode(fields))
}

/// An instant as cursors write it.
pub(crate) fn cursor_time(at: Timestamp) -> String {
    at.to_string().replace('Z', "+00:00")
}

/// The end of a page: how it goes on, and what was asked.
#[derive(Debug)]
pub(crate) struct Tail {
    pub(crate) next: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) has_more: bool,
    pub(crate) total: Option<usize>,
    pub(crate) from: Moment,
    pub(crate) until: Moment,
}

impl Tail {
    /// Closes the list of records that `text` ends with.
    pub(crate) fn write(&self, text: &mut String, count: usize) {
        let quoted =
            |cursor: &Option<String>| cursor.as_ref().map_or_else(|| "null".into(), |it| format!("\"{it}\""));
        let total = self.total.map_or_else(|| "null".to_owned(), |total| total.to_string());
        let _ = write!(
            text,
            "],\"pagination\":{{\"next_cursor\":{},\"previous_cursor\":{},\"has_more\":{},\
             \"total_count\":{total}}},\"metadata\":{{\"resolution\":null,\"sample_count\":{count},\
             \"start_time\":\"{}\",\"end_time\":\"{}\"}}}}",
            quoted(&self.next),
            quoted(&self.previous),
            self.has_more,
            self.from.echo(),
            self.until.echo()
        );
    }
}

/// Cuts off the one record too many that was fetched to see whether there is more. Records are in the order
/// of the answer, so going backwards the superfluous one stands first.
pub(crate) fn cut<T, K>(page: &mut Vec<T>, limit: usize, cursor: Option<&Cursor<K>>) -> bool {
    let has_more = page.len() > limit;
    if has_more && cursor.is_some_and(Cursor::is_backward) {
        page.drain(..page.len() - limit);
    } else {
        page.truncate(limit);
    }
    has_more
}

/// The cursors around a page whose records `write` knows: the next one only where there is more, the
/// previous one on every page that a cursor led to, except the first one backwards.
pub(crate) fn around<T, K>(
    page: &[T],
    has_more: bool,
    cursor: Option<&Cursor<K>>,
    write: impl Fn(&T) -> String,
) -> (Option<String>, Option<String>) {
    let next = page.last().filter(|_| has_more).map(|it| write_cursor(&write(it), ""));
    let is_known = cursor.is_some_and(|cursor| !cursor.is_backward() || has_more);
    let previous = page.first().filter(|_| is_known).map(|it| write_cursor(&write(it), "prev_"));
    (next, previous)
}
