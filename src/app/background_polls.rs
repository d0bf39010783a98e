//! Queues polls of single patients in the background, for pages. The poll continues after the browser has left.

use std::sync::Arc;
use std::time::Duration;

use crate::app::{poll_jobs::JobState, state::App};
use crate::common::failure::Failure;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::model::consent_standing::ConsentStanding;
use crate::model::patient::{PatientId, PatientRef};
use crate::poll::poller::{BackfillRequest, PollRequest};
use crate::poll::{progress::PollProgress, tick::PollOutcome};
use crate::store::{operations::poll_plan::NotPolled, privacy::audit};

/// Pause before the next attempt, while a tick or a command holds the lock.
const HELD_PAUSE: Duration = Duration::from_secs(1);

/// Queues a poll of one patient. Returns false if the same one waits already.
pub(crate) fn start(app: &App, patient: PatientId, title: &str, backfill: Option<BackfillRequest>) -> bool {
    let Some(progress) = app.poll_jobs.request(patient, title, app.clock.now()) else { return false };
    let kind = AuditDetail::from(if backfill.is_some() { "backfill:" } else { "sync:" });
    let request = PollRequest { patient: Some(PatientRef::Own(patient)), backfill, ..PollRequest::default() };
    let poll = tokio::spawn(run(app.clone(), patient, request, Arc::clone(&progress)));
    // A second task awaits the first, so that the job ends even if the poll panics.
    let app = app.clone();
    tokio::spawn(async move {
        let crashed = || ("The poll crashed; the log says why.".to_owned(), kind.clone().with("failed"));
        let (result, detail) = match poll.await {
            Ok(outcome) => (describe(&outcome), summarize(kind.clone(), &outcome)),
            Err(_) => crashed(),
        };
        let now = app.clock.now();
        // The result on the page ends with the daemon; the history keeps it.
        let record =
            move |db: &_| audit::record(db, now, Actor::Daemon, "poll.result", Some(patient), detail);
        if let Err(error) = app.store.write(record).await {
            tracing::warn!(%patient, "the result of a requested poll could not be recorded: {error}");
        }
        app.poll_jobs.set_state(patient, &progress, JobState::Ended(now, result));
    });
    true
}

type Outcome = Result<PollOutcome, Failure>;

/// Polls once it is this job's turn and the lock is free.
async fn run(app: App, patient: PatientId, request: PollRequest, progress: Arc<PollProgress>) -> Outcome {
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
                return outcome;
            }
        }
    }
}

/// Describes the result of one patient's poll in a sentence.
fn describe(outcome: &Outcome) -> String {
    match outcome {
        Ok(PollOutcome::Skipped(sentence) | PollOutcome::Held(sentence)) => sentence.clone(),
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

/// Describes the result for the audit, which takes no text of OW.
fn summarize(kind: AuditDetail, outcome: &Outcome) -> AuditDetail {
    match outcome {
        Ok(PollOutcome::Skipped(_) | PollOutcome::Held(_)) => kind.with("skipped"),
        Ok(PollOutcome::Complete(summary)) if !summary.failed.is_empty() => kind.with("failed"),
        Ok(PollOutcome::Complete(summary))
            if summary.patients.is_empty() && !summary.not_polled.is_empty() =>
        {
            kind.with("not polled")
        }
        Ok(PollOutcome::Complete(summary)) => kind.with(summary.counts.created).with("new observations"),
        Err(_) => kind.with("failed"),
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
