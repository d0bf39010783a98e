//! Polls of one patient: now, or of the past.

use std::time::Duration;

use maud::{Markup, html};
use warp::reply::Response;

use crate::app::background_polls;
use crate::app::poll_jobs::Job;
use crate::app::state::App;
use crate::model::account::Role;
use crate::model::consent_intervals::Interval;
use crate::model::patient::PatientId;
use crate::poll::poller::Past;
use crate::store::operations::patient_status::Line;
use crate::store::privacy::audit;
use crate::web::admin::staff::Staff;
use crate::web::layout::{ago, form};
use crate::web::request::Visit;
use crate::web::response::{Refusal, see_other};

/// Days that can be read from a page; the command line reads more.
const MOST_DAYS: i64 = 5 * 365;

/// The buttons, and how the last poll that was asked for goes.
pub(crate) fn section(app: &App, staff: &Staff, line: &Line) -> Markup {
    let id = line.patient;
    // What a newer tick has found out says more than how an old poll ended.
    let is_old = |job: &Job| job.ended.as_ref().is_some_and(|(ended, _)| line.polled > Some(*ended));
    let job = app.jobs.of(id).filter(|job| !is_old(job));
    html! {
        @if let Some(job) = &job { (progress(app, id, job)) }
        @if staff.may(Role::Manager) {
            div.actions {
                (form(&format!("/admin/patients/{id}/poll"), &staff.token, &html! {
                    button type="submit" { "Poll now" }
                }))
                (form(&format!("/admin/patients/{id}/backfill"), &staff.token, &html! {
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

fn progress(app: &App, id: PatientId, job: &Job) -> Markup {
    let (done, all) = (job.progress.slices_done(), job.progress.slices().max(1));
    html! {
        div.card #job {
            p { strong { (job.what) } ", begun " (ago(app.clock.now(), Some(job.began))) "." }
            @match &job.ended {
                Some((_, how)) => p { (how) },
                None => {
                    label for="job-progress" { (done) " of " (all) " weeks, " (job.progress.samples()) " samples read" }
                    progress id="job-progress" value=(done) max=(all) { (done) " of " (all) }
                    p { a href={ "/admin/patients/" (id) "#job" } { "Look again" } }
                }
            }
        }
    }
}

/// `POST …/poll`.
pub(crate) async fn poll(app: &App, staff: &Staff, id: PatientId) -> Result<Response, Refusal> {
    start(app, staff, id, "Poll", None).await
}

/// `POST …/backfill`.
pub(crate) async fn backfill(
    app: &App,
    visit: &Visit,
    staff: &Staff,
    id: PatientId,
) -> Result<Response, Refusal> {
    let days = visit.form.number("days").filter(|days| (1..=MOST_DAYS).contains(days));
    let Some(days) = days.and_then(|days| u64::try_from(days).ok()) else {
        let text = format!("Give a number of days from 1 to {MOST_DAYS}.");
        return Err(Refusal::bad(text).next(format!("/admin/patients/{id}"), "Back to the patient"));
    };
    let now = app.clock.now();
    let range = Interval { from: now.minus(Duration::from_hours(24 * days)), until: now };
    let past = Past { asked: format!("window {days}d"), range };
    start(app, staff, id, &format!("Backfill of {days} days"), Some(past)).await
}

async fn start(
    app: &App,
    staff: &Staff,
    id: PatientId,
    what: &str,
    past: Option<Past>,
) -> Result<Response, Refusal> {
    if !background_polls::start(app, id, what, past) {
        return Ok(see_other(&format!("/admin/patients/{id}?done=busy")));
    }
    let (who, now, detail) = (staff.actor(), app.clock.now(), what.to_owned());
    app.store.write(move |db| audit::record(db, now, who, "poll", Some(id), &detail)).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=polling")))
}
