//! The page of an invitation of JHE. Opening it does not use it up. Going on exchanges it for the patient's
//! token, which stays in the daemon.

use http::StatusCode;
use maud::html;

use crate::app::{invite as invitations, patient_tokens, state::App};
use crate::common::time::Timestamp;
use crate::i18n::language::Language;
use crate::jhe::client::Caller;
use crate::jhe::invitation::{InvitationCode, RedeemError};
use crate::model::account::{Actor, VisibleTo};
use crate::model::patient::PatientId;
use crate::model::{consent_reconciliation::JheConsentSnapshot, jhe_consents::JhePatient};
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::consent::{self, ConsentEntry};
use crate::store::people::patient::{self, NewPatient};
use crate::store::people::session::{self, Holder};
use crate::store::people::{invitation, jhe_consent, patient_language};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::csrf;
use crate::web::patient::jhe_consents::jhe_unavailable;
use crate::web::patient::signed_in::{SESSION_AGE, page_response, replace_sessions, with_session};
use crate::web::patient_access::{Anyone, RATE_LIMITED};
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};
use crate::web::{layout::form, request::Request};

pub(crate) fn routes() -> Vec<Route> {
    vec![post("/clients/ow/redeem", RATE_LIMITED, redeem)]
}

pub(crate) fn is_of_configured_jhe(app: &App, code: &InvitationCode) -> bool {
    invitations::is_from_configured_jhe(&app.live.config(), code)
}

/// Refuses a link of another JHE. That host gets no request: anybody can write a host into a link.
pub(crate) fn foreign_link(code: &InvitationCode) -> Refusal {
    tracing::warn!(host = code.host(), "a link of a JHE was opened to which this daemon is not connected");
    Refusal::of_key(StatusCode::BAD_REQUEST, "link-foreign", "link-foreign-text")
}

/// Shows the page before the invitation is used.
pub(crate) fn show(app: &App, request: &Request, code: &InvitationCode) -> HandlerResult {
    let code_field: String = form_urlencoded::byte_serialize(code.expose().as_bytes()).collect();
    let reader = &request.reader.at(format!("/clients/ow/launch?code={code_field}"));
    let visitor = csrf::visitor(request)?;
    let body = html! {
        h1 { (reader.get("jhe-invited")) }
        p.lead { (reader.get("jhe-invited-lead")) }
        p { (reader.get("jhe-invited-text")) }
        (form("/clients/ow/redeem", &visitor.0, &html! {
            input type="hidden" name="code" value=(code.expose());
            button type="submit" { (reader.get("go-on")) }
        }))
        p { (reader.get("jhe-link-life")) }
        p.fine { (reader.get("not-for-you")) }
    };
    let response = page_response(app, reader, &reader.get("jhe-invited"), &body);
    Ok(csrf::with_visitor(app, response, &visitor))
}

async fn redeem(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let visitor = csrf::check_visitor_form(app, request).await?;
    let code = InvitationCode::parse(request.form().get("code")).ok_or_else(Refusal::not_found)?;
    let (true, Some(jhe)) = (is_of_configured_jhe(app, &code), app.live.jhe()) else {
        return Err(foreign_link(&code));
    };
    let link = code.hash();
    let known = app.store.read(move |db| invitation::find(db, link)).await?;
    if known.is_some_and(|known| known.revoked.is_some()) {
        return Err(redemption_refused(&RedeemError::Cancelled));
    }
    let grant = jhe.redeem_invitation(&code).await.map_err(|error| redemption_refused(&error))?;
    let read = async {
        let me = jhe.fetch_own_patient(&grant.access).await?;
        let snapshot = jhe.fetch_consents(Caller::Person(&grant.access), me.id, &app.clock).await?;
        Ok((me, snapshot))
    };
    let (me, snapshot) = read.await.map_err(|error| redemption_refused(&RedeemError::Jhe(error)))?;
    let session = Token::generate()?;
    let language = request.reader.texts.language();
    let (browser, now) = ((visitor.hash(), session.hash(), language), app.clock.now());
    let id = match app.store.write(move |db| save(db, &me, &snapshot, link, browser, now)).await {
        Err(StoreError::Refused(reason)) => return Err(refuse_readmission(&reason)),
        saved => saved?,
    };
    if let Err(error) = patient_tokens::save(app, id, &grant).await {
        tracing::error!(patient = %id, "the patient's token at JHE could not be saved: {error}");
    }
    Ok(with_session(app, see_other("/clients/ow/ask"), Some(&session)))
}

/// Refuses a patient whose data were erased. The log has the reason, with commands for the operator.
fn refuse_readmission(reason: &str) -> Refusal {
    tracing::warn!("an invitation was redeemed, and its patient was not admitted: {reason}");
    Refusal::of_key(StatusCode::FORBIDDEN, "erased-here", "erased-here-text")
}

/// Saves the patient, JHE's consents, the invitation and the session in one transaction.
fn save(
    db: &rusqlite::Connection,
    me: &JhePatient,
    snapshot: &JheConsentSnapshot,
    link: TokenHash,
    (visitor, session, language): (TokenHash, TokenHash, Language),
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    let id = find_or_insert(db, me, now)?;
    jhe_consent::apply(db, id, snapshot)?;
    let known = invitation::find(db, link)?;
    let is_reopened = known.is_some_and(|known| known.used.is_some() && known.used_by != Some(visitor));
    invitation::record_redemption(db, link, id, visitor, now)?;
    audit::record(db, now, Actor::Patient(id), "invitation.use", Some(id), "JHE's")?;
    if !is_reopened {
        session::insert(db, session, Holder::Patient(id), now, now.plus(SESSION_AGE))?;
        patient_language::set(db, id, language)?;
        return Ok(id);
    }
    // The link is in another browser than before. Once a consent was given, it grants no further one.
    replace_sessions(db, id, session, language, now)?;
    let has_agreed = |entry: &ConsentEntry| entry.grant.withdrawn != Some(entry.grant.granted);
    if consent::list(db, VisibleTo::Everybody, id)?.iter().any(has_agreed) {
        session::forbid_grants(db, session)?;
    }
    Ok(id)
}

fn find_or_insert(
    db: &rusqlite::Connection,
    me: &JhePatient,
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    if let Some(known) = patient::find_by_jhe_id(db, me.id)? {
        return Ok(known);
    }
    let new = NewPatient { name: me.name(), email: me.email.clone(), time_zone: None };
    let id = patient::insert_from_jhe(db, &new, me.id, &me.jhe_user_id.to_string(), now)?;
    audit::record(db, now, Actor::Patient(id), "patient.add", Some(id), "")?;
    Ok(id)
}

/// Explains to the patient why JHE refuses the invitation.
fn redemption_refused(error: &RedeemError) -> Refusal {
    let (status, title, text) = match error {
        RedeemError::Unknown => (StatusCode::NOT_FOUND, "link-unknown", "link-unknown-text"),
        RedeemError::Used => (StatusCode::CONFLICT, "link-used", "jhe-link-used-text"),
        RedeemError::Expired => (StatusCode::GONE, "link-expired", "jhe-link-expired-text"),
        RedeemError::Cancelled => (StatusCode::FORBIDDEN, "link-revoked", "link-revoked-text"),
        RedeemError::Jhe(error) => return jhe_unavailable(error),
    };
    tracing::info!("an invitation was not redeemed: {error}");
    Refusal::of_key(status, title, text).link_to_new_link()
}
