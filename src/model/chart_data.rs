use crate::common::time::Timestamp;

/// A patient's stream, as far as a chart needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The stream's row.
    pub stream: i64,
    /// The catalogue's name of its row.
    pub series_type: String,
    /// OW's `source.provider`.
    pub provider: String,
    /// Whether each sample is the total of a day.
    pub daily_total: bool,
    /// The stream that it goes on with under a new name.
    pub continues: Option<i64>,
    /// Its newest sample time.
    pub newest: Timestamp,
}

/// The values of some samples, summed up: at least one, in the store's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sum {
    /// How many there are.
    pub samples: i64,
    /// The least.
    pub least: f64,
    /// Their sum.
    pub total: f64,
    /// The greatest.
    pub most: f64,
}

/// What a stream has in one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// The stream's row.
    pub stream: i64,
    /// The place of the stretch among those that were asked for.
    pub place: usize,
    /// The values.
    pub value: Sum,
    /// The diastolic pressures, where the samples have such.
    pub diastolic: Option<Sum>,
}
