//! The page of an invitation: the consent questions, and the answer.

use http::StatusCode;
use maud::html;
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::jhe::invitation::InvitationCode;
use crate::model::account::Actor;
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::invitation::{self, Invitation, InvitationState};
use crate::store::people::session::{self, Holder};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::csrf;
use crate::web::patient::consent_form::{ConsentForm, FormProblem, TickedBoxes};
use crate::web::patient::consent_questions::{find_questions, record_grants};
use crate::web::patient::device::{NextQuestion, find_next_question, render_device_choice};
use crate::web::patient::jhe_invitation;
use crate::web::patient::selected_devices::SelectedDevices;
use crate::web::patient::signed_in::{SESSION_AGE, page_response, with_session};
use crate::web::patient::{reminders, time_zone};
use crate::web::patient_access::{Anyone, RATE_LIMITED, find_patient};
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, get, post};
use crate::web::{layout::form, request::Request};

/// A form that comes again within this time was sent twice.
const RESUBMIT_WINDOW: std::time::Duration = std::time::Duration::from_mins(10);

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/ow", RATE_LIMITED, show),
        get("/clients/ow/launch", RATE_LIMITED, show),
        post("/clients/ow/agree", RATE_LIMITED, agree),
    ]
}

/// Shows what the link asks. Opening it does not use it up.
async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let code = match read_code(app, request.query.get("code"))? {
        LinkCode::Own(code) => code,
        LinkCode::Jhe(code) => return jhe_invitation::show(app, request, &code),
    };
    let (hash, now) = (code.hash(), app.clock.now());
    let known = app.store.read(move |db| invitation::find(db, hash)).await?;
    let invitation = known.ok_or_else(unknown_link)?;
    if invitation.state(now) != InvitationState::Open {
        return redirect_or_refuse(app, request, &invitation).await;
    }
    let visitor = csrf::visitor(request)?;
    let selected = SelectedDevices::from_query(&request.query);
    let response = render(app, &code, &visitor.0, (&invitation, selected), "", None).await?;
    Ok(csrf::with_visitor(app, response, &visitor))
}

enum AnswerOutcome {
    /// Also if this browser has sent the form twice.
    Saved,
    InvitationClosed,
    AskAgain(FormProblem),
}

/// Uses the invitation up, records the consents, and signs the browser in.
async fn agree(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let LinkCode::Own(code) = read_code(app, request.form().get("code"))? else { return Err(unknown_link()) };
    let visitor = csrf::check_visitor_form(app, request).await?;
    let (hash, now) = (code.hash(), app.clock.now());
    let invitation = app.store.read(move |db| invitation::find(db, hash)).await?.ok_or_else(unknown_link)?;
    if request.form().get("answer") == "decline" {
        return match invitation.state(now) {
            InvitationState::Open => Ok(declined(app)),
            _ => redirect_or_refuse(app, request, &invitation).await,
        };
    }
    let session = Token::generate()?;
    let selected = SelectedDevices::from_form(request.form());
    let answer = InvitationAnswer {
        code: hash,
        selected: selected.clone(),
        ticks: TickedBoxes::from_form(request.form()),
        time_zone: request.form().get(time_zone::FIELD).to_owned(),
        reminders: request.form().has(reminders::FIELD),
        browser: visitor.hash(),
        session: session.hash(),
    };
    match app.store.write(move |db| answer.save(db, now)).await? {
        AnswerOutcome::Saved => Ok(with_session(app, see_other(&selected.next_page()), Some(&session))),
        AnswerOutcome::InvitationClosed => redirect_or_refuse(app, request, &invitation).await,
        AnswerOutcome::AskAgain(problem) => {
            let sent_zone = request.form().get(time_zone::FIELD);
            render(app, &code, &visitor, (&invitation, selected), sent_zone, Some(problem)).await
        }
    }
}

/// Redirects the patient who used the invitation in this browser to the choices; refuses everybody else.
async fn redirect_or_refuse(app: &App, request: &Request, invitation: &Invitation) -> HandlerResult {
    let here = find_patient(app, request).await?;
    if here.is_some_and(|patient| patient.id() == invitation.patient) {
        return Ok(see_other("/clients/ow/manage"));
    }
    Err(closed_invitation(invitation, app.clock.now()))
}

struct InvitationAnswer {
    code: TokenHash,
    selected: SelectedDevices,
    ticks: TickedBoxes,
    time_zone: String,
    /// The patient ticked the box for reminders.
    reminders: bool,
    browser: TokenHash,
    session: TokenHash,
}

impl InvitationAnswer {
    /// Saves the invitation, the consents, the time zone and the session in one transaction.
    fn save(&self, db: &rusqlite::Connection, now: Timestamp) -> Result<AnswerOutcome, StoreError> {
        let Some(invitation) = invitation::find(db, self.code)? else {
            return Ok(AnswerOutcome::InvitationClosed);
        };
        let patient = invitation.patient;
        match (invitation.state(now), invitation.used) {
            (InvitationState::Open, _) => {
                let questions = find_questions(db, patient, invitation.study, &self.selected.providers)?;
                let agreed = match self.ticks.check(&questions) {
                    Ok(agreed) => agreed,
                    Err(problem) => return Ok(AnswerOutcome::AskAgain(problem)),
                };
                invitation::mark_used(db, invitation.id, self.browser, now)?;
                audit::record(db, now, Actor::Patient(patient), "invitation.use", Some(patient), "")?;
                time_zone::save(db, patient, &self.time_zone, now)?;
                let studies =
                    agreed.iter().filter(|(_, scopes)| !scopes.is_empty()).map(|(one, _)| one.study.id);
                reminders::save(db, patient, self.reminders, studies, now)?;
                for (one, scopes) in agreed {
                    record_grants(db, patient, one, &scopes, now)?;
                }
            }
            (InvitationState::Used, Some(used))
                if now.since(used) < RESUBMIT_WINDOW && invitation.used_by == Some(self.browser) => {}
            _ => return Ok(AnswerOutcome::InvitationClosed),
        }
        session::insert(db, self.session, Holder::Patient(patient), now, now.plus(SESSION_AGE))?;
        Ok(AnswerOutcome::Saved)
    }
}

/// The code in a link.
enum LinkCode {
    Own(Token),
    /// An invitation of the configured JHE.
    Jhe(InvitationCode),
}

fn read_code(app: &App, text: &str) -> Result<LinkCode, Refusal> {
    let whom = "Open the whole link from the message of your study; if it does not work, ask the person who \
                sent it for a new one.";
    let incomplete = |why: &str| {
        let title = "This link is not complete";
        Refusal::new(StatusCode::BAD_REQUEST, title, format!("{why} {whom}"))
    };
    if text.is_empty() {
        return Err(incomplete("Part of the link is missing."));
    }
    match InvitationCode::parse(text) {
        // First: a host name can make the whole code look like a token of the daemon.
        Some(code) if jhe_invitation::is_of_configured_jhe(app, &code) => Ok(LinkCode::Jhe(code)),
        of_jhe => match (Token::parse(text), of_jhe) {
            (Some(token), _) => Ok(LinkCode::Own(token)),
            (None, Some(foreign)) => Err(jhe_invitation::foreign_link(app, &foreign)),
            (None, None) => Err(incomplete("Part of its code was lost or changed.")),
        },
    }
}

fn unknown_link() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "We do not know this link",
        "Ask the person in your study who sent it for a new one.",
    )
}

fn closed_invitation(invitation: &Invitation, now: Timestamp) -> Refusal {
    let (status, title, text) = match invitation.state(now) {
        InvitationState::Revoked => (
            StatusCode::FORBIDDEN,
            "This link no longer works",
            "There may be a newer one in your messages. Otherwise ask the person in your study who sent it.",
        ),
        InvitationState::Expired => (
            StatusCode::GONE,
            "This link is too old",
            "Links work for seven days. Ask the person in your study who sent it for a new one.",
        ),
        InvitationState::Used | InvitationState::Open => (
            StatusCode::CONFLICT,
            "This link was used already",
            "It works once, and in one browser. Go on in the browser in which you agreed, or ask the \
             person in your study who sent it for a new one.",
        ),
    };
    Refusal::new(status, title, text)
}

fn declined(app: &App) -> Response {
    let body = html! {
        h1 { "You agreed to nothing new" }
        p { "Nothing was saved. What you shared before stays shared until you stop it." }
        p { "If you change your mind, the same link works for seven days from when it was made." }
    };
    page_response(app, "You have not agreed", &body)
}

async fn render(
    app: &App,
    code: &Token,
    visitor: &Token,
    (invitation, selected): (&Invitation, SelectedDevices),
    sent_zone: &str,
    problem: Option<FormProblem>,
) -> HandlerResult {
    let here = format!("/clients/ow/launch?code={}", code.expose());
    let (questions, selected) =
        match find_next_question(app, invitation.patient, invitation.study, selected).await? {
            NextQuestion::Consent(questions, selected) => (questions, selected),
            NextQuestion::Device(offers) => {
                return Ok(render_device_choice(app, &offers, &format!("{here}&device=")));
            }
        };
    let hidden_fields = html! {
        input type="hidden" name="code" value=(code.expose());
        (selected.hidden_fields())
    };
    if questions.iter().any(|question| !question.open_scopes().is_empty()) {
        let device = selected.describe(&here);
        let time_zone = time_zone::load_question(app, invitation.patient, sent_zone).await?;
        let action = "/clients/ow/agree";
        let reminders = reminders::load_question(app, invitation.patient).await?;
        let form =
            ConsentForm { action, token: visitor, hidden_fields, device, time_zone, reminders, problem };
        return Ok(form.render(app, &questions));
    }
    let body = html! {
        h1 { "Welcome back" }
        p { "You have answered everything that was asked. Go on to connect a device, or to look at your \
             choices." }
        (form("/clients/ow/agree", visitor, &html! { (hidden_fields) button type="submit" { "Go on" } }))
    };
    Ok(page_response(app, "Share your data", &body))
}
