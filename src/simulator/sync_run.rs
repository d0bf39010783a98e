//! A sync run as OW lists it.

use crate::common::time::Timestamp;

/// One fetch of a user's data by OW.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedRun {
    pub user: String,
    /// `pull`, `backfill`, `webhook`, `sdk`.
    pub source: String,
    /// `success`, `partial`, `failed`, `in_progress`.
    pub status: String,
    /// Samples that OW stored.
    pub items: Option<u64>,
    /// Start of the range of a historical run.
    pub from: Option<Timestamp>,
    /// The end of the run, or the time of its last progress.
    pub at: Timestamp,
}

impl SimulatedRun {
    /// Makes a successful pull that stored two samples.
    pub fn pull(user: &str, at: Timestamp) -> Self {
        let (source, status) = ("pull".to_owned(), "success".to_owned());
        Self { user: user.to_owned(), source, status, items: Some(2), from: None, at }
    }
}
