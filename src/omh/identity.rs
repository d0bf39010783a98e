//! The identifier of an observation: a pure function of its natural key.

use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use uuid::Uuid;

use crate::common::time::Timestamp;
use crate::model::catalog::{series, series_type::OwEndpoint};
use crate::model::observation::{Observation, StreamInfo};

/// The namespace of all identifiers. It never changes: a sample has the same identifier on each machine and
/// after each upgrade.
const NAMESPACE: Uuid = Uuid::from_u128(0x9349_5f13_8d04_44cc_9060_c64c_4a18_ff03);

pub fn observation_uuid(stream: &StreamInfo, observation: &Observation) -> Uuid {
    let was_part = observation.details.as_ref().is_some_and(|details| details.was_part);
    StreamIdentity::of(stream).uuid(observation.instant, observation.event(), was_part)
}

/// Returns the UUID (version 5 over the key as a JSON array) of the sample of `stream` at `instant`. An event
/// with an id of OW has the id in its key instead of the instant: its start may move.
pub fn sample_uuid(stream: &StreamInfo, instant: Timestamp, event: Option<&str>) -> Uuid {
    StreamIdentity::of(stream).uuid(instant, event, false)
}

/// The part of the key that all observations of a stream share.
#[derive(Debug)]
pub struct StreamIdentity {
    /// The hash of the namespace and of the JSON array up to the flag of a daily total.
    prefix: Sha1,
    daily_total: bool,
}

impl StreamIdentity {
    pub fn of(stream: &StreamInfo) -> Self {
        Self::with_series(stream, &stream.series_type)
    }

    /// Returns the identity of the rows of a data set. The observations of a sleep, of up to four series types, are one
    /// row, which has the identifier of the episode.
    pub fn of_row(stream: &StreamInfo) -> Self {
        let is_sleep =
            series::find(&stream.series_type).is_some_and(|series| series.origin == OwEndpoint::Sleep);
        Self::with_series(stream, if is_sleep { "sleep_episode" } else { &stream.series_type })
    }

    fn with_series(stream: &StreamInfo, series_type: &str) -> Self {
        let key = json!([
            stream.subject,
            stream.system,
            series_type,
            stream.provider,
            stream.source,
            stream.device,
        ]);
        let mut text = key.to_string();
        text.pop();
        let prefix = Sha1::new_with_prefix(NAMESPACE).chain_update(text);
        Self { prefix, daily_total: stream.daily_total }
    }

    /// Returns the identifier of an observation. `was_part`: the total of a day was first stored as a part of one.
    pub fn uuid(&self, instant: Timestamp, event: Option<&str>, was_part: bool) -> Uuid {
        let mut hash = self.prefix.clone();
        hash.update(if self.daily_total && !was_part { ",true," } else { ",false," });
        match event {
            Some(event) => hash.update(Value::from(event).to_string()),
            None => hash.update(itoa::Buffer::new().format(instant.micros())),
        }
        hash.update("]");
        let hash: [u8; 20] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash[..16]);
        uuid::Builder::from_sha1_bytes(bytes).into_uuid()
    }
}
