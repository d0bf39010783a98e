//! The page of an invitation: the consent questions, and the answer.

use maud::html;
use warp::reply::Response;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::i18n::language::Language;
use crate::model::account::Actor;
use crate::secrets::token::{Token, TokenHash};
use crate::store::people::invitation::{self, Invitation, InvitationState};
use crate::store::people::patient_language;
use crate::store::people::session::{self, Holder};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::csrf;
use crate::web::patient::consent_form::{ConsentForm, FormProblem, TickedBoxes};
use crate::web::patient::consent_questions::{find_questions, record_grants};
use crate::web::patient::device::{NextQuestion, find_next_question, render_device_choice};
use crate::web::patient::jhe_invitation;
use crate::web::patient::link::{
    LinkCode, closed_invitation, find_reader, launch_page, read_code, unknown_link,
};
use crate::web::patient::selected_devices::SelectedDevices;
use crate::web::patient::signed_in::{SESSION_AGE, page_response, with_session};
use crate::web::patient::{reminders, take_over, time_zone};
use crate::web::patient_access::{Anyone, CHOICES, RATE_LIMITED, find_patient};
use crate::web::reader::Reader;
use crate::web::response::{HandlerResult, see_other};
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
        return continue_or_refuse(app, request, &code, &invitation).await;
    }
    let visitor = csrf::visitor(request)?;
    let reader = find_reader(app, request, &invitation).await?.at(launch_page(&code));
    let selected = SelectedDevices::from_query(&request.query);
    let response = render(app, &reader, &code, &visitor.0, (&invitation, selected), "", None).await?;
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
    let reader = find_reader(app, request, &invitation).await?.at(launch_page(&code));
    if request.form().get("answer") == "decline" {
        return match invitation.state(now) {
            InvitationState::Open => Ok(declined(app, &reader)),
            _ => continue_or_refuse(app, request, &code, &invitation).await,
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
        language: reader.texts.language(),
    };
    match app.store.write(move |db| answer.save(db, now)).await? {
        AnswerOutcome::Saved => Ok(with_session(app, see_other(&selected.next_page()), Some(&session))),
        AnswerOutcome::InvitationClosed => continue_or_refuse(app, request, &code, &invitation).await,
        AnswerOutcome::AskAgain(problem) => {
            let sent_zone = request.form().get(time_zone::FIELD);
            render(app, &reader, &code, &visitor, (&invitation, selected), sent_zone, Some(problem)).await
        }
    }
}

/// Redirects the patient who used the invitation in this browser to the choices. Another browser may take over, until
/// a device is connected.
async fn continue_or_refuse(
    app: &App,
    request: &Request,
    code: &Token,
    invitation: &Invitation,
) -> HandlerResult {
    let here = find_patient(app, request).await?;
    if here.is_some_and(|patient| patient.id() == invitation.patient) {
        return Ok(see_other(CHOICES));
    }
    let (reader, now) = (find_reader(app, request, invitation).await?, app.clock.now());
    if invitation.state(now) == InvitationState::Reopenable {
        return take_over::show(app, request, &reader.at(launch_page(code)), code, invitation).await;
    }
    Err(closed_invitation(invitation, now).to(&reader))
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
    language: Language,
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
                let questions =
                    find_questions(db, patient, invitation.study, &self.selected.providers, self.language)?;
                let agreed = match self.ticks.check(&questions) {
                    Ok(agreed) => agreed,
                    Err(problem) => return Ok(AnswerOutcome::AskAgain(problem)),
                };
                invitation::mark_used(db, invitation.id, self.browser, now)?;
                audit::record(db, now, Actor::Patient(patient), "invitation.use", Some(patient), "")?;
                time_zone::save(db, patient, &self.time_zone, now)?;
                patient_language::set(db, patient, self.language)?;
                for (one, scopes) in &agreed {
                    record_grants(db, patient, one, scopes, now)?;
                }
                let studies =
                    agreed.iter().filter(|(_, scopes)| !scopes.is_empty()).map(|(one, _)| one.study.id);
                reminders::save(db, patient, self.reminders, studies, now)?;
            }
            (InvitationState::Reopenable | InvitationState::Used, Some(used))
                if now.since(used) < RESUBMIT_WINDOW && invitation.used_by == Some(self.browser) => {}
            _ => return Ok(AnswerOutcome::InvitationClosed),
        }
        session::insert(db, self.session, Holder::Patient(patient), now, now.plus(SESSION_AGE))?;
        Ok(AnswerOutcome::Saved)
    }
}

fn declined(app: &App, reader: &Reader) -> Response {
    let body = html! {
        h1 { (reader.get("declined")) }
        p { (reader.get("declined-text")) }
        p { (reader.get("declined-link")) }
    };
    page_response(app, reader, &reader.get("declined-title"), &body)
}

async fn render(
    app: &App,
    reader: &Reader,
    code: &Token,
    visitor: &Token,
    (invitation, selected): (&Invitation, SelectedDevices),
    sent_zone: &str,
    problem: Option<FormProblem>,
) -> HandlerResult {
    let (here, language) = (launch_page(code), reader.texts.language());
    let (questions, selected) =
        match find_next_question(app, invitation.patient, invitation.study, selected, language).await? {
            NextQuestion::Consent(questions, selected) => (questions, selected),
            NextQuestion::Device(offers) => {
                return Ok(render_device_choice(app, reader, &offers, &format!("{here}&device=")));
            }
        };
    let hidden_fields = html! {
        input type="hidden" name="code" value=(code.expose());
        (selected.hidden_fields())
    };
    if questions.iter().any(|question| !question.open_scopes().is_empty()) {
        let device = selected.describe(reader, &here);
        let time_zone = time_zone::load_question(app, reader, invitation.patient, sent_zone).await?;
        let action = "/clients/ow/agree";
        let reminders = reminders::load_question(app, reader, invitation.patient).await?;
        let form = ConsentForm {
            reader,
            action,
            token: visitor,
            hidden_fields,
            device,
            time_zone,
            reminders,
            problem,
        };
        return Ok(form.render(app, &questions));
    }
    let body = html! {
        h1 { (reader.get("welcome-back")) }
        p { (reader.get("welcome-back-text")) }
        (form("/clients/ow/agree", visitor, &html! {
            (hidden_fields)
            button type="submit" { (reader.get("go-on")) }
        }))
    };
    Ok(page_response(app, reader, &reader.get("consent-page-title"), &body))
}
