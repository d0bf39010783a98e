//! The name of an observation: a pure function of its natural key.

use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::model::observation::{Observation, StreamInfo};

/// The namespace of all identifiers that this daemon makes. Never to change: the same sample has the same
/// name on any machine, after any upgrade.
const NAMESPACE: Uuid = Uuid::from_u128(0x9349_5f13_8d04_44cc_9060_c64c_4a18_ff03);

/// The uuid of an observation: version 5 over its key as a JSON array. The key ends with the instant in microseconds; with
/// OW's id instead, where the sample is an event that has one, since its beginning may move.
pub fn identifier(stream: &StreamInfo, observation: &Observation) -> Uuid {
    uuid(stream, observation.instant, observation.event())
}

/// The uuid of the observation of `stream` at `instant`, or of the event of this id.
pub fn uuid(stream: &StreamInfo, instant: Timestamp, event: Option<&str>) -> Uuid {
    let place = match event {
        Some(id) => serde_json::Value::from(id),
        None => instant.micros().into(),
    };
    let key = serde_json::json!([
        stream.subject,
        stream.system,
        stream.series_type,
        stream.provider,
        stream.source,
        stream.device,
        stream.daily_total,
        place,
    ]);
    Uuid::new_v5(&NAMESPACE, key.to_string().as_bytes())
}
