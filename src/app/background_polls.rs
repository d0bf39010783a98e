//! Polls that somebody asked for on a page: they go on while nobody looks.

use std::sync::Arc;

use crate::app::poll_jobs::Job;
use crate::app::state::App;
use crate::common::failure::Failure;
use crate::model::patient::{PatientId, PatientRef};
use crate::poll::poller::{Ask, Past};
use crate::poll::progress::Progress;
use crate::poll::tick::Outcome;

/// Starts a poll of one patient in the background; answers whether it was started: one that runs is left
/// alone.
pub(crate) fn start(app: &App, patient: PatientId, what: &str, past: Option<Past>) -> bool {
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
