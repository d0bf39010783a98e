//! Starts a poll of one patient in the background, for a page. The poll continues after the browser has left.

use std::sync::Arc;

use crate::app::{poll_jobs::PollJob, state::App};
use crate::common::failure::Failure;
use crate::model::patient::{PatientId, PatientRef};
use crate::poll::poller::{BackfillRequest, PollRequest};
use crate::poll::{progress::PollProgress, tick::PollOutcome};
use crate::store::operations::poll_plan::NotPolled;

/// Starts a poll of one patient. Returns false if one of the same patient still runs.
pub(crate) fn start(app: &App, patient: PatientId, title: &str, backfill: Option<BackfillRequest>) -> bool {
    let (progress, began) = (Arc::new(PollProgress::default()), app.clock.now());
    let job = PollJob { title: title.to_owned(), began, progress: Arc::clone(&progress), ended: None };
    if !app.poll_jobs.begin(patient, job) {
        return false;
    }
    let (jobs, poller, clock) = (app.poll_jobs.clone(), app.poller(), app.clock.clone());
    let request = PollRequest { patient: Some(PatientRef::Own(patient)), backfill, ..PollRequest::default() };
    let bucket_status = app.bucket_status.clone();
    let poll = tokio::spawn(async move {
        let outcome = poller.poll(&request, &progress).await;
        if let Ok(PollOutcome::Complete(summary)) = &outcome {
            bucket_status.record_turns(summary);
        }
        describe(outcome)
    });
    // A second task awaits the first, so that the job ends even if the poll panics.
    tokio::spawn(async move {
        let result = poll.await.unwrap_or_else(|_| "The poll crashed; the log says why.".to_owned());
        jobs.end(patient, clock.now(), result);
    });
    true
}

/// Describes the result of one patient's poll in a sentence.
fn describe(outcome: Result<PollOutcome, Failure>) -> String {
    match outcome {
        Ok(PollOutcome::Skipped(sentence) | PollOutcome::Held(sentence)) => sentence,
        Ok(PollOutcome::Complete(summary)) => match (summary.failed.first(), summary.not_polled.first()) {
            (Some((_, error)), _) => error.clone(),
            (None, Some((_, reason))) if summary.patients.is_empty() => {
                describe_not_polled(*reason).to_owned()
            }
            _ => summary.sentence(),
        },
        Err(failure) => failure.to_string(),
    }
}

fn describe_not_polled(reason: NotPolled) -> &'static str {
    match reason {
        NotPolled::NoLink => "Not polled: the patient is not linked to an OW user yet.",
        NotPolled::NeedsRelink => "Not polled: OW no longer knows the linked user.",
        NotPolled::NoConsent => "Not polled: the patient has no active consent.",
        NotPolled::NoConsentAtJhe => "Not polled: the patient has no active consent at JHE.",
    }
}
