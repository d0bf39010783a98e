//! A link that opens again: another browser continues, until a device is connected. Opening it changes nothing, since
//! mail scanners open links; the button signs the former browser out.

use maud::html;

use crate::app::state::App;
use crate::secrets::token::Token;
use crate::store::people::invitation::{self, Invitation, InvitationState};
use crate::store::people::{session, study_text};
use crate::web::csrf;
use crate::web::layout::form;
use crate::web::patient::link::{LinkCode, closed_invitation, find_reader, read_code, unknown_link};
use crate::web::patient::signed_in::{page_response, replace_sessions, with_session};
use crate::web::patient_access::{Anyone, RATE_LIMITED};
use crate::web::reader::Reader;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, see_other};
use crate::web::route::{Route, post};

const CONTINUE: &str = "/clients/ow/continue";

pub(crate) fn routes() -> Vec<Route> {
    vec![post(CONTINUE, RATE_LIMITED, take_over)]
}

/// Shows the studies and the patient's numbers in them, and nothing else about the patient.
pub(crate) async fn show(
    app: &App,
    request: &Request,
    reader: &Reader,
    code: &Token,
    invitation: &Invitation,
) -> HandlerResult {
    let visitor = csrf::visitor(request)?;
    let (id, study, language) = (invitation.patient, invitation.study, reader.texts.language());
    let places = app.store.read(move |db| study_text::list_participations(db, id, study, language)).await?;
    let body = html! {
        h1 { (reader.get("continue-title")) }
        ul.plain.card {
            @for place in &places {
                li {
                    b lang=[(place.language != language).then(|| place.language.tag())] { (place.title) } br;
                    span.fine { (reader.get_with("your-number", &[("number", &place.participant)])) }
                }
            }
        }
        p { (reader.get("continue-text")) }
        p { (reader.get("continue-limits")) }
        (form(CONTINUE, &visitor.0, &html! {
            input type="hidden" name="code" value=(code.expose());
            button type="submit" { (reader.get("continue-button")) }
        }))
        p.fine { (reader.get("not-for-you")) }
    };
    let response = page_response(app, reader, &reader.get("continue-title"), &body);
    Ok(csrf::with_visitor(app, response, &visitor))
}

async fn take_over(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let LinkCode::Own(code) = read_code(app, request.form().get("code"))? else { return Err(unknown_link()) };
    csrf::check_visitor_form(app, request).await?;
    let (hash, now, session) = (code.hash(), app.clock.now(), Token::generate()?);
    let invitation = app.store.read(move |db| invitation::find(db, hash)).await?.ok_or_else(unknown_link)?;
    let reader = find_reader(app, request, &invitation).await?;
    let (language, token) = (reader.texts.language(), session.hash());
    let save = move |db: &_| {
        let Some(known) = invitation::find(db, hash)? else { return Ok(false) };
        let may_continue = known.state(now) == InvitationState::Reopenable;
        if may_continue {
            replace_sessions(db, known.patient, token, language, now)?;
            session::forbid_grants(db, token)?;
        }
        Ok(may_continue)
    };
    if !app.store.write(save).await? {
        return Err(closed_invitation(&invitation, now).to(&reader));
    }
    Ok(with_session(app, see_other("/clients/ow/connect"), Some(&session)))
}
