//! Renders FHIR batches of Observations.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::jhe::error::JheError;
use crate::model::observation::StreamInfo;
use crate::omh::render::{identifier_value, omh_document};
use crate::store::outbox::outbox::{OutboxEntry, Verdict};

/// Entries per batch. Larger batches are hardly faster, and come near to the time limit of JHE's workers.
pub(crate) const ENTRIES: usize = 100;
/// Pause before entries that wait for a change of configuration at JHE are tried again.
pub(crate) const CONFIGURATION_PAUSE: Duration = Duration::from_hours(1);

/// An entry with the rendered Observation.
#[derive(Debug, Clone)]
pub(crate) struct OutgoingEntry {
    pub(crate) stream: StreamInfo,
    /// JHE's id of the patient.
    pub(crate) patient: i64,
    pub(crate) waiting: OutboxEntry,
    pub(crate) json: String,
    /// JHE may have it: an earlier attempt may have arrived, or it was measured before a backup was restored.
    pub(crate) may_exist: bool,
}

/// The result of sending a batch.
#[derive(Debug)]
pub(crate) struct BatchResult {
    pub(crate) verdicts: Vec<(OutboxEntry, Verdict)>,
    /// The error after which nothing more should be sent for now.
    pub(crate) stop: Option<JheError>,
}

/// Renders a batch entry that creates an Observation. `patient` and `device` are JHE's ids.
pub(crate) fn render_entry(
    stream: &StreamInfo,
    waiting: &OutboxEntry,
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

pub(crate) fn render_batch(entries: &[OutgoingEntry]) -> String {
    let entries: Vec<&str> = entries.iter().map(|entry| entry.json.as_str()).collect();
    format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#, entries.join(","))
}
