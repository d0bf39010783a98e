use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::poll::progress::Progress;

/// The last poll that was asked for, of each patient.
#[derive(Debug, Clone, Default)]
pub struct Jobs(Arc<Mutex<BTreeMap<i64, Job>>>);

/// A poll of one patient.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// What was asked for, in words.
    pub(crate) what: String,
    pub(crate) began: Timestamp,
    pub(crate) progress: Arc<Progress>,
    /// When and how it ended; none while it runs.
    pub(crate) ended: Option<(Timestamp, String)>,
}

impl Jobs {
    /// The last poll that was asked for of this patient.
    pub(crate) fn of(&self, patient: PatientId) -> Option<Job> {
        self.0.lock().get(&patient.get()).cloned()
    }

    /// Notes that a poll begins; answers whether it may: one of the same patient may be running.
    pub(crate) fn begin(&self, patient: PatientId, job: &Job) -> bool {
        let mut jobs = self.0.lock();
        let runs = jobs.get(&patient.get()).is_some_and(|job| job.ended.is_none());
        if !runs {
            jobs.insert(patient.get(), job.clone());
        }
        !runs
    }

    pub(crate) fn end(&self, patient: PatientId, now: Timestamp, how: String) {
        let mut jobs = self.0.lock();
        if let Some(job) = jobs.get_mut(&patient.get()) {
            job.ended = Some((now, how));
        }
    }
}
