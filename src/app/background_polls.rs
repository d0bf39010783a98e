//! Queues polls of single patients in the background, for pages. The poll continues after the browser has left.

use std::sync::Arc;
use std::time::Duration;

use crate::app::{poll_jobs::JobState, state::App};
use crate::common::failure::Failure;
use crate::model::consent_standing::ConsentStanding;
use crate::model::patient::{PatientId, PatientRef};
use crate::poll::poller::{BackfillRequest, PollRequest};
use crate::poll::{progress::PollProgress, tick::PollOutcome};
use crate::store::operations::poll_plan::NotPolled;

/// Pause before the next attempt, while a tick or a command holds the lock.
const HELD_PAUSE: Duration = Duration::from_secs(1);

/// Queues a poll of one patient. Returns false if the same one waits already.
pub(crate) fn start(app: &App, patient: PatientId, title: &str, backfill: Option<BackfillRequest>) -> bool {
    let Some(progress) = app.poll_jobs.request(patient, title, app.clock.now()) else { return false };
    let request = PollRequest { patient: Some(PatientRef::Own(patient)), backfill, ..PollRequest::default() };
    let (jobs, clock) = (app.poll_jobs.clone(), app.clock.clone());
    let poll = tokio::spawn(run(app.clone(), patient, request, Arc::clone(&progress)));
    // A second task awaits the first, so that the job ends even if the poll panics.
    tokio::spawn(async move {
        let result = poll.await.unwrap_or_else(|_| "The poll crashed; the log says why.".to_owned());
        jobs.set_state(patient, &progress, JobState::Ended(clock.now(), result));
    });
    true
}

/// Polls once it is this job's turn and the lock is free; returns the result as a sentence.
async fn run(app: App, patient: PatientId, request: PollRequest, progress: Arc<PollProgress>) -> String {
    let _turn = app.poll_jobs.wait_for_turn(patient).await;
    loop {
        app.poll_jobs.set_state(patient, &progress, JobState::Running);
        let outcome = app.poller().poll(&request, &progress).await;
        match outcome {
            Ok(PollOutcome::Held(_)) if !app.cancel.is_cancelled() => {
                app.poll_jobs.set_state(patient, &progress, JobState::Queued);
                tokio::time::sleep(HELD_PAUSE).await;
            }
            outcome => {
                if let Ok(PollOutcome::Complete(summary)) = &outcome {
                    app.bucket_status.record_turns(summary);
                }
                return describe(outcome);
            }
        }
    }
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
        NotPolled::NoConsent(ConsentStanding::Withdrawn)
        | NotPolled::NoConsentAtJhe(ConsentStanding::Withdrawn) => {
            "Not polled: the patient has withdrawn or declined every consent."
        }
        NotPolled::NoConsent(ConsentStanding::Completed)
        | NotPolled::NoConsentAtJhe(ConsentStanding::Completed) => {
            "Not polled: the patient has completed the study."
        }
        NotPolled::NotBegun => "Not polled: the study has not begun to collect data.",
        NotPolled::NoConsent(ConsentStanding::Suspended) => {
            "Not polled: a restore has suspended the patient's consents."
        }
        NotPolled::NoConsent(_) => "Not polled: the patient has not answered yet whether to share data.",
        NotPolled::NoConsentAtJhe(_) => "Not polled: the patient has no active consent at JHE.",
    }
}
