//! The lists of rejected samples and of audit entries.

use maud::html;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::{account::VisibleTo, patient::PatientId};
use crate::store::{privacy::audit as audits, samples::rejected as samples};
use crate::web::access::{COORDINATOR, Staff};
use crate::web::admin::staff::{PAGE, record_view, render_staff_page, split_page};
use crate::web::layout::{Column::Text, ago, foreign, older, table_head};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/rejected", COORDINATOR, list_rejected), get("/admin/audit", COORDINATOR, list_audit)]
}

/// The part of a list that the query string selects.
struct ListFilter {
    patient: Option<PatientId>,
    before: Option<i64>,
}

impl ListFilter {
    async fn parse(app: &App, request: &Request, staff: &Staff) -> Result<Self, Refusal> {
        let patient = staff.listed_patient(app, request).await?;
        Ok(Self { patient, before: request.query.number("before") })
    }

    /// Returns the address of the next older part, if there is one.
    fn older_url(&self, path: &str, more: bool, last: Option<i64>) -> Option<String> {
        let last = last.filter(|_| more)?;
        let patient = self.patient.map_or_else(String::new, |patient| format!("patient={patient}&"));
        Some(format!("{path}?{patient}before={last}"))
    }

    fn heading(&self, path: &str) -> maud::Markup {
        html! { @if let Some(patient) = self.patient {
            p { "Of " a href={ "/admin/patients/" (patient) } { "patient " (patient) } " only. "
                a href=(path) { "Show all" } }
        } }
    }
}

async fn list_rejected(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (filter, now) = (ListFilter::parse(app, request, staff).await?, app.clock.now());
    let (patient, before) = (filter.patient, filter.before);
    let visible_to = staff.visible_to();
    let read = move |db: &_| samples::list(db, visible_to, patient, before, PAGE + 1);
    let (entries, more) = split_page(app.store.read(read).await?);
    record_view(app, staff, "rejected.view", None).await?;
    let body = html! {
        h1 { "Rejected samples" }
        p { "Samples from OW that could not be converted, stored as they came, with the reason. Report those that \
             remain to whoever runs OW." }
        (filter.heading("/admin/rejected"))
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
        (older(filter.older_url("/admin/rejected", more, entries.last().map(|last| last.id))))
    };
    Ok(render_staff_page(app, staff, "/admin/rejected", "Rejected samples", &body))
}

async fn list_audit(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let filter = ListFilter::parse(app, request, staff).await?;
    let (patient, before) = (filter.patient, filter.before);
    let visible_to = staff.visible_to();
    let read = move |db: &_| audits::list(db, visible_to, patient, before, PAGE + 1);
    let (entries, more) = split_page(app.store.read(read).await?);
    let body = html! {
        h1 { "Audit" }
        p { "Who did what, newest first, in UTC. Entries are never changed, and name people by number."
            @if visible_to != VisibleTo::Everybody { " The list shows entries about patients of whom you are a coordinator." } }
        (filter.heading("/admin/audit"))
        @if entries.is_empty() { p.empty { "There are no entries yet." } } @else {
            table {
                (table_head(&[Text("When"), Text("Who"), Text("What"), Text("Patient"), Text("Detail")]))
                tbody { @for entry in &entries { tr {
                    th scope="row" data-label="When" { (format_seconds(entry.at)) }
                    td data-label="Who" { (entry.actor) }
                    td data-label="What" { (entry.action) }
                    td data-label="Patient" { @match entry.patient {
                        Some(patient) => a href={ "/admin/patients/" (patient) } { (patient) },
                        None => "none",
                    } }
                    td.id data-label="Detail" { span { (entry.detail) } }
                } } }
            }
        }
        (older(filter.older_url("/admin/audit", more, entries.last().map(|last| last.id))))
    };
    Ok(render_staff_page(app, staff, "/admin/audit", "Audit", &body))
}

/// Formats a time to the second, in UTC.
fn format_seconds(at: Timestamp) -> maud::Markup {
    let text = crate::web::layout::format_local(&jiff::tz::TimeZone::UTC, at, "%Y-%m-%d %H:%M:%S");
    html! { time datetime=(at) { (text) } }
}
