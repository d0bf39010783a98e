//! Reminders by mail: the tick on the consent form, the section of the page of choices, and the page that stops them
//! (RFC 8058).

use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::mail::outbox::STOP_PAGE;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::{PatientId, PatientRef};
use crate::model::study::StudyId;
use crate::secrets::token::Token;
use crate::store::people::{consent, mail, patient, patient_language, reminder};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::layout::{checkbox, form};
use crate::web::patient::signed_in::page_response;
use crate::web::patient_access::{
    Anyone, GRANTING_PATIENT, GrantingPatient, PATIENT, RATE_LIMITED, SignedInPatient,
};
use crate::web::reader::Reader;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, get, post};

/// The forms of the page of choices.
const AGREE: &str = "/clients/ow/reminders";
const STOP: &str = "/clients/ow/reminders/stop";

/// The name of the tick on the consent form.
pub(crate) const FIELD: &str = "reminders";

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get(STOP_PAGE, RATE_LIMITED, show),
        post(STOP_PAGE, RATE_LIMITED, stop),
        post(AGREE, GRANTING_PATIENT, agree_to_all),
        post(STOP, PATIENT, stop_all),
    ]
}

/// Renders the tick, not set, for a patient who can get mails.
pub(crate) async fn load_question(app: &App, reader: &Reader, id: PatientId) -> Result<Markup, Refusal> {
    if app.live.config().alerts.mail.is_none() {
        return Ok(html! {});
    }
    let patient = app.store.read(move |db| patient::find(db, PatientRef::Own(id))).await?;
    Ok(html! { @if patient.email.is_some() {
        section.card {
            (checkbox(FIELD, FIELD, "yes", false, &html! {
                (reader.get("reminders-tick")) " " span.covers { (reader.get("reminders-tick-help")) }
            }))
        }
    } })
}

/// Records that the patient ticked the box. Without the tick nothing changes.
pub(crate) fn save(
    db: &rusqlite::Connection,
    id: PatientId,
    is_ticked: bool,
    studies: impl IntoIterator<Item = StudyId>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for study in studies.into_iter().filter(|_| is_ticked) {
        if reminder::agree(db, id, study, now)? {
            let detail = AuditDetail::from("study").with(study);
            audit::record(db, now, Actor::Patient(id), "reminders.agree", Some(id), detail)?;
        }
    }
    Ok(())
}

/// Renders the section of the page of choices for a patient who can get mails.
pub(crate) async fn load_section(app: &App, patient: &SignedInPatient) -> Result<Markup, Refusal> {
    let id = patient.id();
    let read = move |db: &_| {
        let who = patient::find(db, PatientRef::Own(id))?;
        let (shared, agreed) = (list_shared(db, id)?, reminder::list_agreed(db, id)?);
        let has_more = shared.iter().any(|study| !agreed.contains(study));
        Ok((who.email.is_some() && who.jhe_id.is_none() && has_more, !agreed.is_empty()))
    };
    // A study that was added later asks again.
    let (can_get, is_on) = app.store.read(read).await?;
    let (reader, has_server) = (patient.reader(), app.live.config().alerts.mail.is_some());
    Ok(html! { @if is_on || (can_get && has_server) {
        section.card #reminders {
            h2 { (reader.get("reminders-title")) }
            p { (reader.get(if is_on { "reminders-on" } else { "reminders-off" })) }
            @if is_on {
                (form(STOP, patient.token(), &html! {
                    button.quiet type="submit" { (reader.get("reminders-stop-button")) }
                }))
            }
            @if can_get && has_server {
                @if patient.may_grant() {
                    p.fine { (reader.get("reminders-tick-help")) }
                    (form(AGREE, patient.token(), &html! {
                        button.quiet type="submit" { (reader.get("reminders-tick")) }
                    }))
                }
            }
        }
    } })
}

/// Lists the studies with which a patient shares data, once for each data type.
fn list_shared(db: &rusqlite::Connection, id: PatientId) -> Result<Vec<StudyId>, StoreError> {
    Ok(consent::list_active_deliverable(db, id)?.into_iter().filter_map(|(_, study)| study).collect())
}

async fn agree_to_all(app: &App, _: &Request, patient: &GrantingPatient) -> HandlerResult {
    let (id, now) = (patient.id(), app.clock.now());
    let write = move |db: &rusqlite::Connection| save(db, id, true, list_shared(db, id)?, now);
    app.store.write(write).await?;
    Ok(see_other("/clients/ow/manage?done=reminders-on#reminders"))
}

async fn stop_all(app: &App, _: &Request, patient: &SignedInPatient) -> HandlerResult {
    let (id, now) = (patient.id(), app.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let studies = reminder::list_agreed(db, id)?;
        studies.into_iter().try_for_each(|study| stop_one(db, id, study, now))
    };
    app.store.write(write).await?;
    Ok(see_other("/clients/ow/manage?done=reminders-stopped#reminders"))
}

/// Stops the reminders of a study, and records it.
fn stop_one(
    db: &rusqlite::Connection,
    id: PatientId,
    study: StudyId,
    now: Timestamp,
) -> Result<(), StoreError> {
    if reminder::stop(db, id, study)? {
        let detail = AuditDetail::from("study").with(study);
        audit::record(db, now, Actor::Patient(id), "reminders.stop", Some(id), detail)?;
    }
    Ok(())
}

fn read_token(request: &Request) -> Result<Token, Refusal> {
    Token::parse(request.query.get("code")).ok_or_else(unknown)
}

fn unknown() -> Refusal {
    Refusal::of_key(http::StatusCode::NOT_FOUND, "reminders-unknown", "reminders-unknown-text")
}

/// Shows the button. Scanners of mails open links, so opening changes nothing.
async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let token = read_token(request)?;
    let hash = token.hash();
    let read = move |db: &_| {
        let reminder = mail::find_by_unsubscribe_hash(db, hash)?;
        reminder.map(|one| patient_language::find(db, one.patient)).transpose()
    };
    let language = app.store.read(read).await?.ok_or_else(unknown)?;
    let reader = request.reader.signed_in(language, Vec::new());
    let title = reader.get("reminders-stop");
    let body = html! {
        h1 { (title) }
        p.lead { (reader.get("reminders-stop-text")) }
        form method="post" action={ (STOP_PAGE) "?code=" (token.expose()) } {
            button type="submit" { (reader.get("reminders-stop-button")) }
        }
    };
    Ok(page_response(app, &reader, &title, &body))
}

/// Stops the reminders of the study. The mail program of the patient posts here too, without a cookie or a form token:
/// the token of the address is what it has, and it can do nothing but this.
async fn stop(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let (hash, now) = (read_token(request)?.hash(), app.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let Some(one) = mail::find_by_unsubscribe_hash(db, hash)? else { return Ok(None) };
        stop_one(db, one.patient, one.study, now)?;
        Ok(Some(patient_language::find(db, one.patient)?))
    };
    let language = app.store.write(write).await?.ok_or_else(unknown)?;
    let reader = request.reader.signed_in(language, Vec::new());
    let title = reader.get("reminders-stopped");
    let body = html! { h1 { (title) } p.lead { (reader.get("reminders-stopped-text")) } };
    Ok(page_response(app, &reader, &title, &body))
}
