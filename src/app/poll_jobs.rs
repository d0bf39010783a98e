//! Polls that people start on pages. Keeps the last one of each patient for the page that shows its progress.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::poll::progress::PollProgress;

#[derive(Debug, Clone, Default)]
pub struct PollJobs(Arc<Mutex<BTreeMap<i64, PollJob>>>);

/// A poll of one patient.
#[derive(Debug, Clone)]
pub(crate) struct PollJob {
    /// The name that the page shows, such as "Poll" or "Backfill of 30 days".
    pub(crate) title: String,
    pub(crate) began: Timestamp,
    pub(crate) progress: Arc<PollProgress>,
    /// The time and the result; none while the poll runs.
    pub(crate) ended: Option<(Timestamp, String)>,
}

impl PollJobs {
    pub(crate) fn find(&self, patient: PatientId) -> Option<PollJob> {
        self.0.lock().get(&patient.get()).cloned()
    }

    /// Registers a job. Returns false if one of the same patient still runs.
    pub(crate) fn begin(&self, patient: PatientId, job: PollJob) -> bool {
        let mut jobs = self.0.lock();
        let is_running = jobs.get(&patient.get()).is_some_and(|job| job.ended.is_none());
        if !is_running {
            jobs.insert(patient.get(), job);
        }
        !is_running
    }

    pub(crate) fn end(&self, patient: PatientId, now: Timestamp, result: String) {
        if let Some(job) = self.0.lock().get_mut(&patient.get()) {
            job.ended = Some((now, result));
        }
    }
}
