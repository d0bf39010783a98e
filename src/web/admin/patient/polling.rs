//! Starts a poll or a backfill of one patient, and shows its progress.

use std::time::Duration;

use maud::{Markup, html};

use crate::app::poll_jobs::{JobState, PollJob};
use crate::app::{background_polls, state::App};
use crate::common::counted::counted;
use crate::model::audit_detail::AuditDetail;
use crate::model::{account::Role, consent_intervals::Interval, patient::PatientId};
use crate::poll::poller::BackfillRequest;
use crate::store::privacy::audit;
use crate::web::access::{COORDINATED_PATIENT, VisiblePatient};
use crate::web::layout::{ago, fold, form};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};

/// Longest backfill from a page; the command line allows more.
const MAX_DAYS: i64 = 5 * 365;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/admin/patients/{patient}/poll", COORDINATED_PATIENT, poll),
        post("/admin/patients/{patient}/backfill", COORDINATED_PATIENT, backfill),
        post("/admin/patients/{patient}/dismiss-results", COORDINATED_PATIENT, dismiss),
    ]
}

/// Renders the requested polls with their progress or result.
pub(crate) fn render_jobs(app: &App, patient: &VisiblePatient) -> Markup {
    let (staff, id) = (patient.staff(), patient.id());
    let jobs = app.poll_jobs.list(id);
    html! { @if !jobs.is_empty() {
        div #jobs {
            @for job in &jobs { (render_job(app, id, job)) }
            @if patient.may(Role::Coordinator) && jobs.iter().any(|job| matches!(job.state, JobState::Ended(..))) {
                (form(&format!("/admin/patients/{id}/dismiss-results"), staff.token(), &html! {
                    button.quiet type="submit" { "Dismiss the results" }
                }))
            }
        }
    } }
}

/// Renders the buttons for a coordinator.
pub(crate) fn render_fold(app: &App, patient: &VisiblePatient, is_open: bool) -> Markup {
    let (staff, id) = (patient.staff(), patient.id());
    let waiting =
        app.poll_jobs.list(id).iter().filter(|job| !matches!(job.state, JobState::Ended(..))).count();
    let state = match waiting {
        0 => "nothing is queued".to_owned(),
        number => format!("{} queued", counted(number, "request")),
    };
    fold(
        "sync",
        "Sync now, or read the past again",
        &state,
        is_open,
        &html! {
            div.actions {
                (form(&format!("/admin/patients/{id}/poll"), staff.token(), &html! {
                    button.quiet type="submit" { "Sync now" }
                }))
                (form(&format!("/admin/patients/{id}/backfill"), staff.token(), &html! {
                    div.inline {
                        label for="days" { "Days to fetch again:" }
                        input id="days" name="days" type="number" min="1" max=(MAX_DAYS) value="30" required;
                        button.quiet type="submit" { "Backfill" }
                    }
                }))
            }
            p.fine { "A request waits until no other sync runs. Its result stays on this page and in the history." }
        },
    )
}

fn render_job(app: &App, id: PatientId, job: &PollJob) -> Markup {
    let now = app.clock.now();
    let (done, all) = (job.progress.slices_done.get(), job.progress.slices.get().max(1));
    html! {
        div.card {
            p { strong { (job.title) } ", requested " (ago(now, Some(job.requested))) "." }
            @match &job.state {
                JobState::Ended(ended, result) => p { (result) " Ended " (ago(now, Some(*ended))) "." },
                JobState::Queued => p { "Waits for its turn: another sync is running. "
                    a href={ "/admin/patients/" (id) "#jobs" } { "Refresh" } },
                JobState::Running => {
                    label for="job-progress" { (done) " of " (all) " weeks, " (job.progress.samples.get()) " samples read" }
                    progress id="job-progress" value=(done) max=(all) { (done) " of " (all) }
                    p { a href={ "/admin/patients/" (id) "#jobs" } { "Refresh" } }
                }
            }
        }
    }
}

async fn poll(app: &App, _: &Request, patient: &VisiblePatient) -> HandlerResult {
    start(app, patient, "Sync", "sync".into(), None).await
}

async fn dismiss(app: &App, _: &Request, patient: &VisiblePatient) -> HandlerResult {
    app.poll_jobs.dismiss(patient.id());
    Ok(see_other(&format!("/admin/patients/{}", patient.id())))
}

async fn backfill(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let days = request.form().number("days").filter(|days| (1..=MAX_DAYS).contains(days));
    let Some(days) = days.and_then(|days| u64::try_from(days).ok()) else {
        let text = format!("Give a number of days from 1 to {MAX_DAYS}.");
        return Err(
            Refusal::bad(text).link(format!("/admin/patients/{}", patient.id()), "Back to the patient")
        );
    };
    let now = app.clock.now();
    let range = Interval { from: now.minus(Duration::from_hours(24 * days)), until: now };
    let request = BackfillRequest { name: format!("window {days}d"), range };
    let detail = AuditDetail::from("backfill of").with(days).with("days");
    start(app, patient, &format!("Backfill of {days} days"), detail, Some(request)).await
}

async fn start(
    app: &App,
    patient: &VisiblePatient,
    title: &str,
    detail: AuditDetail,
    backfill: Option<BackfillRequest>,
) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    if !background_polls::start(app, id, title, backfill) {
        return Ok(see_other(&format!("/admin/patients/{id}?done=busy")));
    }
    let (who, now) = (staff.actor(), app.clock.now());
    app.store.write(move |db| audit::record(db, now, who, "poll", Some(id), detail)).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=polling")))
}
