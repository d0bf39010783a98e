use std::collections::BTreeMap;

use crate::common::time::Timestamp;
use crate::model::outbox_counts::Counts;
use crate::model::silence::Cause;

/// Figures of one moment, of all patients together.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Links by state.
    pub links: [(&'static str, i64); 3],
    /// The outbox by state.
    pub counts: Counts,
    /// Since when what waits longest could have been sent.
    pub oldest: Option<Timestamp>,
    /// The newest samples of linked patients who consent.
    pub newest: Newest,
    /// How many patients are silent, by the likely cause; as the pages say it.
    pub silent: BTreeMap<Cause, usize>,
    /// Linked patients whose last turn ended in an error.
    pub in_error: i64,
}

/// When patients' newest samples were measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Newest {
    /// Half of the patients have a newer one.
    pub median: Option<Timestamp>,
    /// Everybody else has a newer one.
    pub oldest: Option<Timestamp>,
}
