//! Long lists: rejected samples, and the audit.

use maud::html;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::{account::VisibleTo, patient::PatientId};
use crate::store::{privacy::audit as audits, samples::rejected as samples};
use crate::web::access::{MANAGER, STAFF, Staff};
use crate::web::admin::staff::{PAGE, cut, note_view, page};
use crate::web::layout::{Column::Text, ago, older, table_head};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/rejected", STAFF, rejected), get("/admin/audit", MANAGER, audit)]
}

/// What of a list is wanted.
struct Wanted {
    patient: Option<PatientId>,
    before: Option<i64>,
}

impl Wanted {
    async fn read(app: &App, request: &Request, staff: &Staff) -> Result<Self, Refusal> {
        let patient = staff.listed_patient(app, request).await?;
        Ok(Self { patient, before: request.query.number("before") })
    }

    /// The address of the older part, where the list is longer than a page.
    fn older(&self, path: &str, more: bool, last: Option<i64>) -> Option<String> {
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

async fn rejected(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (wanted, now) = (Wanted::read(app, request, staff).await?, app.clock.now());
    let (patient, before) = (wanted.patient, wanted.before);
    let reach = staff.visible_to();
    let read = move |db: &_| samples::list(db, reach, patient, before, PAGE + 1);
    let (entries, more) = cut(app.store.read(read).await?);
    note_view(app, staff, "rejected.view", patient).await?;
    let body = html! {
        h1 { "Rejected samples" }
        p { "What OW sent and could not be converted: kept as it came, with the reason. Report what stays here to \
             whoever runs OW." }
        (wanted.heading("/admin/rejected"))
        @if entries.is_empty() { p.empty { "Nothing was rejected." } } @else {
            table {
                (table_head(&[Text("Patient"), Text("Series type"), Text("Reason"), Text("Last met"), Text("Sample")]))
                tbody { @for entry in &entries { tr {
                    th scope="row" data-label="Patient" {
                        a href={ "/admin/patients/" (entry.patient) } { (entry.patient) }
                    }
                    td data-label="Series type" { (entry.rejected.series_type) }
                    td data-label="Reason" { (entry.rejected.reason) }
                    td data-label="Last met" { (ago(now, Some(entry.last_seen))) }
                    td.id data-label="Sample" { span { (entry.rejected.sample) } }
                } } }
            }
        }
        (older(wanted.older("/admin/rejected", more, entries.last().map(|last| last.id))))
    };
    Ok(page(app, staff, "/admin/rejected", "Rejected samples", &body))
}

async fn audit(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let wanted = Wanted::read(app, request, staff).await?;
    let (patient, before) = (wanted.patient, wanted.before);
    let reach = staff.visible_to();
    let read = move |db: &_| audits::list(db, reach, patient, before, PAGE + 1);
    let (entries, more) = cut(app.store.read(read).await?);
    let body = html! {
        h1 { "Audit" }
        p { "Who did what, newest first, in UTC. It is never changed and names people by number."
            @if reach != VisibleTo::Everybody { " Shown is what concerns the patients of your organizations." } }
        (wanted.heading("/admin/audit"))
        @if entries.is_empty() { p.empty { "Nothing was written down yet." } } @else {
            table {
                (table_head(&[Text("When"), Text("Who"), Text("What"), Text("Patient"), Text("Detail")]))
                tbody { @for entry in &entries { tr {
                    th scope="row" data-label="When" { (second(entry.at)) }
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
        (older(wanted.older("/admin/audit", more, entries.last().map(|last| last.id))))
    };
    Ok(page(app, staff, "/admin/audit", "Audit", &body))
}

/// A time of the audit: to the second, in UTC.
fn second(at: Timestamp) -> maud::Markup {
    let text = crate::web::layout::format_local(&jiff::tz::TimeZone::UTC, at, "%Y-%m-%d %H:%M:%S");
    html! { time datetime=(at) { (text) } }
}
