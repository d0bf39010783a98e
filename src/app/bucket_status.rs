//! The state of the bucket with the providers' raw payloads, shared by the daemon's loops and the pages.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::poll::tick::PollSummary;

#[derive(Debug, Clone, Default)]
pub struct BucketStatus {
    /// None outside of raw mode.
    last_check: Arc<Mutex<Option<BucketCheck>>>,
    /// Patients whose last turn reached its limit of objects and left some unread.
    unfinished: Arc<Mutex<BTreeSet<PatientId>>>,
}

/// The result of one attempt to list and read the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketCheck {
    pub at: Timestamp,
    /// None where the bucket can be listed and read.
    pub error: Option<String>,
}

impl BucketStatus {
    pub fn last_check(&self) -> Option<BucketCheck> {
        self.last_check.lock().clone()
    }

    pub(crate) fn record_check(&self, check: Option<BucketCheck>) {
        *self.last_check.lock() = check;
    }

    pub fn has_unread_objects(&self, patient: PatientId) -> bool {
        self.unfinished.lock().contains(&patient)
    }

    /// Updates the patients with unread objects after a tick.
    pub fn record_turns(&self, summary: &PollSummary) {
        let mut unfinished = self.unfinished.lock();
        for (patient, _) in &summary.patients {
            unfinished.remove(patient);
        }
        unfinished.extend(&summary.unfinished);
    }
}
