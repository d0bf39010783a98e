//! The page with all charts of a patient, or with one of them.

use maud::html;

use crate::app::state::App;
use crate::common::time::time_zone_or_utc;
use crate::model::patient::PatientRef;
use crate::store::people::{patient as patients, visibility};
use crate::web::access::{VISIBLE_PATIENT, VisiblePatient};
use crate::web::admin::staff::{record_view, render_staff_page};
use crate::web::chart::charts::{ChartedSeries, Charts};
use crate::web::chart::period::Period;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/patients/{patient}/charts", VISIBLE_PATIENT, show),
        get("/admin/patients/{patient}/charts/{series}", VISIBLE_PATIENT, show),
    ]
}

async fn show(app: &App, request: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let only = Some(request.parameter("series")).filter(|series_type| !series_type.is_empty());
    let (now, period) = (app.clock.now(), Period::parse(request.query.get("period")));
    let visible_to = staff.visible_to();
    let wanted = only.map(str::to_owned);
    let read = move |db: &_| {
        let name = visibility::find_patient_label(db, visible_to, id)?;
        let zone = time_zone_or_utc(&patients::find(db, PatientRef::Own(id))?.time_zone);
        let rows = ChartedSeries::load(db, id)?;
        let rows = match wanted {
            Some(series_type) => rows.only(&series_type),
            None => Some(rows),
        };
        let charts = rows.map(|rows| Charts::load(db, &rows, (period, &zone), now)).transpose()?;
        Ok((name, charts))
    };
    let (name, charts) = app.store.read(read).await?;
    let charts = charts.ok_or_else(Refusal::not_found)?;
    record_view(app, staff, "patient.view", Some(id)).await?;
    let all = format!("/admin/patients/{id}/charts");
    let here = only.map_or_else(|| all.clone(), |series_type| format!("{all}/{series_type}"));
    let body = html! {
        h1 { "Charts of " (name) }
        p {
            a href={ "/admin/patients/" (id) } { "Back to the patient" }
            @if only.is_some() { " · " a href=(all) { "All charts" } }
        }
        (charts.render(&format!("{here}?period=")))
    };
    Ok(render_staff_page(app, staff, "/admin/patients", "Charts", &body))
}
