//! The list of rejected samples.

use maud::html;

use crate::app::state::App;
use crate::store::samples::rejected as samples;
use crate::web::access::{COORDINATOR, Staff};
use crate::web::admin::staff::{PAGE, record_view, render_staff_page, split_page};
use crate::web::layout::{Column::Text, ago, foreign, older, table_head};
use crate::web::request::Request;
use crate::web::response::HandlerResult;
use crate::web::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/rejected", COORDINATOR, show)]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (patient, now) = (staff.listed_patient(app, request).await?, app.clock.now());
    let (before, visible_to) = (request.query.number("before"), staff.visible_to());
    let read = move |db: &_| samples::list(db, visible_to, patient, before, PAGE + 1);
    let (entries, more) = split_page(app.store.read(read).await?);
    record_view(app, staff, "rejected.view", None).await?;
    let of_patient = patient.map_or_else(String::new, |patient| format!("patient={patient}&"));
    let last = entries.last().filter(|_| more);
    let body = html! {
        h1 { "Rejected samples" }
        p { "Samples from OW that could not be converted, stored as they came, with the reason. Report those that \
             remain to whoever runs OW." }
        @if let Some(patient) = patient {
            p { "Of " a href={ "/admin/patients/" (patient) } { "patient " (patient) } " only. "
                a href="/admin/rejected" { "Show all" } }
        }
        @if entries.is_empty() { p.empty { "Nothing was rejected." } } @else {
            table {
                (table_head(&[Text("Patient"), Text("Series type"), Text("Reason"), Text("Last seen"), Text("Sample")]))
                tbody { @for entry in &entries { tr {
                    th scope="row" data-label="Patient" {
                        a href={ "/admin/patients/" (entry.patient) } { (entry.patient) }
                    }
                    td data-label="Series type" { (foreign(&entry.rejected.series_type)) }
                    td data-label="Reason" { (foreign(&entry.rejected.reason)) }
                    td data-label="Last seen" { (ago(now, Some(entry.last_seen))) }
                    td.id data-label="Sample" { span { (foreign(&entry.rejected.sample)) } }
                } } }
            }
        }
        (older(last.map(|last| format!("/admin/rejected?{of_patient}before={}", last.id))))
    };
    Ok(render_staff_page(app, staff, "/admin/rejected", "Rejected samples", &body))
}
