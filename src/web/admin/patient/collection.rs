//! The collection windows of a patient: what they are, and a form for the last day in each study.

use http::StatusCode;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::Role;
use crate::model::audit_detail::AuditDetail;
use crate::model::collection_window::last_day;
use crate::model::study::StudyId;
use crate::store::people::collection_window::StudyPart;
use crate::store::people::study;
use crate::store::privacy::audit;
use crate::web::access::{COORDINATED_PATIENT, VisiblePatient};
use crate::web::admin::study_window::parse_day;
use crate::web::layout::{fold, form};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![post("/admin/patients/{patient}/collection", COORDINATED_PATIENT, change)]
}

/// Renders the windows of the studies that the viewer may see, each with its form; nothing for a patient in none.
pub(crate) fn render_fold(
    patient: &VisiblePatient,
    parts: &[StudyPart],
    zone: &TimeZone,
    is_open: bool,
    now: Timestamp,
) -> Markup {
    let states: Vec<String> = parts.iter().map(|part| describe(part, zone, now)).collect();
    html! {
        @if let Some(first) = states.first() {
            (fold("collection", "Collection window", first, is_open, &html! {
                @for (part, state) in parts.iter().zip(&states) {
                    p { strong { (part.name) } ": " (state) }
                    @if patient.may(Role::Coordinator) { (render_form(patient, part)) }
                }
            }))
        }
    }
}

fn render_form(patient: &VisiblePatient, part: &StudyPart) -> Markup {
    let id = format!("until-{}", part.study);
    let until = part.own_until.map(|day| day.to_string()).unwrap_or_default();
    form(
        &format!("/admin/patients/{}/collection", patient.id()),
        patient.staff().token(),
        &html! {
            input type="hidden" name="study" value=(part.study);
            div.field {
                label for=(id) { "Last day for this patient in " (part.name) }
                p.help id={ (id) "-help" } {
                    "The study says: " (part.window.describe()) ". Leave empty to follow the study."
                }
                input type="date" id=(id) name="until" value=(until) aria-describedby={ (id) "-help" };
            }
            button.quiet type="submit" { "Save the last day" span.hidden { " in " (part.name) } }
        },
    )
}

/// Says in one sentence when a part begins and ends.
fn describe(part: &StudyPart, zone: &TimeZone, now: Timestamp) -> String {
    let day = |at: Timestamp| last_day(at, zone).map(|day| day.to_string()).unwrap_or_default();
    let (from, until) = part.limits;
    let Some(until) = until else {
        return match part.window.parts() {
            (_, _, Some(days)) => format!("{days} days from connecting; no device is connected yet."),
            _ => "no last day.".to_owned(),
        };
    };
    let (last, late) = (day(until), part.reads_until().map(day).unwrap_or_default());
    match () {
        () if part.reads_until().is_some_and(|end| end <= now) => {
            format!("completed; the last day was {last}.")
        }
        () if until <= now => format!("ended on {last}. Late data are read until {late}."),
        () if from > Some(now) => format!("has not begun; the last day is {last}."),
        () => format!("until {last}, inclusive. Late data are read until {late}."),
    }
}

async fn change(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let bad = |why: String| Refusal::new(StatusCode::BAD_REQUEST, "The last day was not saved", why);
    let wanted: StudyId =
        request.form().get("study").parse().map_err(|_| bad("The form names no study.".to_owned()))?;
    let until = parse_day("Last day", request.form().get("until")).map_err(bad)?;
    patient.staff().require_in_study(app, wanted, Role::Coordinator).await?;
    let (id, who, now) = (patient.id(), patient.staff().actor(), app.clock.now());
    let write = move |db: &_| {
        study::set_own_until(db, wanted, id, until, now)?;
        audit::record(db, now, who, "collection.change", Some(id), AuditDetail::from("study").with(wanted))
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=saved")))
}
