//! Shared parts of the pages of practitioners and operators: page frame, session cookie, audit of views.

use std::time::Duration;

use maud::Markup;
use warp::reply::Response;

use crate::app::{repeated_events::AuditEvent, state::App};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::PatientId;
use crate::secrets::token::Token;
use crate::web::access::{STAFF_COOKIE, Staff, VisibleStudy};
use crate::web::layout::{self, PRODUCT, PageFrame};
use crate::web::response::{Refusal, TokenCookie, html, with_cookie};

/// A working day.
pub(crate) const SESSION_AGE: Duration = Duration::from_hours(12);
/// Refuses actions that belong to JHE to accounts that sign in through JHE.
pub(crate) const PATIENTS_ARE_JHES: &str = "You sign in through JHE. Patients and their studies are managed there: add and enrol \
                                 patients in JHE.";
pub(crate) const STUDIES_ARE_JHES: &str = "You sign in through JHE. Studies are managed there: make and change them in JHE. A \
                                study with patients here appears after the next sync.";
/// Rows on one page of a long list.
pub(crate) const PAGE: u32 = 50;

/// Records in the audit that an account viewed a page.
pub(crate) async fn record_view(
    app: &App,
    staff: &Staff,
    action: &'static str,
    patient: Option<PatientId>,
) -> Result<(), Refusal> {
    let event = view_event(staff, action, patient);
    Ok(app.repeated_events.record(&app.store, event, app.clock.now()).await?)
}

/// Records in the audit that an account viewed a page of a study.
pub(crate) async fn record_study_view(
    app: &App,
    visible: &VisibleStudy,
    action: &'static str,
) -> Result<(), Refusal> {
    let detail = AuditDetail::from("study").with(visible.study().id);
    let event = AuditEvent { detail, ..view_event(visible.staff(), action, None) };
    Ok(app.repeated_events.record(&app.store, event, app.clock.now()).await?)
}

fn view_event(staff: &Staff, action: &'static str, patient: Option<PatientId>) -> AuditEvent {
    AuditEvent { actor: staff.actor(), action, patient, detail: AuditDetail::default() }
}

/// Cuts a list, read with one row more than a page holds, to one page. The flag says that more rows exist.
pub(crate) fn split_page<T>(mut lines: Vec<T>) -> (Vec<T>, bool) {
    let more = lines.len() > PAGE as usize;
    lines.truncate(PAGE as usize);
    (lines, more)
}

/// Returns the address of the part of a patient's page that makes and mails invitations.
pub(crate) fn invitations_of(id: PatientId) -> String {
    format!("/admin/patients/{id}?open=invitations#invitations")
}

/// Returns the text for an empty list of patients.
pub(crate) fn no_patients_text(staff: &Staff) -> &'static str {
    if staff.account().is_of_jhe() {
        "No patient of your organizations is here yet. Patients come here from JHE; ask an operator if one is \
         missing."
    } else {
        "There are no patients yet."
    }
}

pub(crate) fn render_staff_page(
    app: &App,
    staff: &Staff,
    here: &str,
    title: &str,
    body: &Markup,
) -> Response {
    let (account, token) = (staff.account(), staff.token());
    let institution = app.live.config().institution;
    let institution = institution.as_deref().unwrap_or(PRODUCT);
    let shell = PageFrame::Staff { account, token, here, institution, simulated: app.simulated };
    html(layout::render_page(title, &shell, body))
}

/// Sets the session cookie for `max_age`.
pub(crate) fn with_session(app: &App, response: Response, token: &Token, max_age: Duration) -> Response {
    let secure = app.is_https();
    with_cookie(response, &TokenCookie { name: STAFF_COOKIE, token: Some(token), max_age, secure })
}

pub(crate) fn without_session(app: &App, response: Response) -> Response {
    let (max_age, secure) = (Duration::ZERO, app.is_https());
    with_cookie(response, &TokenCookie { name: STAFF_COOKIE, token: None, max_age, secure })
}
