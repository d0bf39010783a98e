//! Polls that somebody asked for on a page: they go on while nobody looks.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::App;
use crate::failure::Failure;
use crate::patient::{PatientId, PatientRef};
use crate::poll::{Ask, Outcome, Past, Progress};
use crate::time::Timestamp;

/// The last poll that was asked for, of each patient.
#[derive(Debug, Clone, Default)]
pub struct Jobs(Arc<Mutex<BTreeMap<i64, Job>>>);

/// A poll of one patient.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// What was asked for, in words.
    pub(super) what: String,
    pub(super) began: Timestamp,
    pub(super) progress: Arc<Progress>,
    /// When and how it ended; none while it runs.
    pub(super) ended: Option<(Timestamp, String)>,
}

impl Jobs {
    /// The last poll that was asked for of this patient.
    pub(super) fn of(&self, patient: PatientId) -> Option<Job> {
        self.0.lock().get(&patient.get()).cloned()
    }

    /// Notes that a poll begins; answers whether it may: one of the same patient may be running.
    fn begin(&self, patient: PatientId, job: &Job) -> bool {
        let mut jobs = self.0.lock();
        let runs = jobs.get(&patient.get()).is_some_and(|job| job.ended.is_none());
        if !runs {
            jobs.insert(patient.get(), job.clone());
        }
        !runs
    }

    fn end(&self, patient: PatientId, now: Timestamp, how: String) {
        let mut jobs = self.0.lock();
        if let Some(job) = jobs.get_mut(&patient.get()) {
            job.ended = Some((now, how));
        }
    }
}

/// Starts a poll of one patient in the background; answers whether it was started: one that runs is left
/// alone.
pub(super) fn start(app: &App, patient: PatientId, what: &str, past: Option<Past>) -> bool {
    let progress = Arc::new(Progress::default());
    let job =
        Job { what: what.to_owned(), began: app.clock.now(), progress: Arc::clone(&progress), ended: None };
    if !app.jobs.begin(patient, &job) {
        return false;
    }
    let (jobs, poller, clock) = (app.jobs.clone(), app.poller(), app.clock.clone());
    let ask = Ask { patient: Some(PatientRef::Own(patient)), past, ..Ask::default() };
    let payloads = app.payloads.clone();
    let poll = tokio::spawn(async move {
        let outcome = poller.poll(&ask, &progress).await;
        if let Ok(Outcome::Complete(summary)) = &outcome {
            payloads.note_turns(summary);
        }
        sentence(outcome)
    });
    tokio::spawn(async move {
        // However it ends, it has ended.
        let how = poll.await.unwrap_or_else(|_| "It broke off; the log says why.".to_owned());
        jobs.end(patient, clock.now(), how);
    });
    true
}

/// How a poll of one patient ended.
fn sentence(outcome: Result<Outcome, Failure>) -> String {
    match outcome {
        Ok(Outcome::Skipped(sentence) | Outcome::Held(sentence)) => sentence,
        Ok(Outcome::Complete(summary)) => match (summary.failed.first(), summary.idle.first()) {
            (Some((_, error)), _) => error.clone(),
            (None, Some((_, idle))) if summary.patients.is_empty() => idle.to_string(),
            _ => summary.sentence(),
        },
        Err(failure) => failure.to_string(),
    }
}
