//! The consent questions of JHE's studies, for a patient who came by an invitation of JHE, and the answer.

use maud::html;
use warp::reply::Response;

use crate::app::state::App;
use crate::model::study::Scope;
use crate::web::patient::consent_form::{ConsentForm, FormProblem, TickedBoxes};
use crate::web::patient::consent_questions::{ConsentQuestion, load_questions, record_intent};
use crate::web::patient::device::{NextQuestion, find_next_question, render_device_choice};
use crate::web::patient::jhe_consents::{ConsentAnswer, JhePatientConsents};
use crate::web::patient::{selected_devices::SelectedDevices, signed_in::page_response, time_zone};
use crate::web::patient_access::{CHOICES, GRANTING_PATIENT, GrantingPatient, PATIENT, SignedInPatient};
use crate::web::reader::Reader;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/clients/ow/ask", PATIENT, show), post("/clients/ow/answer", GRANTING_PATIENT, answer)]
}

async fn show(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    if let Some(at_jhe) = JhePatientConsents::find(app, patient).await? {
        at_jhe.refresh(app).await?;
    }
    render(app, patient, SelectedDevices::from_query(&request.query), "", None).await
}

async fn render(
    app: &App,
    patient: &SignedInPatient,
    selected: SelectedDevices,
    sent_zone: &str,
    problem: Option<FormProblem>,
) -> HandlerResult {
    let reader = &patient.reader().at("/clients/ow/ask");
    // A session of a link that was used before is asked for nothing.
    if !patient.may_grant() {
        return Ok(see_other("/clients/ow/connect"));
    }
    let language = reader.texts.language();
    let (questions, selected) = match find_next_question(app, patient.id(), None, selected, language).await? {
        NextQuestion::Consent(questions, selected) => (questions, selected),
        NextQuestion::Device(offers) => {
            return Ok(render_device_choice(app, reader, &offers, "/clients/ow/ask?device="));
        }
    };
    if questions.iter().all(|question| question.open_scopes().is_empty()) {
        return Ok(see_other("/clients/ow/manage"));
    }
    let (action, token, hidden_fields) = ("/clients/ow/answer", patient.token(), selected.hidden_fields());
    let device = selected.describe(reader, "/clients/ow/ask");
    let time_zone = time_zone::load_question(app, reader, patient.id(), sent_zone).await?;
    // Patients of JHE get no mails from here.
    let reminders = maud::html! {};
    Ok(ConsentForm { reader, action, token, hidden_fields, device, time_zone, reminders, problem }
        .render(app, &questions))
}

async fn answer(app: &App, request: &Request, patient: &GrantingPatient) -> HandlerResult {
    let Some(at_jhe) = JhePatientConsents::find(app, patient).await? else {
        return Err(Refusal::not_found());
    };
    if request.form().get("answer") == "decline" {
        return Ok(declined(app, patient.reader()));
    }
    at_jhe.refresh(app).await?;
    let selected = SelectedDevices::from_form(request.form());
    let sent_zone = request.form().get(time_zone::FIELD).to_owned();
    let (questions, ticks) =
        (load_questions(app, patient, &selected).await?, TickedBoxes::from_form(request.form()));
    let agreed = match ticks.check(&questions) {
        Ok(agreed) => agreed,
        Err(problem) => return render(app, patient, selected, &sent_zone, Some(problem)).await,
    };
    let answers = collect_answers(&agreed, &ticks);
    let (id, now) = (patient.id(), app.clock.now());
    let intents: Vec<(ConsentQuestion, Vec<Scope>)> =
        agreed.into_iter().map(|(question, scopes)| (question.clone(), scopes)).collect();
    let save = move |db: &_| {
        time_zone::save(db, id, &sent_zone, now)?;
        intents.iter().try_for_each(|(question, scopes)| record_intent(db, id, question, scopes, now))
    };
    app.store.write(save).await?;
    at_jhe.save(app, answers).await?;
    Ok(see_other(&selected.next_page()))
}

/// Returns a yes for each ticked box and a no for each other box of the form; scopes added since then get no
/// answer.
fn collect_answers(agreed: &[(&ConsentQuestion, Vec<Scope>)], ticks: &TickedBoxes) -> Vec<ConsentAnswer> {
    let shown = agreed.iter().filter(|(question, _)| ticks.has_shown(question));
    let of_study = |(question, scopes): &(&ConsentQuestion, Vec<Scope>)| {
        let (study, scopes) = (question.study.id, scopes.clone());
        let open = question.open_scopes().into_iter();
        open.map(move |scope| (study, scope.code.clone(), scopes.contains(&scope))).collect::<Vec<_>>()
    };
    shown.flat_map(of_study).collect()
}

fn declined(app: &App, reader: &Reader) -> Response {
    let body = html! {
        h1 { (reader.get("declined")) }
        p { (reader.get("declined-text")) }
        p { (reader.get("declined-browser")) }
        div.actions {
            a.button href="/clients/ow/ask" { (reader.get("declined-read")) }
            a href=(CHOICES) { (reader.get("choices-title")) }
        }
    };
    page_response(app, reader, &reader.get("declined-title"), &body)
}
