//! The invitation: what is asked, and the answer.

use http::StatusCode;
use maud::html;
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::jhe::invitation::InvitationCode;
use crate::model::account::Actor;
use crate::secrets::token::{Token, TokenHash};
use crate::store::error::StoreError;
use crate::store::people::invitation::{Invitation, Standing};
use crate::store::people::session::Holder;
use crate::store::people::{invitation, session};
use crate::store::privacy::audit;
use crate::web::csrf;
use crate::web::layout::form;
use crate::web::patient::consent_form::{Problem, Questions, Ticks};
use crate::web::patient::consent_questions::{asked, note_grants};
use crate::web::patient::device::{Settled, choose, settle};
use crate::web::patient::jhe_invitation;
use crate::web::patient::signed_in::{SESSION_AGE, find_session, page, with_session};
use crate::web::patient::wearing::Wearing;
use crate::web::request::Visit;
use crate::web::response::{Refusal, see_other};

/// How long a form that was sent twice is taken for one.
const SENT_TWICE: std::time::Duration = std::time::Duration::from_mins(10);

/// `GET /ow/?code=…`: opening it uses nothing up.
pub(crate) async fn show(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let code = match read_code(app, visit.query.get("code"))? {
        Code::Ours(code) => code,
        Code::OfJhe(code) => return jhe_invitation::show(app, visit, &code),
    };
    let (hash, now) = (code.hash(), app.clock.now());
    let known = app.store.read(move |db| invitation::find(db, hash)).await?;
    let invitation = known.ok_or_else(unknown)?;
    if invitation.standing(now) != Standing::Open {
        return elsewhere(app, visit, &invitation).await;
    }
    let visitor = csrf::visitor(visit)?;
    let wearing = Wearing::chosen(&visit.query);
    let answer = ask(app, &code, &visitor.0, (&invitation, wearing), None).await?;
    Ok(csrf::greet(app, answer, &visitor))
}

/// What became of an answer.
enum Kept {
    /// It is kept, or was a moment ago by a form that this browser sent twice.
    Yes,
    /// The invitation is no longer good.
    Spent,
    /// It has to be given again.
    Not(Problem),
}

/// `POST /clients/ow/agree`: uses the invitation up, keeps what was agreed to, and signs the browser in.
pub(crate) async fn agree(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let Code::Ours(code) = read_code(app, visit.form.get("code"))? else { return Err(unknown()) };
    let (visitor, is_new) = csrf::visitor(visit)?;
    let token = (!is_new).then_some(&visitor);
    csrf::check_form(app, visit, token, Actor::Visitor).await?;
    let (hash, now) = (code.hash(), app.clock.now());
    let invitation = app.store.read(move |db| invitation::find(db, hash)).await?.ok_or_else(unknown)?;
    if visit.form.get("answer") == "decline" {
        return match invitation.standing(now) {
            Standing::Open => Ok(declined(app)),
            _ => elsewhere(app, visit, &invitation).await,
        };
    }
    let session = Token::draw()?;
    let wearing = Wearing::of_form(&visit.form);
    let answer = Answer {
        code: hash,
        wearing: wearing.clone(),
        ticks: Ticks::read(&visit.form),
        browser: visitor.hash(),
        session: session.hash(),
    };
    match app.store.write(move |db| answer.keep(db, now)).await? {
        Kept::Yes => Ok(with_session(app, see_other(&wearing.way_on()), Some(&session))),
        Kept::Spent => elsewhere(app, visit, &invitation).await,
        Kept::Not(problem) => ask(app, &code, &visitor, (&invitation, wearing), Some(problem)).await,
    }
}

/// An invitation that is no longer good leads whoever used it here to what was chosen.
async fn elsewhere(app: &App, visit: &Visit, invitation: &Invitation) -> Result<Response, Refusal> {
    let here = find_session(app, visit).await?;
    if here.is_some_and(|patient| patient.id == invitation.patient) {
        return Ok(see_other("/clients/ow/manage"));
    }
    Err(spent(invitation, app.clock.now()))
}

/// A patient's answer to an invitation.
struct Answer {
    code: TokenHash,
    wearing: Wearing,
    ticks: Ticks,
    browser: TokenHash,
    session: TokenHash,
}

impl Answer {
    /// All or nothing: the invitation, the consents, the session.
    fn keep(&self, db: &rusqlite::Connection, now: Timestamp) -> Result<Kept, StoreError> {
        let Some(invitation) = invitation::find(db, self.code)? else { return Ok(Kept::Spent) };
        let patient = invitation.patient;
        match (invitation.standing(now), invitation.used) {
            (Standing::Open, _) => {
                let asked = asked(db, patient, invitation.study, &self.wearing.providers)?;
                let agreed = match self.ticks.judge(&asked) {
                    Ok(agreed) => agreed,
                    Err(problem) => return Ok(Kept::Not(problem)),
                };
                invitation::mark_used(db, invitation.id, self.browser, now)?;
                audit::record(db, now, Actor::Patient(patient), "invitation.use", Some(patient), "")?;
                for (one, scopes) in agreed {
                    note_grants(db, patient, one, &scopes, now)?;
                }
            }
            (Standing::Used, Some(used))
                if now.since(used) < SENT_TWICE && invitation.used_by == Some(self.browser) => {}
            _ => return Ok(Kept::Spent),
        }
        session::begin(db, self.session, Holder::Patient(patient), now, now.plus(SESSION_AGE))?;
        Ok(Kept::Yes)
    }
}

/// What a link carries.
enum Code {
    /// A token of our own.
    Ours(Token),
    /// An invitation of the configured JHE's.
    OfJhe(InvitationCode),
}

fn read_code(app: &App, text: &str) -> Result<Code, Refusal> {
    let whom = "Open the whole link from the message of your study; if it does not work, ask the person who \
                sent it for a new one.";
    let incomplete = |why: &str| {
        let title = "This link is not complete";
        Refusal::new(StatusCode::BAD_REQUEST, title, format!("{why} {whom}"))
    };
    if text.is_empty() {
        return Err(incomplete("Its code is missing."));
    }
    match InvitationCode::parse(text) {
        // First: a host may be named so that all of it reads like a token of ours.
        Some(code) if jhe_invitation::is_known(app, &code) => Ok(Code::OfJhe(code)),
        of_jhe => match (Token::parse(text), of_jhe) {
            (Some(token), _) => Ok(Code::Ours(token)),
            (None, Some(foreign)) => Err(jhe_invitation::foreign(app, &foreign)),
            (None, None) => Err(incomplete("Part of its code was lost or changed.")),
        },
    }
}

fn unknown() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "We do not know this link",
        "Ask the person in your study who sent it for a new one.",
    )
}

/// Why an invitation that is known is no longer good.
fn spent(invitation: &Invitation, now: Timestamp) -> Refusal {
    let (status, title, text) = match invitation.standing(now) {
        Standing::Revoked => (
            StatusCode::FORBIDDEN,
            "This link was taken back",
            "There may be a newer one in your messages. Otherwise ask the person in your study who sent it.",
        ),
        Standing::Expired => (
            StatusCode::GONE,
            "This link is too old",
            "Links work for seven days. Ask the person in your study who sent it for a new one.",
        ),
        Standing::Used | Standing::Open => (
            StatusCode::CONFLICT,
            "This link was used already",
            "It works once, and in one browser. Go on in the browser in which you agreed, or ask the \
             person in your study who sent it for a new one.",
        ),
    };
    Refusal::new(status, title, text)
}

fn declined(app: &App) -> Response {
    page(
        app,
        "You have not agreed",
        &html! {
            h1 { "You have not agreed to anything" }
            p { "Nothing was saved and nothing is shared. You need not do anything more." }
            p { "If you change your mind, the same link works for seven days from when it was made." }
        },
    )
}

/// The page that asks.
async fn ask(
    app: &App,
    code: &Token,
    visitor: &Token,
    (invitation, wearing): (&Invitation, Wearing),
    problem: Option<Problem>,
) -> Result<Response, Refusal> {
    let here = format!("/clients/ow/launch?code={}", code.expose());
    let (asked, wearing) = match settle(app, invitation.patient, invitation.study, wearing).await? {
        Settled::Asked(asked, wearing) => (asked, wearing),
        Settled::Choose(offers) => return Ok(choose(app, &offers, &format!("{here}&device="))),
    };
    let hidden = html! {
        input type="hidden" name="code" value=(code.expose());
        (wearing.hidden())
    };
    if asked.iter().any(|asked| !asked.open().is_empty()) {
        let note = wearing.note(&here);
        let questions = Questions { action: "/clients/ow/agree", token: visitor, hidden, note, problem };
        return Ok(questions.page(app, &asked));
    }
    let body = html! {
        h1 { "Welcome back" }
        p { "You have answered everything that was asked. Go on to connect a device, or to look at your choices." }
        (form("/clients/ow/agree", visitor, &html! { (hidden) button type="submit" { "Go on" } }))
    };
    Ok(page(app, "Share your data", &body))
}
