//! Values of the store for the metrics, summed over all patients.

use std::collections::BTreeMap;

use crate::common::time::Timestamp;
use crate::model::{outbox_counts::OutboxCounts, silence::SilenceCause};

#[derive(Debug, Clone, Default)]
pub struct MetricValues {
    /// Links by state.
    pub links: [(&'static str, i64); 3],
    pub outbox: OutboxCounts,
    /// Observations that JHE has without an identifier, ever.
    pub orphans: i64,
    /// Time at which the oldest sendable observation became due.
    pub oldest_sendable: Option<Timestamp>,
    /// The newest samples of linked patients with a consent.
    pub newest: NewestSampleTimes,
    /// Silent patients by likely cause.
    pub silent: BTreeMap<SilenceCause, usize>,
    /// Linked patients whose last sync ended in an error.
    pub in_error: i64,
}

/// Times of the patients' newest samples.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewestSampleTimes {
    pub median: Option<Timestamp>,
    /// The time of the patient who is furthest behind.
    pub oldest: Option<Timestamp>,
}
