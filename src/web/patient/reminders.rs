//! Reminders by mail: the tick on the consent form, and the page that stops them (RFC 8058).

use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::mail::outbox::STOP_PAGE;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::{PatientId, PatientRef};
use crate::model::study::StudyId;
use crate::secrets::token::Token;
use crate::store::people::{mail, patient, reminder};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::layout::checkbox;
use crate::web::patient::signed_in::page_response;
use crate::web::patient_access::{Anyone, RATE_LIMITED};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal};
use crate::web::route::{Route, get, post};

/// The name of the tick on the consent form.
pub(crate) const FIELD: &str = "reminders";

/// The texts of this file.
struct Texts {
    tick: &'static str,
    tick_help: &'static str,
    stop_title: &'static str,
    stop_lead: &'static str,
    stop_button: &'static str,
    stopped_title: &'static str,
    stopped_lead: &'static str,
}

fn texts(language: &str) -> Texts {
    match language {
        "es" => Texts {
            tick: "Quiero recibir recordatorios por correo electrónico",
            tick_help: "Solo si no llegan datos de su dispositivo. Puede pararlos en cualquier momento.",
            stop_title: "¿Parar los recordatorios?",
            stop_lead: "Ya no le enviaremos correos si no llegan datos de su dispositivo. Lo que comparte no cambia.",
            stop_button: "Parar los recordatorios",
            stopped_title: "No recibirá más recordatorios",
            stopped_lead: "Lo que comparte con el estudio no ha cambiado.",
        },
        _ => Texts {
            tick: "Send me reminders by e-mail",
            tick_help: "Only when nothing arrives from your device. You can stop them at any time.",
            stop_title: "Stop the reminders?",
            stop_lead: "We will send no more mails when nothing arrives from your device. What you share stays as it is.",
            stop_button: "Stop the reminders",
            stopped_title: "You get no more reminders",
            stopped_lead: "What you share with the study has not changed.",
        },
    }
}

pub(crate) fn routes() -> Vec<Route> {
    vec![get(STOP_PAGE, RATE_LIMITED, show), post(STOP_PAGE, RATE_LIMITED, stop)]
}

/// Renders the tick, not set, for a patient who can get mails.
pub(crate) async fn load_question(app: &App, id: PatientId) -> Result<Markup, Refusal> {
    if app.live.config().alerts.mail.is_none() {
        return Ok(html! {});
    }
    let read = move |db: &_| Ok((patient::find(db, PatientRef::Own(id))?, patient::find_language(db, id)?));
    let (patient, language) = app.store.read(read).await?;
    let texts = texts(&language);
    Ok(html! { @if patient.email.is_some() {
        section.card {
            (checkbox(FIELD, FIELD, "yes", false, &html! { (texts.tick) " " span.covers { (texts.tick_help) } }))
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

fn read_token(request: &Request) -> Result<Token, Refusal> {
    Token::parse(request.query.get("code")).ok_or_else(unknown)
}

fn unknown() -> Refusal {
    Refusal::new(
        http::StatusCode::NOT_FOUND,
        "We do not know this link",
        "Use the link of your newest reminder, or ask the person in your study to stop the reminders.",
    )
}

/// Shows the button. Scanners of mails open links, so opening changes nothing.
async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let token = read_token(request)?;
    let hash = token.hash();
    let read = move |db: &_| {
        let reminder = mail::find_by_unsubscribe_hash(db, hash)?;
        reminder.map(|one| patient::find_language(db, one.patient)).transpose()
    };
    let language = app.store.read(read).await?.ok_or_else(unknown)?;
    let texts = texts(&language);
    let body = html! {
        h1 { (texts.stop_title) }
        p.lead { (texts.stop_lead) }
        form method="post" action={ (STOP_PAGE) "?code=" (token.expose()) } { button type="submit" { (texts.stop_button) } }
    };
    Ok(page_response(app, texts.stop_title, &body))
}

/// Stops the reminders of the study. The mail program of the patient posts here too, without a cookie or a form token:
/// the token of the address is what it has, and it can do nothing but this.
async fn stop(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let (hash, now) = (read_token(request)?.hash(), app.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let Some(one) = mail::find_by_unsubscribe_hash(db, hash)? else { return Ok(None) };
        if reminder::stop(db, one.patient, one.study)? {
            let detail = AuditDetail::from("study").with(one.study);
            audit::record(db, now, Actor::Patient(one.patient), "reminders.stop", Some(one.patient), detail)?;
        }
        Ok(Some(patient::find_language(db, one.patient)?))
    };
    let language = app.store.write(write).await?.ok_or_else(unknown)?;
    let texts = texts(&language);
    let body = html! { h1 { (texts.stopped_title) } p.lead { (texts.stopped_lead) } };
    Ok(page_response(app, texts.stopped_title, &body))
}
