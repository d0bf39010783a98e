//! Stored data in the form that charts need.

use crate::common::time::Timestamp;

/// A patient's stream, for a chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChartStream {
    /// Row id of the stream.
    pub stream: i64,
    pub series_type: String,
    /// OW's `source.provider`.
    pub provider: String,
    pub daily_total: bool,
    /// Row id of the stream that this one continues under a new name.
    pub continues: Option<i64>,
    /// Time of the newest sample.
    pub newest: Timestamp,
}

/// A summary of at least one value, in the unit of the store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValueSummary {
    /// Number of samples.
    pub samples: i64,
    pub min: f64,
    pub sum: f64,
    pub max: f64,
}

/// A stream's values in one period of a chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodSummary {
    /// Row id of the stream.
    pub stream: i64,
    /// Index of the period among the requested ones.
    pub period: usize,
    pub value: ValueSummary,
    /// Diastolic pressures; for blood pressure only.
    pub diastolic: Option<ValueSummary>,
}
