//! The forms of the page of choices: agree, disconnect, sign out.

use maud::html;

use crate::app::{connect_device as devices, connect_device::ConnectError, patient_tokens, state::App};
use crate::i18n::phrase::Phrase;
use crate::model::study::{Scope, StudyId};
use crate::store::people::invitation;
use crate::store::people::session::{self, Holder};
use crate::web::patient::consent_questions::{
    ConsentQuestion, find_questions, load_questions, record_grants, record_intent,
};
use crate::web::patient::signed_in::{page_response, with_session};
use crate::web::patient::{jhe_consents::JhePatientConsents, selected_devices::SelectedDevices};
use crate::web::patient_access::{GRANTING_PATIENT, GrantingPatient, PATIENT, SignedInPatient};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/clients/ow/grant", GRANTING_PATIENT, grant),
        post("/clients/ow/disconnect", PATIENT, disconnect),
        post("/clients/ow/sign-out", PATIENT, sign_out),
    ]
}

async fn grant(app: &App, request: &Request, patient: &GrantingPatient) -> HandlerResult {
    let selected = SelectedDevices::from_form(request.form());
    let device = selected.chosen_provider().map(|provider| format!("&device={provider}")).unwrap_or_default();
    let grant = GrantRequest {
        study: request.form().get("study").parse().ok(),
        code: request.form().get("scope").to_owned(),
        wording_id: request.form().get("wording").to_owned(),
        selected,
    };
    let done = if let Some(at_jhe) = JhePatientConsents::find(app, patient).await? {
        grant_at_jhe(app, patient, &at_jhe, &grant).await?
    } else {
        let (id, now, language) = (patient.id(), app.clock.now(), patient.reader().texts.language());
        let save = move |db: &_| {
            let questions = find_questions(db, id, grant.study, &grant.selected.providers, language)?;
            Ok(match grant.find(&questions) {
                Ok((question, scope)) => {
                    record_grants(db, id, question, std::slice::from_ref(scope), now)?;
                    Some("granted")
                }
                Err(done) => done,
            })
        };
        app.store.write(save).await?
    };
    let done = done.ok_or_else(|| Refusal::bad(Phrase::key("not-asked")).link_to_choices())?;
    Ok(see_other(&format!("/clients/ow/manage?done={done}{device}")))
}

async fn grant_at_jhe(
    app: &App,
    patient: &GrantingPatient,
    at_jhe: &JhePatientConsents,
    grant: &GrantRequest,
) -> Result<Option<&'static str>, Refusal> {
    at_jhe.refresh(app).await?;
    let questions = load_questions(app, patient, &grant.selected).await?;
    let (question, scope) = match grant.find(&questions) {
        Ok((question, scope)) => (question.clone(), scope.clone()),
        Err(done) => return Ok(done),
    };
    let answers = vec![(question.study.id, scope.code.clone(), true)];
    let (id, now) = (patient.id(), app.clock.now());
    app.store.write(move |db| record_intent(db, id, &question, &[scope], now)).await?;
    at_jhe.save(app, answers).await?;
    Ok(Some("granted"))
}

/// The scope that a patient wants to share.
struct GrantRequest {
    study: Option<StudyId>,
    code: String,
    wording_id: String,
    selected: SelectedDevices,
}

impl GrantRequest {
    /// Finds the scope if it can be granted. The error is the `done` parameter of the page of choices; None
    /// if no study asks for the scope.
    fn find<'a>(
        &self,
        questions: &'a [ConsentQuestion],
    ) -> Result<(&'a ConsentQuestion, &'a Scope), Option<&'static str>> {
        let question = questions.iter().find(|one| Some(one.study.id) == self.study).ok_or(None)?;
        match question.scopes.iter().find(|(scope, _)| scope.code == self.code) {
            None => Err(None),
            Some((_, Some(_))) => Err(Some("granted")),
            Some(_) if question.wording_id() != self.wording_id => Err(Some("changed")),
            Some((scope, None)) => Ok((question, scope)),
        }
    }
}

/// Disconnects the device; consents stay. OW is called for a patient without a consent only if it has a device.
async fn disconnect(app: &App, _: &Request, patient: &SignedInPatient) -> HandlerResult {
    let is_sharing = devices::find_standing(app, patient.id()).await?.is_active();
    if !is_sharing && devices::list_known_devices(app, patient.id()).await?.is_empty() {
        return Ok(see_other("/clients/ow/manage?done=disconnected"));
    }
    match devices::disconnect(app, patient.id(), patient.actor()).await {
        Ok(()) | Err(ConnectError::NoUser) => Ok(see_other("/clients/ow/manage?done=disconnected")),
        Err(error) => {
            tracing::warn!(patient = %patient.id(), "its device could not be disconnected: {error}");
            Ok(see_other("/clients/ow/manage?done=disconnecting"))
        }
    }
}

async fn sign_out(app: &App, _: &Request, patient: &SignedInPatient) -> HandlerResult {
    let (id, hash, now) = (patient.id(), patient.token().hash(), app.clock.now());
    let end = move |db: &_| {
        session::delete(db, hash)?;
        invitation::revoke_used(db, id, now)
    };
    app.store.write(end).await?;
    if app.store.read(move |db| session::count(db, Holder::Patient(id), now)).await? == 0 {
        patient_tokens::forget(app, id).await?;
    }
    let reader = &patient.reader().at("/");
    let title = reader.get("signed-out");
    let body = html! {
        h1 { (title) }
        p { (reader.get("signed-out-text")) }
    };
    Ok(with_session(app, page_response(app, reader, &title, &body), None))
}
