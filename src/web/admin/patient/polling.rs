//! Polls of one patient: now, or of the past.

use std::time::Duration;

use maud::{Markup, html};

use crate::app::{background_polls, poll_jobs::PollJob, state::App};
use crate::model::{account::Role, consent_intervals::Interval, patient::PatientId};
use crate::poll::poller::BackfillRequest;
use crate::store::{operations::patient_status::PatientOverview, privacy::audit};
use crate::web::access::{MANAGED_PATIENT, Staff, VisiblePatient};
use crate::web::layout::{ago, form};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};

/// Days that can be read from a page; the command line reads more.
const MOST_DAYS: i64 = 5 * 365;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/admin/patients/{patient}/poll", MANAGED_PATIENT, poll),
        post("/admin/patients/{patient}/backfill", MANAGED_PATIENT, backfill),
    ]
}

/// The buttons, and how the last poll that was asked for goes.
pub(crate) fn section(app: &App, staff: &Staff, line: &PatientOverview) -> Markup {
    let id = line.patient;
    // What a newer tick has found out says more than how an old poll ended.
    let is_old = |job: &PollJob| job.ended.as_ref().is_some_and(|(ended, _)| line.polled > Some(*ended));
    let job = app.poll_jobs.find(id).filter(|job| !is_old(job));
    html! {
        @if let Some(job) = &job { (progress(app, id, job)) }
        @if staff.may(Role::Manager) {
            div.actions {
                (form(&format!("/admin/patients/{id}/poll"), staff.token(), &html! {
                    button type="submit" { "Poll now" }
                }))
                (form(&format!("/admin/patients/{id}/backfill"), staff.token(), &html! {
                    div.inline {
                        label for="days" { "Read the past again, days:" }
                        input id="days" name="days" type="number" min="1" max=(MOST_DAYS) value="30" required;
                        button.quiet type="submit" { "Backfill" }
                    }
                }))
            }
        }
    }
}

fn progress(app: &App, id: PatientId, job: &PollJob) -> Markup {
    let (done, all) = (job.progress.slices_done.get(), job.progress.slices.get().max(1));
    html! {
        div.card #job {
            p { strong { (job.title) } ", begun " (ago(app.clock.now(), Some(job.began))) "." }
            @match &job.ended {
                Some((_, how)) => p { (how) },
                None => {
                    label for="job-progress" { (done) " of " (all) " weeks, " (job.progress.samples.get()) " samples read" }
                    progress id="job-progress" value=(done) max=(all) { (done) " of " (all) }
                    p { a href={ "/admin/patients/" (id) "#job" } { "Look again" } }
                }
            }
        }
    }
}

async fn poll(app: &App, _: &Request, patient: &VisiblePatient) -> HandlerResult {
    start(app, patient, "Poll", None).await
}

async fn backfill(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let days = request.form().number("days").filter(|days| (1..=MOST_DAYS).contains(days));
    let Some(days) = days.and_then(|days| u64::try_from(days).ok()) else {
        let text = format!("Give a number of days from 1 to {MOST_DAYS}.");
        return Err(
            Refusal::bad(text).link(format!("/admin/patients/{}", patient.id()), "Back to the patient")
        );
    };
    let now = app.clock.now();
    let range = Interval { from: now.minus(Duration::from_hours(24 * days)), until: now };
    let past = BackfillRequest { name: format!("window {days}d"), range };
    start(app, patient, &format!("Backfill of {days} days"), Some(past)).await
}

async fn start(
    app: &App,
    patient: &VisiblePatient,
    what: &str,
    past: Option<BackfillRequest>,
) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    if !background_polls::start(app, id, what, past) {
        return Ok(see_other(&format!("/admin/patients/{id}?done=busy")));
    }
    let (who, now, detail) = (staff.actor(), app.clock.now(), what.to_owned());
    app.store.write(move |db| audit::record(db, now, who, "poll", Some(id), &detail)).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=polling")))
}
