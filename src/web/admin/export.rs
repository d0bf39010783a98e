//! The state of the delivery to JHE: a section of the page System, and one of the patient page.

use std::time::Duration;

use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::model::account::{Role, VisibleTo};
use crate::model::outbox_counts::OutboxCounts;
use crate::model::patient::{PatientId, PatientRef};
use crate::store::outbox::outbox::{self, RefusedGroup, StuckEntry};
use crate::store::{error::StoreError, people::patient, privacy::audit};
use crate::web::access::{COORDINATED_PATIENT, OPERATOR, Operator, Staff, VisiblePatient};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{ago, count, fold, foreign, form, table_head};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, see_other};
use crate::web::route::{Route, post};

/// Age up to which refused observations are offered on the page System.
const REPLAYED: Duration = Duration::from_hours(24);
/// Reasons listed on the page System.
const REASONS: u32 = 10;
/// Undelivered observations listed on the patient page.
const SHOWN: u32 = 20;

/// The section of the page System.
pub(crate) struct ExportSummary {
    counts: OutboxCounts,
    delivered: i64,
    oldest: Option<Timestamp>,
    /// Refused in the last day.
    refused: Vec<RefusedGroup>,
}

impl ExportSummary {
    pub(crate) fn load(db: &rusqlite::Connection, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self {
            counts: outbox::count_by_state(db, VisibleTo::Everybody, None)?,
            delivered: outbox::count_delivered(db, now)?,
            oldest: outbox::find_oldest_due(db, now)?,
            refused: outbox::list_refused(db, now.minus(REPLAYED), REASONS)?,
        })
    }

    /// Renders what an operator sees; nothing in standalone mode.
    pub(crate) fn render(&self, app: &App, staff: &Staff) -> Markup {
        let now = app.clock.now();
        let (last, missing) = (app.export_status.last(), app.export_status.missing());
        html! { @if app.live.jhe().is_some() {
            section {
                h2 { "Export to JHE" }
                @for one in &missing { p.warning { (one) "." } }
                (render_counts(&self.counts))
                p {
                    "Delivered in 24\u{a0}h: " (count(self.delivered)) "."
                    @if let Some(oldest) = self.oldest { " The oldest waiting observation became ready " (ago(now, Some(oldest))) "." }
                    @if let Some(last) = &last { " Last export " (ago(now, Some(last.ended))) "." }
                }
                @if let Some(error) = last.and_then(|last| last.error).filter(|_| missing.is_empty()) { p.warning { (foreign(error)) "." } }
                @if !self.refused.is_empty() { (self.render_refused(staff)) }
            }
        } }
    }

    fn render_refused(&self, staff: &Staff) -> Markup {
        html! {
            h3 { "Refused in the last day" }
            table {
                (table_head(&[Text("Why"), Number("Observations"), Number("Patients")]))
                tbody { @for one in &self.refused { tr {
                    td data-label="Why" { span { (foreign(&one.reason)) } }
                    td.number data-label="Observations" { (count(one.rows)) }
                    td.number data-label="Patients" { (count(one.patients)) }
                } } }
            }
            (form("/admin/retry-export", staff.token(), &html! {
                button.quiet type="submit" { "Send all of them again" }
            }))
        }
    }
}

fn render_counts(counts: &OutboxCounts) -> Markup {
    html! {
        dl.summary {
            div { dt { "To be sent" } dd { (count(counts.pending)) } }
            div { dt { "Waiting for consent" } dd { (count(counts.consent)) } }
            div { dt { "Waiting for set-up" } dd { (count(counts.configuration)) } }
            div { dt { "Refused" } dd { (count(counts.dead)) } }
            @if counts.suspect > 0 { div { dt { "Refused again and again" } dd { (count(counts.suspect)) } } }
        }
    }
}

/// The section of the patient page.
pub(crate) struct PatientExport {
    counts: OutboxCounts,
    stuck: Vec<StuckEntry>,
}

impl PatientExport {
    /// Returns `None` for a patient without an id at JHE.
    pub(crate) fn load(
        db: &rusqlite::Connection,
        viewer: VisibleTo,
        id: PatientId,
    ) -> Result<Option<Self>, StoreError> {
        if patient::find(db, PatientRef::Own(id))?.jhe_id.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            counts: outbox::count_by_state(db, viewer, Some(id))?,
            stuck: outbox::list_stuck(db, viewer, id, SHOWN)?,
        }))
    }

    pub(crate) fn render(&self, patient: &VisiblePatient, is_open: bool, now: Timestamp) -> Markup {
        let (staff, id) = (patient.staff(), patient.id());
        let OutboxCounts { pending, dead, .. } = &self.counts;
        let state = format!("{pending} to be sent, {dead} refused");
        fold(
            "export",
            "Export to JHE",
            &state,
            is_open || !self.stuck.is_empty(),
            &html! {
                    (render_counts(&self.counts))
                    @if !self.stuck.is_empty() {
                        table {
                            (table_head(&[Text("Measured"), Text("State"), Number("Sent"), Text("Why")]))
                            tbody { @for one in &self.stuck { tr {
                                th scope="row" data-label="Measured" { (ago(now, Some(one.instant))) }
                                td data-label="State" { (state_label(&one.state)) }
                                td.number data-label="Sent" { (one.attempts) }
                                td data-label="Why" { span { (one.detail) } }
                            } } }
                        }
                    }
                    @if self.counts.dead + self.counts.suspect + self.counts.configuration > 0
                        && patient.may(Role::Coordinator)
                    {
                        (form(&format!("/admin/patients/{id}/retry-export"), staff.token(), &html! {
                            button.quiet type="submit" { "Send these observations again" }
                        }))
                    }
            },
        )
    }
}

fn state_label(state: &str) -> &str {
    match state {
        "dead" => "refused",
        "suspect" => "refused again and again",
        "configuration" => "waits for set-up",
        "consent" => "waits for consent",
        _ => "to be sent again",
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/admin/patients/{patient}/retry-export", COORDINATED_PATIENT, retry),
        post("/admin/retry-export", OPERATOR, retry_all),
    ]
}

/// Sends again what JHE refused in the last day, of all patients.
async fn retry_all(app: &App, _: &Request, operator: &Operator) -> HandlerResult {
    let (who, now) = (operator.staff().actor(), app.clock.now());
    let write = move |db: &_| {
        outbox::retry_refused(db, None, now.minus(REPLAYED), now)?;
        audit::record(db, now, who, "export.retry-dead", None, "the last day")
    };
    app.store.write(write).await?;
    Ok(see_other("/admin/system?done=retried"))
}

async fn retry(app: &App, _: &Request, patient: &VisiblePatient) -> HandlerResult {
    let (staff, id) = (patient.staff(), patient.id());
    let (who, now) = (staff.actor(), app.clock.now());
    let write = move |db: &_| {
        outbox::retry_refused(db, Some(id), Timestamp::MIN, now)?;
        outbox::retry_configuration(db, Some(id), now)?;
        audit::record(db, now, who, "export.retry-dead", Some(id), "")
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/patients/{id}?done=export#export")))
}
