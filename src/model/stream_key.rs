use crate::model::patient::PatientId;

/// Where a sample comes from, as OW tells it; what OW leaves out is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// OW's series type.
    pub series_type: &'static str,
    /// `source.provider`.
    pub provider: String,
    /// `source.source`.
    pub source: String,
    /// `source.device`.
    pub device: String,
    /// Whether a sample is the total of a day.
    pub daily_total: bool,
}

/// Whose stream, under which identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The patient.
    pub patient: PatientId,
    /// The OW user id under which the patient's samples are identified.
    pub subject: String,
    /// `ow:normalized` or `ow:raw`.
    pub system: &'static str,
}
