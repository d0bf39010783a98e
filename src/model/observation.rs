//! Stored observations and the data that all observations of a stream share.

use std::sync::Arc;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::catalog::{code::CODES, series};
use crate::model::sample_details::{SampleDetails, TimeFrame};
use crate::model::stream_key::StreamKey;
use crate::model::{activity_context::ActivityContext, patient::PatientId, sample::Sample};

/// A stream with everything that the rendering of its observations needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Row id of the stream.
    pub id: i64,
    pub patient: PatientId,
    /// JHE's patient id.
    pub jhe_id: Option<i64>,
    /// OW user id of the patient's first link.
    pub subject: String,
    /// `ow:normalized` or `ow:raw`.
    pub system: String,
    pub series_type: String,
    /// OW's `source.provider`.
    pub provider: String,
    /// OW's `source.source`.
    pub source: String,
    /// OW's `source.device`.
    pub device: String,
    pub daily_total: bool,
    pub code_system: String,
    pub code: String,
    /// Name of the code for people.
    pub display: String,
    pub converter: i64,
}

impl StreamInfo {
    /// Returns the description of a stream that is not stored, so that it renders as it would if it were.
    pub fn unstored(key: &StreamKey, subject: &str, system: &str) -> Self {
        let code = series::find(key.series_type).map_or("", |series| series.code);
        let known = CODES.iter().find(|known| known.code == code);
        Self {
            id: 0,
            patient: PatientId::new(0),
            jhe_id: None,
            subject: subject.to_owned(),
            system: system.to_owned(),
            series_type: key.series_type.to_owned(),
            provider: key.provider.clone(),
            source: key.source.clone(),
            device: key.device.clone(),
            daily_total: key.daily_total,
            code_system: known.map_or("", |known| known.system).to_owned(),
            code: code.to_owned(),
            display: known.map_or("", |known| known.display).to_owned(),
            converter: CONVERTER,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Time of the measurement.
    pub instant: Timestamp,
    pub value: f64,
    /// Local offset at the measurement, if known.
    pub zone: Option<ZoneOffset>,
    /// Number of OW's changes since the first value.
    pub revision: i64,
    /// Stored only; no document contains it.
    pub context: Option<ActivityContext>,
    pub details: Option<Arc<SampleDetails>>,
}

impl Observation {
    /// Returns the interval of the measurement; none for an instant.
    pub fn frame(&self) -> Option<TimeFrame> {
        self.details.as_ref().and_then(|details| details.frame)
    }

    /// Returns the id of a night, workout or daily summary.
    pub fn event(&self) -> Option<&str> {
        self.details.as_ref().and_then(|details| details.id.as_deref())
    }
}

impl From<Sample> for Observation {
    /// Returns the first revision.
    fn from(sample: Sample) -> Self {
        let Sample { instant, value, zone, context, details } = sample;
        Self { instant, value, zone, revision: 0, context, details }
    }
}

/// Version of converter and renderer for new streams. An older stream keeps its version, so that its
/// documents stay the same, byte for byte.
pub const CONVERTER: i64 = 1;
