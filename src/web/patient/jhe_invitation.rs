//! Invitations of JHE's: opening one uses nothing up; going on exchanges it for the patient's token, here and never
//! in the browser.

use http::StatusCode;
use maud::html;
use warp::reply::Response;

use crate::app::state::App;
use crate::app::{invite as inviting, patient_tokens};
use crate::common::time::Timestamp;
use crate::jhe::client::Who;
use crate::jhe::invitation::{InvitationCode, RedeemError};
use crate::model::account::Actor;
use crate::model::consent_reconciliation::Snapshot;
use crate::model::jhe_consents::Person;
use crate::model::patient::PatientId;
use crate::secrets::token::{Token, TokenHash};
use crate::store::error::StoreError;
use crate::store::people::patient::NewPatient;
use crate::store::people::session::Holder;
use crate::store::people::{invitation, jhe_consent, patient, session};
use crate::store::privacy::audit;
use crate::web::csrf;
use crate::web::layout::form;
use crate::web::patient::jhe_consents::out_of_reach;
use crate::web::patient::signed_in::{SESSION_AGE, page, with_session};
use crate::web::request::Visit;
use crate::web::response::{Refusal, see_other};

/// JHE says nothing of where a patient lives; a practitioner may.
const TIME_ZONE: &str = "UTC";

/// Whether an invitation is of the JHE that this daemon is connected to.
pub(crate) fn is_known(app: &App, code: &InvitationCode) -> bool {
    inviting::is_of_our_jhe(&app.live.config(), code)
}

/// A link of another service. Nothing is asked there: anybody can write a host into a link.
pub(crate) fn foreign(app: &App, code: &InvitationCode) -> Refusal {
    tracing::warn!(host = code.host(), "a link of a JHE was opened to which this daemon is not connected");
    let why = match app.live.config().jhe_public_base() {
        Some(_) => "It names another service than the one that this page works with.",
        None => "It is of a service that this page does not work with.",
    };
    let text = format!("{why} Nothing was sent there. Ask the person in your study who sent the link.");
    Refusal::new(StatusCode::BAD_REQUEST, "This link belongs elsewhere", text)
}

/// What stands before anything is used up.
pub(crate) fn show(app: &App, visit: &Visit, code: &InvitationCode) -> Result<Response, Refusal> {
    let visitor = csrf::visitor(visit)?;
    let body = html! {
        h1 { "Your study invites you" }
        p.lead { "You have opened a personal link. With it you can share measurements of your wearable with your \
                  study, and change your mind at any time." }
        p { "When you go on, this browser is signed in as the person for whom the link was made. You then read what \
             is asked, before you agree to anything." }
        (form("/clients/ow/redeem", &visitor.0, &html! {
            input type="hidden" name="code" value=(code.expose());
            button type="submit" { "Go on" }
        }))
        p.fine { "Is the link not meant for you? Then close this page, and tell the person who sent it." }
    };
    Ok(csrf::greet(app, page(app, "Your study invites you", &body), &visitor))
}

/// `POST /clients/ow/redeem`.
pub(crate) async fn redeem(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let (visitor, is_new) = csrf::visitor(visit)?;
    csrf::check_form(app, visit, (!is_new).then_some(&visitor), Actor::Visitor).await?;
    let code = InvitationCode::parse(visit.form.get("code")).ok_or_else(Refusal::not_found)?;
    let (true, Some(jhe)) = (is_known(app, &code), app.live.jhe()) else { return Err(foreign(app, &code)) };
    let link = code.hash();
    let known = app.store.read(move |db| invitation::find(db, link)).await?;
    if known.is_some_and(|known| known.revoked.is_some()) {
        return Err(refused(&RedeemError::Cancelled));
    }
    let grant = jhe.redeem(&code).await.map_err(|error| refused(&error))?;
    let read = async {
        let me = jhe.me(&grant.access).await?;
        let seen = jhe.consents(Who::Person(&grant.access), me.id, &app.clock).await?;
        Ok((me, seen))
    };
    let (me, seen) = read.await.map_err(|error| refused(&RedeemError::Jhe(error)))?;
    let session = Token::draw()?;
    let (browser, now) = ((visitor.hash(), session.hash()), app.clock.now());
    let id = match app.store.write(move |db| keep(db, &me, &seen, link, browser, now)).await {
        // The sentence is for whoever runs this: it names commands.
        Err(StoreError::Refused(why)) => return Err(not_again(&why)),
        kept => kept?,
    };
    if let Err(error) = patient_tokens::keep(app, id, &grant).await {
        tracing::error!(patient = %id, "the patient's token at JHE could not be kept: {error}");
    }
    Ok(with_session(app, see_other("/clients/ow/ask"), Some(&session)))
}

/// Somebody whose data were erased here, or who cannot be taken in for another reason that is for the operator to see.
fn not_again(why: &str) -> Refusal {
    tracing::warn!("an invitation was redeemed, and nobody was taken in: {why}");
    let text = "Your data were erased here, as you or your study asked. If you want to take part again, tell the \
                person in your study: they can let you in, and send a new link.";
    Refusal::new(StatusCode::FORBIDDEN, "You are not taken in again unasked", text)
}

/// All or nothing: the patient, the consents as JHE has them, the invitation, the session.
fn keep(
    db: &rusqlite::Connection,
    me: &Person,
    seen: &Snapshot,
    link: TokenHash,
    (visitor, session): (TokenHash, TokenHash),
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    let id = find_or_add(db, me, now)?;
    jhe_consent::apply(db, id, seen)?;
    invitation::note_redeemed(db, link, id, visitor, now)?;
    audit::record(db, now, Actor::Patient(id), "invitation.use", Some(id), "JHE's")?;
    session::begin(db, session, Holder::Patient(id), now, now.plus(SESSION_AGE))?;
    Ok(id)
}

fn find_or_add(db: &rusqlite::Connection, me: &Person, now: Timestamp) -> Result<PatientId, StoreError> {
    if let Some(known) = patient::of_jhe(db, me.id)? {
        return Ok(known);
    }
    let new = NewPatient { name: me.name(), email: me.email.clone(), time_zone: TIME_ZONE.to_owned() };
    let id = patient::add_of_jhe(db, &new, me.id, &me.jhe_user_id.to_string(), now)?;
    audit::record(db, now, Actor::Patient(id), "patient.add", Some(id), "")?;
    Ok(id)
}

/// Why JHE does not take the invitation, in the patient's words.
fn refused(error: &RedeemError) -> Refusal {
    let ask = "Ask the person in your study who sent it for a new one.";
    let (status, title, text) = match error {
        RedeemError::Unknown => {
            (StatusCode::NOT_FOUND, "We do not know this link", format!("Perhaps part of it was lost. {ask}"))
        }
        RedeemError::Used => (
            StatusCode::CONFLICT,
            "This link was used already",
            format!(
                "It works for half a day after you first went on with it, and a newer link takes its place at once. \
                 If you have used it in this browser, your choices are still open here. Otherwise: {ask}"
            ),
        ),
        RedeemError::Expired => {
            (StatusCode::GONE, "This link is too old", format!("Links work for some days only. {ask}"))
        }
        RedeemError::Cancelled => (
            StatusCode::FORBIDDEN,
            "This link was taken back",
            format!("There may be a newer one in your messages. {ask}"),
        ),
        RedeemError::Jhe(error) => return out_of_reach(error),
    };
    tracing::info!("an invitation was not redeemed: {error}");
    Refusal::new(status, title, text).next("/clients/ow/manage", "Your choices")
}
