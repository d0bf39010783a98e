//! The name of an observation: a pure function of its natural key.

use uuid::Uuid;

use crate::store::observation::StreamInfo;
use crate::time::Timestamp;

/// The namespace of all identifiers that this daemon makes. Never to change: the same sample has the same
/// name on any machine, after any upgrade.
const NAMESPACE: Uuid = Uuid::from_u128(0x9349_5f13_8d04_44cc_9060_c64c_4a18_ff03);

/// The uuid of the observation of `stream` at `instant`: version 5 over the key as a JSON array.
pub fn identifier(stream: &StreamInfo, instant: Timestamp) -> Uuid {
    let key = serde_json::json!([
        stream.subject,
        stream.system,
        stream.series_type,
        stream.provider,
        stream.source,
        stream.device,
        stream.daily_total,
        instant.micros(),
    ]);
    Uuid::new_v5(&NAMESPACE, key.to_string().as_bytes())
}
