//! The forms of the page of choices: agree, stop, disconnect, sign out.

use maud::html;
use warp::reply::Response;

use crate::app::{connect_device as devices, connect_device::ConnectError, patient_tokens, state::App};
use crate::common::time::Timestamp;
use crate::model::account::{Actor, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::PatientId;
use crate::model::study::{Scope, StudyId};
use crate::store::people::session::{self, Holder};
use crate::store::people::{consent, consent::ConsentEntry, invitation};
use crate::store::{error::StoreError, privacy::audit};
use crate::web::patient::consent_questions::{
    ConsentQuestion, find_questions, load_questions, record_grants, record_intent,
};
use crate::web::patient::signed_in::{page_response, with_session};
use crate::web::patient::{jhe_consents::JhePatientConsents, selected_devices::SelectedDevices};
use crate::web::patient_access::{PATIENT, SignedInPatient, WITHDRAW};
use crate::web::response::{HandlerResult, Refusal, see_other};
use crate::web::route::{Route, post};
use crate::web::{layout::form, request::Request};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/clients/ow/grant", PATIENT, grant),
        post(WITHDRAW, PATIENT, withdraw),
        post("/clients/ow/disconnect", PATIENT, disconnect),
        post("/clients/ow/sign-out", PATIENT, sign_out),
    ]
}

async fn grant(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
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
        let (id, now) = (patient.id(), app.clock.now());
        let save = move |db: &_| {
            let questions = find_questions(db, id, grant.study, &grant.selected.providers)?;
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
    let done = done.ok_or_else(|| {
        let text = "The study does not ask you for this any more.";
        Refusal::bad(text).link("/clients/ow/manage", "Your choices")
    })?;
    Ok(see_other(&format!("/clients/ow/manage?done={done}{device}")))
}

async fn grant_at_jhe(
    app: &App,
    patient: &SignedInPatient,
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

/// Withdraws one consent. The last one disconnects the device too, after a question.
async fn withdraw(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let (id, now) = (patient.id(), app.clock.now());
    let study: Option<StudyId> = request.form().get("study").parse().ok();
    let scope = request.form().get("scope").to_owned();
    let read = move |db: &_| {
        Ok((consent::list(db, VisibleTo::Everybody, id)?, consent::list_active_deliverable(db, id)?))
    };
    let (entries, deliverable) = app.store.read(read).await?;
    let active: Vec<_> = entries.iter().filter(|entry| entry.grant.withdrawn.is_none()).collect();
    let is_same =
        |entry: &ConsentEntry| entry.scope.code == scope && entry.study.as_ref().map(|(id, _)| *id) == study;
    let Some(this) = active.iter().find(|entry| is_same(entry)) else {
        if entries.iter().any(is_same) {
            return Ok(see_other("/clients/ow/manage?done=withdrawn"));
        }
        let text = "You have not shared this with this study. Nothing was changed.";
        return Err(Refusal::bad(text).link("/clients/ow/manage", "Your choices"));
    };
    let is_deliverable = deliverable.contains(&(scope.clone(), study));
    if deliverable.len() == 1 && is_deliverable && request.form().get("sure") != "yes" {
        return Ok(confirm(app, patient, study, &this.scope));
    }
    let mut is_changed = false;
    if let (Some(at_jhe), Some(study)) = (JhePatientConsents::find(app, patient).await?, study) {
        at_jhe.withdraw(app, study, scope.clone()).await?;
        is_changed = true;
    }
    let write = move |db: &_| record_withdrawal(db, id, (&scope, study), is_changed, now);
    let shares_nothing = app.store.write(write).await?;
    if active.iter().any(|entry| entry.scope == this.scope && entry.study != this.study) {
        return Ok(see_other("/clients/ow/manage?done=shared-elsewhere"));
    }
    if !shares_nothing || !is_deliverable {
        return Ok(see_other("/clients/ow/manage?done=withdrawn"));
    }
    match devices::disconnect(app, id, patient.actor()).await {
        Ok(()) | Err(ConnectError::NoUser) => Ok(see_other("/clients/ow/manage?done=withdrawn")),
        Err(error) => {
            tracing::warn!(patient = %id, "its device could not be disconnected: {error}");
            Ok(see_other("/clients/ow/manage?done=still-connected"))
        }
    }
}

/// Withdraws a consent, and records it if that changed anything, here or before at JHE. Returns whether the patient now
/// shares nothing.
fn record_withdrawal(
    db: &rusqlite::Connection,
    id: PatientId,
    (code, study): (&str, Option<StudyId>),
    is_changed_at_jhe: bool,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if consent::withdraw(db, id, code, consent::WithdrawFrom::Study(study), now)? || is_changed_at_jhe {
        let detail = AuditDetail::default().with_code(code).with("study");
        let detail = match study {
            Some(study) => detail.with(study),
            None => detail.with("none"),
        };
        audit::record(db, now, Actor::Patient(id), "consent.withdraw", Some(id), detail)?;
    }
    Ok(!consent::find_standing(db, id, now)?.is_active())
}

fn confirm(app: &App, patient: &SignedInPatient, study: Option<StudyId>, scope: &Scope) -> Response {
    let study = study.map(|id| id.to_string()).unwrap_or_default();
    let body = html! {
        h1 { "Stop sharing " (scope.display) "?" }
        p { "This is the last thing that you share. When you stop, nothing more is fetched, and your device \
             is disconnected as well. What was fetched before stays with the study; ask the study to have \
             it erased." }
        (form(WITHDRAW, patient.token(), &html! {
            input type="hidden" name="study" value=(study);
            input type="hidden" name="scope" value=(scope.code);
            input type="hidden" name="sure" value="yes";
            div.actions {
                button type="submit" { "Stop sharing and disconnect" }
                a href="/clients/ow/manage" { "Go back" }
            }
        }))
    };
    page_response(app, "Stop sharing?", &body)
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
    let body = html! {
        h1 { "You are signed out" }
        p { "Your choices have not changed. To come back, ask your study for a new link." }
    };
    Ok(with_session(app, page_response(app, "Signed out", &body), None))
}
