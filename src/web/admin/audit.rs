//! The list of audit entries, and the form that selects some of them.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::{Timestamp, midnight_in};
use crate::model::account::VisibleTo;
use crate::model::patient::PatientId;
use crate::store::privacy::audit::{self, AuditFilter};
use crate::store::privacy::audit_entry::AuditEntry;
use crate::web::access::{COORDINATOR, Staff};
use crate::web::admin::staff::{PAGE, render_staff_page, split_page};
use crate::web::layout::{Column::Text, format_local, older, table_head};
use crate::web::request::{FormFields, Request};
use crate::web::response::HandlerResult;
use crate::web::route::{Route, get};

/// The fields of the form, and the patient.
const FIELDS: [&str; 5] = ["patient", "who", "what", "from", "until"];

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/audit", COORDINATOR, show)]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let (query, patient) = (&request.query, staff.listed_patient(app, request).await?);
    let filter = AuditFilter {
        patient,
        actor: text(query, "who"),
        action: text(query, "what"),
        from: midnight(query, "from", false),
        until: midnight(query, "until", true),
        before: query.number("before"),
    };
    let visible_to = staff.visible_to();
    let read = move |db: &_| audit::list(db, visible_to, &filter, PAGE + 1);
    let (entries, more) = split_page(app.store.read(read).await?);
    let last = entries.last().filter(|_| more).map(|last| last.id.to_string());
    let body = html! {
        h1 { "Audit" }
        p { "Who did what, newest first, in UTC. Entries are never changed, and name people by number."
            @if visible_to != VisibleTo::Everybody { " The list shows entries about patients of whom you are a coordinator." } }
        (render_form(query, patient, &entries))
        @if entries.is_empty() { p.empty { "There are no such entries." } } @else { (render_table(&entries)) }
        (older(last.map(|last| link_older(query, &last))))
    };
    Ok(render_staff_page(app, staff, "/admin/audit", "Audit", &body))
}

/// Returns a field of the query; none if it is empty.
fn text(query: &FormFields, field: &str) -> Option<String> {
    Some(query.get(field).trim().to_owned()).filter(|text| !text.is_empty())
}

/// Returns the beginning of a day in UTC, or its end.
fn midnight(query: &FormFields, field: &str, is_end: bool) -> Option<Timestamp> {
    let day: Date = query.get(field).parse().ok()?;
    let day = if is_end { day.tomorrow().ok()? } else { day };
    midnight_in(&TimeZone::UTC, day).ok()
}

fn link_older(query: &FormFields, last: &str) -> String {
    let path = String::from("/admin/audit?");
    let query_start = path.len();
    let mut pairs = form_urlencoded::Serializer::for_suffix(path, query_start);
    pairs.extend_pairs(FIELDS.iter().filter_map(|field| Some((*field, text(query, field)?))));
    pairs.append_pair("before", last).finish()
}

fn render_form(query: &FormFields, patient: Option<PatientId>, entries: &[AuditEntry]) -> Markup {
    let is_filtered = FIELDS.iter().any(|field| !query.get(field).is_empty());
    // The form suggests the values of the entries on the page.
    let actors: BTreeSet<&str> = entries.iter().map(|entry| entry.actor.as_str()).collect();
    let kinds = entries.iter().filter_map(|entry| entry.action.split('.').next());
    let kinds: BTreeSet<&str> = kinds.collect();
    html! {
        form.inline method="get" action="/admin/audit" {
            @if let Some(patient) = patient {
                input type="hidden" name="patient" value=(patient);
                span { "Of " a href={ "/admin/patients/" (patient) } { "patient " (patient) } " only." }
            }
            span.nowrap { label for="who" { "Who" } " " input id="who" name="who" value=(query.get("who")) list="actors" placeholder="daemon" autocomplete="off"; }
            datalist id="actors" { @for actor in actors { option value=(actor) {} } }
            span.nowrap { label for="what" { "What" } " " input id="what" name="what" value=(query.get("what")) list="kinds" placeholder="consent" autocomplete="off"; }
            datalist id="kinds" { @for kind in kinds { option value=(kind) {} } }
            span.nowrap { label for="from" { "From" } " " input id="from" name="from" type="date" value=(query.get("from")); }
            span.nowrap { label for="until" { "To" } " " input id="until" name="until" type="date" value=(query.get("until")); }
            button.quiet type="submit" { "Show" }
            @if is_filtered { a href="/admin/audit" { "Show all" } }
        }
    }
}

fn render_table(entries: &[AuditEntry]) -> Markup {
    html! {
        table {
            (table_head(&[Text("When"), Text("Who"), Text("What"), Text("Patient"), Text("Detail")]))
            tbody { @for entry in entries { tr {
                th scope="row" data-label="When" {
                    time datetime=(entry.at) { (format_local(&TimeZone::UTC, entry.at, "%Y-%m-%d %H:%M:%S")) }
                }
                td data-label="Who" { (entry.actor) }
                td data-label="What" { (entry.action) }
                td data-label="Patient" { @match entry.patient {
                    Some(patient) => a href={ "/admin/patients/" (patient) } { (patient) },
                    None => "none",
                } }
                td.id data-label="Detail" { @if !entry.detail.is_empty() { span { (entry.detail) } } }
            } } }
        }
    }
}
