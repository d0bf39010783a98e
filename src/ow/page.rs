//! A page of OW's `/timeseries`, read without copying where its records are as OW writes them, and
//! record by record where one of them is not, so that a bad sample costs nothing but itself.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::common::bounded_list;
use crate::common::redact::unreadable;

/// Characters of a bad record that are kept to be looked at.
const KEPT_CHARS: usize = 2000;
/// Records of a page: ten times the most that OW is asked for.
const MOST_RECORDS: usize = 10_000;

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<'a> {
    /// The records, in OW's order.
    pub records: Vec<Result<Record<'a>, BadRecord>>,
    /// Where the next page begins, where there is one.
    pub next_cursor: Option<String>,
}

/// One record as OW wrote it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Record<'a> {
    /// When it was measured: ISO 8601.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    /// The local offset, where OW knows it.
    #[serde(borrow, default)]
    pub zone_offset: Option<Cow<'a, str>>,
    /// The series type.
    #[serde(borrow, default, rename = "type")]
    pub series_type: Option<Cow<'a, str>>,
    /// The value.
    pub value: f64,
    /// The unit.
    #[serde(borrow, default)]
    pub unit: Option<Cow<'a, str>>,
    /// Where it comes from.
    #[serde(borrow, default)]
    pub source: Option<RecordSource<'a>>,
    /// Whether it is the total of a day.
    #[serde(default)]
    pub is_daily_total: Option<bool>,
}

/// Where a record comes from.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct RecordSource<'a> {
    /// The company whose service it came from.
    #[serde(borrow, default)]
    pub provider: Option<Cow<'a, str>>,
    /// OW's name of the source.
    #[serde(borrow, default)]
    pub source: Option<Cow<'a, str>>,
    /// The device.
    #[serde(borrow, default)]
    pub device: Option<Cow<'a, str>>,
}

/// A record that is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// What is wrong with it.
    pub reason: String,
    /// Its text, cut where it is very long.
    pub text: String,
}

/// One page of events, or of the days of a summary.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The records, in OW's order.
    pub records: Vec<Result<Value, BadRecord>>,
    /// Where the next page begins, where there is one.
    pub next_cursor: Option<String>,
}

/// Why an answer is not a page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Not JSON, or JSON of another shape.
    #[error("OW's answer is not a {0} page ({1})")]
    NotAPage(&'static str, String),
    /// More is promised, and no way to get it.
    #[error("OW says that there is more and gives no cursor")]
    NoCursor,
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(
        bound(deserialize = "T: Deserialize<'de>"),
        deserialize_with = "bounded_list::list::<_, _, MOST_RECORDS>"
    )]
    data: Vec<T>,
    #[serde(default)]
    pagination: Pagination,
}

#[derive(Default, Deserialize)]
struct Pagination {
    #[serde(default)]
    next_cursor: Option<String>,
    #[serde(default)]
    has_more: bool,
}

/// Reads a page.
///
/// # Errors
/// Where the text as a whole is not a page; a record that is not one is an entry of the page.
pub fn parse(body: &[u8]) -> Result<Page<'_>, PageError> {
    if let Ok(page) = serde_json::from_slice::<Envelope<Record<'_>>>(body) {
        let next_cursor = next(page.pagination)?;
        return Ok(Page { records: page.data.into_iter().map(Ok).collect(), next_cursor });
    }
    let page = serde_json::from_slice::<Envelope<&RawValue>>(body)
        .map_err(|error| PageError::NotAPage("timeseries", unreadable(&error)))?;
    let next_cursor = next(page.pagination)?;
    Ok(Page { records: page.data.into_iter().map(|raw| parse_record(raw.get())).collect(), next_cursor })
}

/// Reads a page of events.
///
/// # Errors
/// As [`parse`].
pub fn parse_events(body: &[u8]) -> Result<EventPage, PageError> {
    let page = serde_json::from_slice::<Envelope<&RawValue>>(body)
        .map_err(|error| PageError::NotAPage("events", unreadable(&error)))?;
    let next_cursor = next(page.pagination)?;
    let read = |raw: &RawValue| {
        serde_json::from_str(raw.get()).map_err(|error| BadRecord {
            reason: format!("it cannot be read: {error}"),
            text: shortened(raw.get()),
        })
    };
    Ok(EventPage { records: page.data.into_iter().map(read).collect(), next_cursor })
}

fn next(pagination: Pagination) -> Result<Option<String>, PageError> {
    match pagination {
        Pagination { has_more: false, .. } => Ok(None),
        Pagination { next_cursor: Some(cursor), .. } => Ok(Some(cursor)),
        Pagination { next_cursor: None, .. } => Err(PageError::NoCursor),
    }
}

/// Reads one record by itself.
///
/// # Errors
/// What is wrong with it.
pub fn parse_record(text: &str) -> Result<Record<'_>, BadRecord> {
    serde_json::from_str::<Record<'_>>(text)
        .or_else(|_| leniently(text).map_err(|reason| BadRecord { reason, text: shortened(text) }))
}

/// A record whose parts are not all of the types that OW writes. A number may be written as a string, as
/// the reference converter allows.
fn leniently(text: &str) -> Result<Record<'static>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| format!("it cannot be read: {error}"))?;
    let Value::Object(fields) = value else { return Err("it is not an object".into()) };
    let timestamp = match fields.get("timestamp") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => return Err(format!("its timestamp {} is not a text", shortened(&other.to_string()))),
        None => return Err("it has no timestamp".into()),
    };
    Ok(Record {
        timestamp: timestamp.into(),
        zone_offset: text_of(&fields, "zone_offset"),
        series_type: text_of(&fields, "type"),
        value: number(fields.get("value"))?,
        unit: text_of(&fields, "unit"),
        source: fields.get("source").and_then(Value::as_object).map(|source| RecordSource {
            provider: text_of(source, "provider"),
            source: text_of(source, "source"),
            device: text_of(source, "device"),
        }),
        is_daily_total: fields.get("is_daily_total").and_then(Value::as_bool),
    })
}

fn number(value: Option<&Value>) -> Result<f64, String> {
    let not_a_number = |value: &Value| format!("its value {} is not a number", shortened(&value.to_string()));
    match value {
        Some(Value::Number(number)) => {
            number.as_f64().ok_or_else(|| not_a_number(&Value::from(number.clone())))
        }
        Some(text @ Value::String(digits)) => digits.trim().parse().map_err(|_| not_a_number(text)),
        Some(other) => Err(not_a_number(other)),
        None => Err("it has no value".into()),
    }
}

fn text_of(fields: &serde_json::Map<String, Value>, key: &str) -> Option<Cow<'static, str>> {
    fields.get(key)?.as_str().map(|text| text.to_owned().into())
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(KEPT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(data: &str, pagination: &str) -> String {
        format!(r#"{{"data":[{data}],"pagination":{pagination},"metadata":{{}}}}"#)
    }

    const GOOD: &str = r#"{"timestamp":"2026-11-21T00:00:00Z","zone_offset":null,"type":"heart_rate","value":46.0,
        "unit":"bpm","source":{"provider":"oura","source":"oura","device":null},"is_daily_total":null}"#;

    #[test]
    fn a_page_of_a_real_ow_is_read_whole_without_the_slow_way() {
        let capture: Value =
            serde_json::from_str(include_str!("../../tests/captures/timeseries-heart-rate-page-1.json"))
                .unwrap();
        let body = capture["response"]["body"].to_string();
        let page = parse(body.as_bytes()).unwrap();
        assert_eq!(page.records.len(), 100);
        assert!(page.next_cursor.is_some());
        let first = page.records[0].as_ref().unwrap();
        assert_eq!((first.timestamp.as_ref(), first.value), ("2026-11-21T00:00:00Z", 46.0));
        assert!(matches!(first.timestamp, Cow::Borrowed(_)));
    }

    #[test]
    fn a_bad_record_leaves_its_neighbours_alone() {
        for (bad, reason) in [
            (r#"{"timestamp":"2026-11-21T00:00:00Z","value":"high"}"#, "its value \"high\" is not a number"),
            (r#"{"timestamp":"2026-11-21T00:00:00Z","value":null}"#, "its value null is not a number"),
            (r#"{"timestamp":"2026-11-21T00:00:00Z","value":true}"#, "its value true is not a number"),
            (r#"{"timestamp":"2026-11-21T00:00:00Z"}"#, "it has no value"),
            (r#"{"timestamp":7,"value":1}"#, "its timestamp 7 is not a text"),
            (r#"{"value":1}"#, "it has no timestamp"),
            ("7", "it is not an object"),
        ] {
            let body = page(&format!("{GOOD},{bad},{GOOD}"), r#"{"has_more":false}"#);
            let page = parse(body.as_bytes()).unwrap();
            let reasons: Vec<_> =
                page.records.iter().filter_map(|r| r.as_ref().err()).map(|bad| bad.reason.as_str()).collect();
            assert_eq!((page.records.len(), reasons), (3, vec![reason]));
        }
    }

    #[test]
    fn a_number_beyond_all_numbers_is_a_bad_record_not_a_bad_page() {
        let bad = r#"{"timestamp":"2026-11-21T00:00:00Z","value":1e400}"#;
        let body = page(&format!("{bad},{GOOD}"), r#"{"has_more":false}"#);
        let page = parse(body.as_bytes()).unwrap();
        assert!(page.records[0].is_err() && page.records[1].is_ok());
    }

    #[test]
    fn a_number_written_as_a_text_counts() {
        let body = page(r#"{"timestamp":"2026-11-21T00:00:00Z","value":" 72.5 "}"#, r#"{"has_more":false}"#);
        let page = parse(body.as_bytes()).unwrap();
        assert!((page.records[0].as_ref().unwrap().value - 72.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_page_of_ten_times_what_was_asked_for_is_none() {
        let data = vec!["0"; MOST_RECORDS].join(",");
        let page_of = |data: &str| parse(page(data, "{}").as_bytes()).map(|page| page.records.len());
        assert_eq!(page_of(&data), Ok(MOST_RECORDS));
        let one_more = page_of(&format!("{data},0"));
        assert!(
            matches!(&one_more, Err(PageError::NotAPage(_, why)) if why.contains("a list of more than 10000"))
        );
        let events = parse_events(page(&format!("{data},0"), "{}").as_bytes());
        assert!(matches!(events, Err(PageError::NotAPage(..))));
    }

    #[test]
    fn what_is_not_a_page_is_an_error() {
        for body in ["", "<html>", "[]", r#"{"data":{}}"#, r#"{"detail":"x"}"#, r#"{"data":[{"timestamp":"#] {
            assert!(matches!(parse(body.as_bytes()), Err(PageError::NotAPage(..))), "{body}");
        }
        let stuck = page(GOOD, r#"{"has_more":true,"next_cursor":null}"#);
        assert_eq!(parse(stuck.as_bytes()), Err(PageError::NoCursor));
    }
}
