//! The key of a stream and its owner: together they identify a sample besides its instant.

use crate::model::patient::PatientId;

/// The origin of a sample in OW's terms. Absent values are empty, because SQLite treats NULLs as distinct.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    pub series_type: &'static str,
    /// OW's `source.provider`.
    pub provider: String,
    /// OW's `source.source`.
    pub source: String,
    /// OW's `source.device`.
    pub device: String,
    /// True if each sample is the total of a day.
    pub daily_total: bool,
}

/// The patient of a stream and the identity under which the samples are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamOwner {
    pub patient: PatientId,
    /// OW user id of the patient's first link.
    pub subject: String,
    /// `ow:normalized` or `ow:raw`.
    pub system: &'static str,
}
