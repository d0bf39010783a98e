//! The page of an invitation of JHE. Opening it does not use it up. Going on exchanges it for the patient's
//! token, which stays in the daemon.

use http::StatusCode;
use maud::html;

use crate::app::{invite as invitations, patient_tokens, state::App};
use crate::common::time::Timestamp;
use crate::jhe::client::Caller;
use crate::jhe::invitation::{InvitationCode, RedeemError};
use crate::model::patient::PatientId;
use crate::model::{account::Actor, consent_reconciliation::JheConsentSnapshot, jhe_consents::JhePatient};
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::patient::{self, NewPatient};
use crate::store::people::session::{self, Holder};
use crate::store::people::{invitation, jhe_consent};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::csrf;
use crate::web::patient::jhe_consents::jhe_unavailable;
use crate::web::patient::signed_in::{SESSION_AGE, page_response, with_session};
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
pub(crate) fn foreign_link(app: &App, code: &InvitationCode) -> Refusal {
    tracing::warn!(host = code.host(), "a link of a JHE was opened to which this daemon is not connected");
    let why = match app.live.config().jhe_public_base() {
        Some(_) => "It names another service than the one that this page works with.",
        None => "It is of a service that this page does not work with.",
    };
    let text = format!("{why} Nothing was sent there. Ask the person in your study who sent the link.");
    Refusal::new(StatusCode::BAD_REQUEST, "This link belongs elsewhere", text)
}

/// Shows the page before the invitation is used.
pub(crate) fn show(app: &App, request: &Request, code: &InvitationCode) -> HandlerResult {
    let visitor = csrf::visitor(request)?;
    let body = html! {
        h1 { "Your study invites you" }
        p.lead { "You have opened a personal link. With it you can share measurements of your wearable with \
                  your study, and change your mind at any time." }
        p { "When you go on, this browser is signed in as the person for whom the link was made. You then \
             read what is asked, before you agree to anything." }
        (form("/clients/ow/redeem", &visitor.0, &html! {
            input type="hidden" name="code" value=(code.expose());
            button type="submit" { "Go on" }
        }))
        p.fine { "Is the link not meant for you? Then close this page, and tell the person who sent it." }
    };
    Ok(csrf::with_visitor(app, page_response(app, "Your study invites you", &body), &visitor))
}

async fn redeem(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let visitor = csrf::check_visitor_form(app, request).await?;
    let code = InvitationCode::parse(request.form().get("code")).ok_or_else(Refusal::not_found)?;
    let (true, Some(jhe)) = (is_of_configured_jhe(app, &code), app.live.jhe()) else {
        return Err(foreign_link(app, &code));
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
    let (browser, now) = ((visitor.hash(), session.hash()), app.clock.now());
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
    let text = "Your data were erased here, as you or your study asked. If you want to take part again, tell \
                the person in your study: they can let you in, and send a new link.";
    Refusal::new(StatusCode::FORBIDDEN, "You are not taken in again unasked", text)
}

/// Saves the patient, JHE's consents, the invitation and the session in one transaction.
fn save(
    db: &rusqlite::Connection,
    me: &JhePatient,
    snapshot: &JheConsentSnapshot,
    link: TokenHash,
    (visitor, session): (TokenHash, TokenHash),
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    let id = find_or_insert(db, me, now)?;
    jhe_consent::apply(db, id, snapshot)?;
    invitation::record_redemption(db, link, id, visitor, now)?;
    audit::record(db, now, Actor::Patient(id), "invitation.use", Some(id), "JHE's")?;
    session::insert(db, session, Holder::Patient(id), now, now.plus(SESSION_AGE))?;
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
    let ask = "Ask the person in your study who sent it for a new one.";
    let (status, title, text) = match error {
        RedeemError::Unknown => {
            (StatusCode::NOT_FOUND, "We do not know this link", format!("Perhaps part of it was lost. {ask}"))
        }
        RedeemError::Used => (
            StatusCode::CONFLICT,
            "This link was used already",
            format!(
                "It works for half a day after you first went on with it, and a newer link takes its place \
                 at once. If you have used it in this browser, your choices are still open here. Otherwise: \
                 {ask}"
            ),
        ),
        RedeemError::Expired => {
            (StatusCode::GONE, "This link is too old", format!("Links work for some days only. {ask}"))
        }
        RedeemError::Cancelled => (
            StatusCode::FORBIDDEN,
            "This link no longer works",
            format!("There may be a newer one in your messages. {ask}"),
        ),
        RedeemError::Jhe(error) => return jhe_unavailable(error),
    };
    tracing::info!("an invitation was not redeemed: {error}");
    Refusal::new(status, title, text).link("/clients/ow/manage", "Your choices")
}
