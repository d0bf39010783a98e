//! The page with all charts of a patient, or with one of them.

use maud::html;

use crate::app::state::App;
use crate::common::time::time_zone_or_utc;
use crate::i18n::texts::Texts;
use crate::model::patient::PatientRef;
use crate::store::people::{patient as patients, visibility};
use crate::web::access::{VISIBLE_PATIENT, VisiblePatient};
use crate::web::admin::staff::{record_view, render_staff_page};
use crate::web::chart::charted_series::ChartedSeries;
use crate::web::chart::charts::Charts;
use crate::web::chart::overview::MeasurementOverview;
use crate::web::chart::period::{Period, Window, parse_window};
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
    let (now, wanted) = (app.clock.now(), parse_window(&request.query, Period::TwoWeeks));
    let visible_to = staff.visible_to();
    let series = only.map(str::to_owned);
    let read = move |db: &_| {
        let name = visibility::find_patient_label(db, visible_to, id)?;
        let zone = time_zone_or_utc(&patients::find(db, PatientRef::Own(id))?.time_zone);
        let rows = ChartedSeries::load(db, visible_to, id)?;
        let rows = match series {
            Some(series_type) => rows.only(&series_type),
            None => Some(rows),
        };
        let Some(rows) = rows else { return Ok((name, None)) };
        let overview = MeasurementOverview::load(db, visible_to, &rows, id, (&zone, now))?;
        let window = Window::new(wanted, &zone, now, Texts::ENGLISH);
        Ok((name, Some(Charts::load(db, &rows, window, &overview)?)))
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
        (charts.render(&here, None))
    };
    Ok(render_staff_page(app, staff, "/admin/patients", "Charts", &body))
}
