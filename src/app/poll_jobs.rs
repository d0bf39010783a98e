//! Polls that people request on pages: a queue, and the results until somebody dismisses them.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::poll::progress::PollProgress;

/// Results that are kept of one patient; the oldest goes first.
const MOST_RESULTS: usize = 5;

#[derive(Debug, Clone, Default)]
pub struct PollJobs {
    /// The jobs of each patient, the oldest first.
    jobs: Arc<Mutex<BTreeMap<i64, Vec<PollJob>>>>,
    /// By patient: held by the job that runs. The patient's others wait for it in the order of their requests.
    turns: Arc<Mutex<BTreeMap<i64, Arc<tokio::sync::Mutex<()>>>>>,
}

/// A requested poll of one patient.
#[derive(Debug, Clone)]
pub(crate) struct PollJob {
    /// The name that the page shows, such as "Sync" or "Backfill of 30 days".
    pub(crate) title: String,
    pub(crate) requested: Timestamp,
    pub(crate) progress: Arc<PollProgress>,
    pub(crate) state: JobState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobState {
    Queued,
    Running,
    /// The time and the result.
    Ended(Timestamp, String),
}

impl PollJobs {
    pub(crate) fn list(&self, patient: PatientId) -> Vec<PollJob> {
        self.jobs.lock().get(&patient.get()).cloned().unwrap_or_default()
    }

    /// Adds a job to the queue. Returns its progress; none if the same job of the patient waits already.
    pub(crate) fn request(
        &self,
        patient: PatientId,
        title: &str,
        now: Timestamp,
    ) -> Option<Arc<PollProgress>> {
        let mut all = self.jobs.lock();
        let jobs = all.entry(patient.get()).or_default();
        if jobs.iter().any(|job| job.title == title && job.state == JobState::Queued) {
            return None;
        }
        let ended = jobs.iter().filter(|job| matches!(job.state, JobState::Ended(..))).count();
        if ended >= MOST_RESULTS
            && let Some(oldest) = jobs.iter().position(|job| matches!(job.state, JobState::Ended(..)))
        {
            jobs.remove(oldest);
        }
        let progress = Arc::new(PollProgress::default());
        let title = title.to_owned();
        jobs.push(PollJob {
            title,
            requested: now,
            progress: Arc::clone(&progress),
            state: JobState::Queued,
        });
        Some(progress)
    }

    /// Waits until no other job of the patient runs.
    pub(crate) async fn wait_for_turn(&self, patient: PatientId) -> OwnedMutexGuard<()> {
        let turn = Arc::clone(self.turns.lock().entry(patient.get()).or_default());
        turn.lock_owned().await
    }

    /// Changes the state of the job with this progress.
    pub(crate) fn set_state(&self, patient: PatientId, progress: &Arc<PollProgress>, state: JobState) {
        let mut all = self.jobs.lock();
        let mut jobs = all.get_mut(&patient.get()).into_iter().flatten();
        if let Some(job) = jobs.find(|job| Arc::ptr_eq(&job.progress, progress)) {
            job.state = state;
        }
    }

    /// Removes the patient's jobs that have ended.
    pub(crate) fn dismiss(&self, patient: PatientId) {
        if let Some(jobs) = self.jobs.lock().get_mut(&patient.get()) {
            jobs.retain(|job| !matches!(job.state, JobState::Ended(..)));
        }
    }
}
