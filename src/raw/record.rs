//! One of Oura's records, as it stands in a payload: a heart rate, of which there are many, or another.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use crate::raw::body_error::BodyError;
use crate::raw::records::is_json;

/// Characters of a bad record that are kept to be looked at.
const KEPT_CHARS: usize = 2000;

/// A heart rate as Oura writes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RawRecord<'a> {
    /// Beats per minute.
    pub bpm: f64,
    /// When it was measured: ISO 8601 with an offset.
    #[serde(borrow)]
    pub timestamp: Cow<'a, str>,
    /// What the wearer did.
    #[serde(borrow, default)]
    pub source: Option<Cow<'a, str>>,
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// The record is none: what is wrong with it, and its text, cut where it is very long.
    Record(String, String),
    /// The payload is broken here.
    Body(BodyError),
}

/// Reads a record.
///
/// # Errors
/// As [`Unreadable`] says.
pub fn read(bytes: &[u8]) -> Result<RawRecord<'_>, Unreadable> {
    if let Ok(record) = serde_json::from_slice(bytes) {
        return Ok(record);
    }
    is_json(bytes).map_err(Unreadable::Body)?;
    leniently(bytes).map_err(|reason| Unreadable::Record(reason, kept(bytes)))
}

/// Reads a record of another endpoint, whatever its parts are.
///
/// # Errors
/// As [`Unreadable`] says.
pub fn read_value(bytes: &[u8]) -> Result<Value, Unreadable> {
    serde_json::from_slice(bytes).or_else(|error| {
        is_json(bytes).map_err(Unreadable::Body)?;
        Err(Unreadable::Record(format!("it cannot be read: {error}"), kept(bytes)))
    })
}

/// The text of a bad record that is kept.
fn kept(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(KEPT_CHARS).collect()
}

/// A record whose parts are not all of the types that Oura writes. A number may be written as a string, as the
/// reference converter allows.
fn leniently(bytes: &[u8]) -> Result<RawRecord<'static>, String> {
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| format!("it cannot be read: {error}"))?;
    let Value::Object(fields) = value else { return Err("it is not an object".into()) };
    let bpm = match fields.get("bpm") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(digits)) => digits.trim().parse().ok(),
        Some(_) => None,
        None => return Err("it has no bpm".into()),
    };
    let bpm = bpm.ok_or_else(|| format!("its bpm {} is not a number", fields["bpm"]))?;
    let timestamp = match fields.get("timestamp") {
        Some(Value::String(text)) => text.clone(),
        Some(other) => return Err(format!("its timestamp {other} is not a text")),
        None => return Err("it has no timestamp".into()),
    };
    let source = fields.get("source").and_then(Value::as_str).map(|source| source.to_owned().into());
    Ok(RawRecord { bpm, timestamp: timestamp.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_captured_record_is_read_without_the_slow_way() {
        let record = read(br#"{"bpm":66,"source":"sleep","timestamp":"2026-11-20T00:00:00Z"}"#).unwrap();
        assert!(matches!(record.timestamp, Cow::Borrowed("2026-11-20T00:00:00Z")));
        assert!((record.bpm - 66.0).abs() < f64::EPSILON);
        assert_eq!(record.source.as_deref(), Some("sleep"));
    }

    #[test]
    fn a_bad_record_says_why_and_a_broken_payload_is_told_from_it() {
        for (bad, why) in [
            (r#"{"timestamp":"2026-11-20T00:00:00Z"}"#, "it has no bpm"),
            (r#"{"bpm":null,"timestamp":"2026-11-20T00:00:00Z"}"#, "its bpm null is not a number"),
            (r#"{"bpm":60}"#, "it has no timestamp"),
            (r#"{"bpm":60,"timestamp":7}"#, "its timestamp 7 is not a text"),
            ("7", "it is not an object"),
        ] {
            assert_eq!(read(bad.as_bytes()), Err(Unreadable::Record(why.to_owned(), bad.to_owned())));
        }
        let huge = read(br#"{"bpm":1e400,"timestamp":"2026-11-20T00:00:00Z"}"#);
        assert!(matches!(huge, Err(Unreadable::Record(..))));
        assert!(matches!(read(br#"{"bpm":60,}"#), Err(Unreadable::Body(BodyError::NotJson(_)))));
        let text = read(br#"{"bpm":" 72.5 ","timestamp":"2026-11-20T00:00:00Z","source":7}"#).unwrap();
        assert_eq!((text.bpm.to_bits(), text.source), (72.5_f64.to_bits(), None));
    }

    #[test]
    fn a_record_of_another_endpoint_is_read_or_says_why_not() {
        assert_eq!(read_value(br#"{"steps":7}"#).unwrap()["steps"], 7);
        assert!(matches!(read_value(br#"{"steps":1e400}"#), Err(Unreadable::Record(..))));
        assert!(matches!(read_value(br#"{"steps":}"#), Err(Unreadable::Body(BodyError::NotJson(_)))));
    }
}
