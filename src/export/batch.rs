//! What is sent: FHIR Observations in a batch.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use serde_json::json;

use crate::jhe::error::JheError;
use crate::model::observation::StreamInfo;
use crate::omh::render::{identifier_value, omh_document};
use crate::store::outbox::outbox::{Verdict, Waiting};

/// Entries of one batch: larger ones are hardly faster, and come near to what JHE's workers are given.
pub const ENTRIES: usize = 100;

/// The Observation that JHE is to make, as an entry of a batch. `patient` and `device` are JHE's numbers.
///
/// # Errors
/// As [`omh_document`].
pub fn entry(
    stream: &StreamInfo,
    waiting: &Waiting,
    patient: i64,
    device: i64,
) -> serde_json::Result<String> {
    let document = omh_document(stream, &waiting.observation)?;
    let entry = json!({
        "resource": {
            "resourceType": "Observation",
            "status": if waiting.observation.revision == 0 { "final" } else { "corrected" },
            "code": { "coding": [{ "system": stream.code_system, "code": stream.code }] },
            "subject": { "reference": format!("Patient/{patient}") },
            "device": { "reference": format!("Device/{device}") },
            "identifier": [{ "system": stream.system, "value": identifier_value(stream, &waiting.observation) }],
            "valueAttachment": { "contentType": "application/json", "data": STANDARD.encode(document) },
        },
        "request": { "method": "POST", "url": "Observation" },
    });
    Ok(entry.to_string())
}

/// A batch of these entries.
pub fn batch<'a>(entries: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::from("{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":[");
    for (place, entry) in entries.into_iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        text.push_str(entry);
    }
    text.push_str("]}");
    text
}

/// An entry that is ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Ready {
    pub(crate) stream: StreamInfo,
    pub(crate) patient: i64,
    pub(crate) waiting: Waiting,
    pub(crate) entry: String,
    /// Whether it was measured before a backup was restored: JHE may have got it from what was there before.
    pub(crate) may_be_there: bool,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) settled: Vec<(Waiting, Verdict)>,
    /// Why nothing more should be sent for now.
    pub(crate) stop: Option<JheError>,
}
