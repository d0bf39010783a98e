//! Query parameters that OW's routes share: bounds, limits and cursors, with OW's error texts; and the end of
//! a page.

use std::fmt::Write;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::json;

use crate::common::time::{Timestamp, ZoneOffset};

/// OW's `limit` where the request has none.
const DEFAULT_LIMIT: usize = 50;
const DAY: Duration = Duration::from_hours(24);

pub(crate) type QueryPairs = [(String, String)];

/// Decodes a query; a `+` is a space, as it is for OW.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    match reqwest::Url::parse(&format!("http://localhost/?{query}")) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => Vec::new(),
    }
}

/// Returns the value of a parameter; of several the last, as OW does.
pub(crate) fn parameter<'a>(pairs: &'a QueryPairs, name: &str) -> Option<&'a str> {
    pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// A bound of a time range: a date-time, a date, or Unix seconds. Without an offset it is in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeBound {
    pub(crate) at: Timestamp,
    offset: Option<ZoneOffset>,
}

impl TimeBound {
    fn required(pairs: &QueryPairs, name: &str) -> Result<Self, String> {
        Self::parse(parameter(pairs, name).ok_or("Field required")?)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seconds) = text.parse::<i64>() {
            let at = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
            return Ok(Self { at, offset: Some(ZoneOffset::UTC) });
        }
        let is_date = text.len() == "2026-11-21".len();
        let offset =
            if text.ends_with('Z') { Some(ZoneOffset::UTC) } else { ZoneOffset::from_date_time(text) };
        let date_time = match (is_date, offset) {
            (true, _) => format!("{text}T00:00:00Z"),
            (false, None) => format!("{text}Z"),
            (false, Some(_)) => text.to_owned(),
        };
        let at = Timestamp::parse(&date_time).map_err(|_| {
            format!("Invalid datetime format: '{text}'. Expected ISO 8601 format or Unix timestamp.")
        })?;
        Ok(Self { at, offset: offset.filter(|_| !is_date) })
    }

    /// Returns the UTC day, which is all that summaries look at.
    pub(crate) fn date(self) -> String {
        local_date(self.at, None)
    }

    /// Returns the end that `/timeseries` uses. OW takes an end at exactly midnight, in the offset of the
    /// request, as the end of that day.
    pub(crate) fn as_end_of_range(self) -> Timestamp {
        let clock = self.at.local(self.offset).to_string();
        let is_midnight = clock.contains("T00:00:00") && self.at.micros() % 1_000_000 == 0;
        if is_midnight { self.at.plus(DAY) } else { self.at }
    }

    /// Renders it for the metadata of a page, without an offset if the request had none.
    fn echo(self) -> String {
        let text = self.at.local(self.offset).to_string();
        if self.offset.is_none() { text.trim_end_matches('Z').to_owned() } else { text }
    }
}

/// Returns the local day of an instant; without an offset the UTC day.
pub(crate) fn local_date(at: Timestamp, zone: Option<&str>) -> String {
    let mut text = at.local(zone.and_then(ZoneOffset::parse)).to_string();
    text.truncate("2026-11-21".len());
    text
}

/// Parses the number of records of a page, from 1 to `cap`.
pub(crate) fn parse_limit(pairs: &QueryPairs, cap: usize) -> Result<usize, String> {
    match parameter(pairs, "limit").map(str::parse::<i64>) {
        None => Ok(DEFAULT_LIMIT.min(cap)),
        Some(Err(_)) => Err("Input should be a valid integer, unable to parse string as an integer".into()),
        Some(Ok(limit)) if limit < 1 => Err("Input should be greater than or equal to 1".into()),
        Some(Ok(limit)) => usize::try_from(limit)
            .ok()
            .filter(|limit| *limit <= cap)
            .ok_or_else(|| format!("Input should be less than or equal to {cap}")),
    }
}

/// The position of a page: after a record, or backwards before one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cursor<K> {
    After(K),
    Before(K),
}

impl<K> Cursor<K> {
    /// Parses a cursor with this many fields; `parse_key` makes the record's key of them.
    pub(crate) fn parse(
        pairs: &QueryPairs,
        fields: usize,
        parse_key: impl Fn(&[&str]) -> Option<K>,
    ) -> Result<Option<Self>, String> {
        let Some(text) = parameter(pairs, "cursor") else { return Ok(None) };
        let (is_backward, code) = match text.strip_prefix("prev_") {
            Some(code) => (true, code),
            None => (false, text),
        };
        let invalid = |shown: &str| format!("Invalid cursor format: '{shown}'. Expected 'timestamp|id'.");
        let plain = URL_SAFE.decode(code).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let plain = plain.ok_or_else(|| invalid(code))?;
        let parts: Vec<&str> = plain.split('|').collect();
        let key = (parts.len() == fields).then(|| parse_key(&parts)).flatten();
        let key = key.ok_or_else(|| invalid(text))?;
        Ok(Some(if is_backward { Self::Before(key) } else { Self::After(key) }))
    }

    pub(crate) fn is_backward(&self) -> bool {
        matches!(self, Self::Before(_))
    }
}

/// Encodes a cursor. The prefix `prev_` of one that goes backwards is not encoded.
pub(crate) fn encode_cursor(fields: &str, prefix: &str) -> String {
    format!("{prefix}{}", URL_SAFE.encode(fields))
}

/// Renders an instant in UTC with `+00:00` in place of `Z`, as OW does in cursors and syncs.
pub(crate) fn with_offset(at: Timestamp) -> String {
    at.to_string().replace('Z', "+00:00")
}

/// The range and the limit of a page request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRange {
    pub(crate) from: TimeBound,
    pub(crate) until: TimeBound,
    pub(crate) limit: usize,
}

/// The cursors of the next and the previous page.
pub(crate) type PageCursors = (Option<String>, Option<String>);

impl PageRange {
    pub(crate) fn parse(pairs: &QueryPairs, from: &str, until: &str, cap: usize) -> Result<Self, String> {
        let limit = parse_limit(pairs, cap)?;
        let (from, until) = (TimeBound::required(pairs, from)?, TimeBound::required(pairs, until)?);
        Ok(Self { from, until, limit })
    }

    /// Renders the page with these records.
    pub(crate) fn render_page(
        self,
        records: &[String],
        cursors: &PageCursors,
        has_more: bool,
        total: Option<usize>,
    ) -> String {
        let mut text = format!("{{\"data\":[{}", records.join(","));
        self.append_end(&mut text, records.len(), cursors, has_more, total);
        text
    }

    /// Closes the list of records in `text`, and appends pagination and metadata.
    pub(crate) fn append_end(
        self,
        text: &mut String,
        count: usize,
        (next, previous): &PageCursors,
        has_more: bool,
        total: Option<usize>,
    ) {
        let (next, previous, total) = (json!(next), json!(previous), json!(total));
        let _ = write!(
            text,
            "],\"pagination\":{{\"next_cursor\":{next},\"previous_cursor\":{previous},\
             \"has_more\":{has_more},\"total_count\":{total}}},\
             \"metadata\":{{\"resolution\":null,\"sample_count\":{count},\
             \"start_time\":\"{}\",\"end_time\":\"{}\"}}}}",
            self.from.echo(),
            self.until.echo()
        );
    }
}

/// Cuts a page to `limit` records; returns whether there were more. A caller fetches one record too many,
/// which comes first when the cursor goes backwards.
pub(crate) fn trim_page<T, K>(page: &mut Vec<T>, limit: usize, cursor: Option<&Cursor<K>>) -> bool {
    let has_more = page.len() > limit;
    if has_more && cursor.is_some_and(Cursor::is_backward) {
        page.drain(..page.len() - limit);
    } else {
        page.truncate(limit);
    }
    has_more
}

/// Returns the cursors of the next and the previous page. As at OW, there is a previous one on every page
/// that a cursor led to, except the first one backwards.
pub(crate) fn page_cursors<T, K>(
    page: &[T],
    has_more: bool,
    cursor: Option<&Cursor<K>>,
    fields: impl Fn(&T) -> String,
) -> PageCursors {
    let next = page.last().filter(|_| has_more).map(|it| encode_cursor(&fields(it), ""));
    let has_previous = cursor.is_some_and(|cursor| !cursor.is_backward() || has_more);
    let previous = page.first().filter(|_| has_previous).map(|it| encode_cursor(&fields(it), "prev_"));
    (next, previous)
}
