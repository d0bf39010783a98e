//! Parses one record of an Oura payload: a heart rate, of which there are many, or another one.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::common::json_fields;
use crate::raw::{body_error::BodyError, records::check_json};

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct OuraHeartRate<'a> {
    /// Beats per minute.
    pub bpm: f64,
    /// ISO 8601 with an offset.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    /// Oura's word for the wearer's activity, such as `sleep`.
    #[serde(borrow, default)]
    pub source: Option<Cow<'a, str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordError {
    /// The record is invalid: the reason, and the record's text.
    Record(String, String),
    /// The payload is not JSON here, so nothing after this record can be read.
    Payload(BodyError),
}

pub fn parse_heart_rate(bytes: &[u8]) -> Result<OuraHeartRate<'_>, RecordError> {
    if let Ok(record) = serde_json::from_slice(bytes) {
        return Ok(record);
    }
    check_json(bytes).map_err(RecordError::Payload)?;
    parse_leniently(bytes).map_err(|reason| RecordError::Record(reason, text_of(bytes)))
}

/// Parses a record of any other endpoint.
pub fn parse_value(bytes: &[u8]) -> Result<Value, RecordError> {
    serde_json::from_slice(bytes).or_else(|error| {
        // JSON with a number too large for a double is valid, and only this record is refused.
        check_json(bytes).map_err(RecordError::Payload)?;
        Err(RecordError::Record(format!("it cannot be read: {error}"), text_of(bytes)))
    })
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Parses a heart rate whose fields are not all of the types that Oura writes.
fn parse_leniently(bytes: &[u8]) -> Result<OuraHeartRate<'static>, String> {
    let fields = json_fields::parse_object(bytes)?;
    Ok(OuraHeartRate {
        bpm: json_fields::required_number(&fields, "bpm")?,
        timestamp: json_fields::required_text(&fields, "timestamp")?.into(),
        source: json_fields::optional_text(&fields, "source").map(Cow::Owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_record_is_parsed_without_copying() {
        let record =
            parse_heart_rate(br#"{"bpm":66,"source":"sleep","timestamp":"2026-11-20T00:00:00Z"}"#).unwrap();
        assert!(matches!(record.timestamp, Cow::Borrowed("2026-11-20T00:00:00Z")));
        assert!((record.bpm - 66.0).abs() < f64::EPSILON);
        assert_eq!(record.source.as_deref(), Some("sleep"));
    }

    #[test]
    fn an_invalid_record_differs_from_a_broken_payload() {
        for (bad, why) in [
            (r#"{"timestamp":"2026-11-20T00:00:00Z"}"#, "it has no bpm"),
            (r#"{"bpm":null,"timestamp":"2026-11-20T00:00:00Z"}"#, "its bpm null is not a number"),
            (r#"{"bpm":60}"#, "it has no timestamp"),
            (r#"{"bpm":60,"timestamp":7}"#, "its timestamp 7 is not a text"),
            ("7", "it is not an object"),
        ] {
            assert_eq!(
                parse_heart_rate(bad.as_bytes()),
                Err(RecordError::Record(why.to_owned(), bad.to_owned()))
            );
        }
        let huge = parse_heart_rate(br#"{"bpm":1e400,"timestamp":"2026-11-20T00:00:00Z"}"#);
        assert!(matches!(huge, Err(RecordError::Record(..))));
        assert!(matches!(
            parse_heart_rate(br#"{"bpm":60,}"#),
            Err(RecordError::Payload(BodyError::NotJson(_)))
        ));
        let text =
            parse_heart_rate(br#"{"bpm":" 72.5 ","timestamp":"2026-11-20T00:00:00Z","source":7}"#).unwrap();
        assert_eq!((text.bpm.to_bits(), text.source), (72.5_f64.to_bits(), None));
    }

    #[test]
    fn a_record_of_another_endpoint_is_parsed_or_refused_with_a_reason() {
        assert_eq!(parse_value(br#"{"steps":7}"#).unwrap()["steps"], 7);
        assert!(matches!(parse_value(br#"{"steps":1e400}"#), Err(RecordError::Record(..))));
        assert!(matches!(parse_value(br#"{"steps":}"#), Err(RecordError::Payload(BodyError::NotJson(_)))));
    }
}
