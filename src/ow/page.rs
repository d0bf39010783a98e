//! Parses a page of OW's `/timeseries`, `/events` or `/summaries`. A well-formed page is read without
//! copying; in another one each record is read by itself, so that an invalid record affects no other.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::common::{bounded_list, json_fields, redact::describe_json_error};

/// Records of a page: ten times the most that OW is asked for.
const MOST_RECORDS: usize = 10_000;

#[derive(Debug, Clone, PartialEq)]
pub struct TimeseriesPage<'a> {
    /// In OW's order.
    pub records: Vec<Result<TimeseriesRecord<'a>, InvalidRecord>>,
    /// None on the last page.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TimeseriesRecord<'a> {
    /// ISO 8601.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    /// The local offset, such as `+02:00`, where OW knows it.
    #[serde(borrow, default)]
    pub zone_offset: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    pub series_type: Option<Cow<'a, str>>,
    pub value: f64,
    #[serde(borrow, default)]
    pub unit: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub source: Option<RecordSource<'a>>,
    #[serde(default)]
    pub is_daily_total: Option<bool>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct RecordSource<'a> {
    /// The company whose service it came from, such as `oura`.
    #[serde(borrow, default)]
    pub provider: Option<Cow<'a, str>>,
    /// OW's name of the source.
    #[serde(borrow, default)]
    pub source: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub device: Option<Cow<'a, str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRecord {
    pub reason: String,
    pub text: String,
}

/// A page of events, or of the days of a summary.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// In OW's order.
    pub records: Vec<Result<Value, InvalidRecord>>,
    /// None on the last page.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// Not JSON, or JSON of another shape.
    #[error("OW's answer is not a {0} page ({1})")]
    NotAPage(&'static str, String),
    #[error("OW says that there is more and gives no cursor")]
    NoCursor,
}

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(
        bound(deserialize = "T: Deserialize<'de>"),
        deserialize_with = "bounded_list::deserialize::<_, _, MOST_RECORDS>"
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

/// Parses a page of samples. Fails if the text as a whole is not a page; an invalid record is an entry of the
/// page.
pub fn parse_timeseries(body: &[u8]) -> Result<TimeseriesPage<'_>, PageError> {
    // Checked as a whole, the text's strings need not be checked one by one.
    let page: serde_json::Result<Envelope<TimeseriesRecord<'_>>> = match str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    if let Ok(page) = page {
        let next_cursor = next_cursor(page.pagination)?;
        return Ok(TimeseriesPage { records: page.data.into_iter().map(Ok).collect(), next_cursor });
    }
    let (data, next_cursor) = parse_envelope(body, "timeseries")?;
    Ok(TimeseriesPage { records: data.into_iter().map(|raw| parse_record(raw.get())).collect(), next_cursor })
}

/// Parses a page of events, or of the days of a summary, as [`parse_timeseries`] does one of samples.
pub fn parse_events(body: &[u8]) -> Result<EventPage, PageError> {
    let (data, next_cursor) = parse_envelope(body, "events")?;
    let parse = |raw: &RawValue| {
        serde_json::from_str(raw.get()).map_err(|error| InvalidRecord {
            reason: format!("it cannot be read: {error}"),
            text: raw.get().to_owned(),
        })
    };
    Ok(EventPage { records: data.into_iter().map(parse).collect(), next_cursor })
}

fn parse_envelope<'a>(
    body: &'a [u8],
    kind: &'static str,
) -> Result<(Vec<&'a RawValue>, Option<String>), PageError> {
    let page = serde_json::from_slice::<Envelope<&RawValue>>(body)
        .map_err(|error| PageError::NotAPage(kind, describe_json_error(&error)))?;
    Ok((page.data, next_cursor(page.pagination)?))
}

fn next_cursor(pagination: Pagination) -> Result<Option<String>, PageError> {
    match pagination {
        // `has_more` decides; a cursor on the last page is ignored.
        Pagination { has_more: false, .. } => Ok(None),
        Pagination { next_cursor: Some(cursor), .. } => Ok(Some(cursor)),
        Pagination { next_cursor: None, .. } => Err(PageError::NoCursor),
    }
}

/// Parses one record by itself.
pub fn parse_record(text: &str) -> Result<TimeseriesRecord<'_>, InvalidRecord> {
    serde_json::from_str(text)
        .or_else(|_| parse_leniently(text).map_err(|reason| InvalidRecord { reason, text: text.to_owned() }))
}

/// Parses a record whose fields are not all of the types that OW writes.
fn parse_leniently(text: &str) -> Result<TimeseriesRecord<'static>, String> {
    let fields = json_fields::parse_object(text.as_bytes())?;
    let text_of = |fields, name| json_fields::optional_text(fields, name).map(Cow::Owned);
    Ok(TimeseriesRecord {
        timestamp: json_fields::required_text(&fields, "timestamp")?.into(),
        zone_offset: text_of(&fields, "zone_offset"),
        series_type: text_of(&fields, "type"),
        value: json_fields::required_number(&fields, "value")?,
        unit: text_of(&fields, "unit"),
        source: fields.get("source").and_then(Value::as_object).map(|source| RecordSource {
            provider: text_of(source, "provider"),
            source: text_of(source, "source"),
            device: text_of(source, "device"),
        }),
        is_daily_total: fields.get("is_daily_total").and_then(Value::as_bool),
    })
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
    fn a_page_of_a_real_ow_is_parsed_without_copying() {
        let capture: Value =
            serde_json::from_str(include_str!("../../tests/captures/timeseries-heart-rate-page-1.json"))
                .unwrap();
        let body = capture["response"]["body"].to_string();
        let page = parse_timeseries(body.as_bytes()).unwrap();
        assert_eq!(page.records.len(), 100);
        assert!(page.next_cursor.is_some());
        let first = page.records[0].as_ref().unwrap();
        assert_eq!((first.timestamp.as_ref(), first.value), ("2026-11-21T00:00:00Z", 46.0));
        assert!(matches!(first.timestamp, Cow::Borrowed(_)));
    }

    #[test]
    fn an_invalid_record_affects_no_other() {
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
            let page = parse_timeseries(body.as_bytes()).unwrap();
            let reasons: Vec<_> =
                page.records.iter().filter_map(|r| r.as_ref().err()).map(|bad| bad.reason.as_str()).collect();
            assert_eq!((page.records.len(), reasons), (3, vec![reason]));
        }
    }

    #[test]
    fn a_number_too_large_for_a_double_spoils_its_record_only() {
        let bad = r#"{"timestamp":"2026-11-21T00:00:00Z","value":1e400}"#;
        let body = page(&format!("{bad},{GOOD}"), r#"{"has_more":false}"#);
        let page = parse_timeseries(body.as_bytes()).unwrap();
        assert!(page.records[0].is_err() && page.records[1].is_ok());
    }

    #[test]
    fn a_number_written_as_a_string_is_accepted() {
        let body = page(r#"{"timestamp":"2026-11-21T00:00:00Z","value":" 72.5 "}"#, r#"{"has_more":false}"#);
        let page = parse_timeseries(body.as_bytes()).unwrap();
        assert!((page.records[0].as_ref().unwrap().value - 72.5).abs() < f64::EPSILON);
    }

    #[test]
    fn a_page_of_more_than_ten_times_the_requested_records_is_refused() {
        let data = vec!["0"; MOST_RECORDS].join(",");
        let page_of =
            |data: &str| parse_timeseries(page(data, "{}").as_bytes()).map(|page| page.records.len());
        assert_eq!(page_of(&data), Ok(MOST_RECORDS));
        let one_more = page_of(&format!("{data},0"));
        assert!(
            matches!(&one_more, Err(PageError::NotAPage(_, why)) if why.contains("a list of more than 10000"))
        );
        let events = parse_events(page(&format!("{data},0"), "{}").as_bytes());
        assert!(matches!(events, Err(PageError::NotAPage(..))));
    }

    #[test]
    fn a_text_that_is_not_a_page_is_refused() {
        for body in ["", "<html>", "[]", r#"{"data":{}}"#, r#"{"detail":"x"}"#, r#"{"data":[{"timestamp":"#] {
            assert!(matches!(parse_timeseries(body.as_bytes()), Err(PageError::NotAPage(..))), "{body}");
        }
        let stuck = page(GOOD, r#"{"has_more":true,"next_cursor":null}"#);
        assert_eq!(parse_timeseries(stuck.as_bytes()), Err(PageError::NoCursor));
    }
}
