use std::sync::Arc;

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::activity_context::Context;
use crate::model::catalog::code::CODES;
use crate::model::catalog::series;
use crate::model::patient::PatientId;
use crate::model::sample::Sample;
use crate::model::sample_details::{Frame, Particulars};
use crate::model::stream_key::StreamKey;

/// What all observations of one stream share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream's row.
    pub id: i64,
    /// Whose.
    pub patient: PatientId,
    /// JHE's number of the patient.
    pub jhe_id: Option<i64>,
    /// The identity of the patient's samples.
    pub subject: String,
    /// `ow:normalized` or `ow:raw`.
    pub system: String,
    /// OW's series type.
    pub series_type: String,
    /// OW's `source.provider`.
    pub provider: String,
    /// OW's `source.source`.
    pub source: String,
    /// OW's `source.device`.
    pub device: String,
    /// Whether each sample is the total of a day.
    pub daily_total: bool,
    /// The terminology of the code.
    pub code_system: String,
    /// The code.
    pub code: String,
    /// What people call the code.
    pub display: String,
    /// Version of the renderer.
    pub converter: i64,
}

impl StreamInfo {
    /// Describes a stream that has no row yet, as it is rendered once it has one.
    pub fn unstored(key: &StreamKey, subject: &str, system: &str) -> Self {
        let code = series::series(key.series_type).map_or("", |series| series.code);
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

/// One observation of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// When it was measured.
    pub instant: Timestamp,
    /// The value.
    pub value: f64,
    /// The local offset, where the sample said.
    pub zone: Option<ZoneOffset>,
    /// How often OW has changed it since it was first kept.
    pub revision: i64,
    /// What the wearer did, where the provider said; in no document.
    pub context: Option<Context>,
    /// What it says beside the value.
    pub particulars: Option<Arc<Particulars>>,
}

impl Observation {
    /// The interval that it measures over; none for an instant.
    pub fn frame(&self) -> Option<Frame> {
        self.particulars.as_ref().and_then(|particulars| particulars.frame)
    }

    /// OW's id of the event that it is.
    pub fn event(&self) -> Option<&str> {
        self.particulars.as_ref().and_then(|particulars| particulars.id.as_deref())
    }
}

impl From<Sample> for Observation {
    /// Returns the observation that a sample becomes when it is stored first.
    fn from(sample: Sample) -> Self {
        let Sample { instant, value, zone, context, particulars } = sample;
        Self { instant, value, zone, revision: 0, context, particulars }
    }
}

/// Version of the converter and renderer that new streams get. An older stream keeps its own, so that
/// its documents stay the same, byte for byte.
pub const CONVERTER: i64 = 1;
