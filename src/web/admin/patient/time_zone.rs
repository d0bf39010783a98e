//! The warning that a patient's samples contradict the time zone, and its correction.

use http::StatusCode;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::Role;
use crate::model::patient::normalize_time_zone;
use crate::model::time_zones;
use crate::store::people::time_zone::{self, PatientTimeZone};
use crate::store::privacy::audit;
use crate::web::access::{COORDINATED_PATIENT, VisiblePatient};
use crate::web::layout::form;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![post("/admin/patients/{patient}/time-zone", COORDINATED_PATIENT, correct)]
}

/// Renders the warning, with one button that corrects the zone; nothing if the samples agree with it.
pub(crate) fn render_warning(patient: &VisiblePatient, known: &PatientTimeZone, now: Timestamp) -> Markup {
    html! {
        @if let (Some(offset), Some(zone)) = (known.contradicting, known.correction(now)) {
            div.warning {
                p { strong { "Time zone" } ": " (time_zones::describe_contradiction(&known.zone, offset)) }
                @if patient.may(Role::Coordinator) {
                    (form(&format!("/admin/patients/{}/time-zone", patient.id()), patient.staff().token(), &html! {
                        input type="hidden" name="tz" value=(zone);
                        button type="submit" { "Set the time zone to " (time_zones::display_name(&zone)) }
                    }))
                }
            }
        }
    }
}

async fn correct(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let zone = normalize_time_zone(request.form().get("tz"))
        .map_err(|why| Refusal::new(StatusCode::BAD_REQUEST, "This is not a time zone", why))?;
    let (id, who, now) = (patient.id(), patient.staff().actor(), app.clock.now());
    let write = move |db: &_| {
        time_zone::set(db, id, &zone, now)?;
        audit::record(db, now, who, "patient.time-zone", Some(id), "")
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=saved")))
}
