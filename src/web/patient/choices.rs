//! What a patient does on the page of choices: agree, stop, disconnect, leave.

use maud::html;
use warp::reply::Response;

use super::asked::{asked, note_grants};
use super::{Patient, page, with_session};
use crate::account::Actor;
use crate::patient::PatientId;
use crate::store::{StoreError, audit, consent, invitation, session};
use crate::study::{Scope, StudyId};
use crate::time::Timestamp;
use crate::web::App;
use crate::web::answer::{Refusal, see_other};
use crate::web::connect::{self as devices, ConnectError};
use crate::web::layout::form;
use crate::web::visit::Visit;

/// `POST /clients/ow/grant`.
pub(super) async fn grant(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let (id, now) = (patient.id, app.clock.now());
    let study: Option<StudyId> = visit.form.get("study").parse().ok();
    let (code, proof) = (visit.form.get("scope").to_owned(), visit.form.get("wording").to_owned());
    let keep = move |db: &_| {
        let Some(asked) = asked(db, id, study)?.into_iter().find(|one| Some(one.study.id) == study) else {
            return Ok(None);
        };
        let Some((scope, agreed)) = asked.scopes.iter().find(|(scope, _)| scope.code == code) else {
            return Ok(None);
        };
        if agreed.is_some() {
            return Ok(Some("granted"));
        }
        if asked.proof() != proof {
            return Ok(Some("changed"));
        }
        note_grants(db, id, &asked, std::slice::from_ref(scope), now)?;
        Ok(Some("granted"))
    };
    let done = app.store.write(keep).await?.ok_or_else(|| {
        let text = "The study does not ask you for this any more.";
        Refusal::bad(text).next("/clients/ow/manage", "Your choices")
    })?;
    Ok(see_other(&format!("/clients/ow/manage?done={done}")))
}

/// `POST /clients/ow/withdraw`: the last consent takes the device with it, after saying so.
pub(super) async fn withdraw(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let (id, now) = (patient.id, app.clock.now());
    let study: Option<StudyId> = visit.form.get("study").parse().ok();
    let code = visit.form.get("scope").to_owned();
    let entries = app.store.read(move |db| consent::entries(db, id)).await?;
    let standing: Vec<_> = entries.iter().filter(|entry| entry.grant.withdrawn.is_none()).collect();
    let this = standing
        .iter()
        .find(|entry| entry.scope.code == code && entry.study.as_ref().map(|(id, _)| *id) == study);
    let Some(this) = this else { return Ok(see_other("/clients/ow/manage?done=withdrawn")) };
    if standing.len() == 1 && visit.form.get("sure") != "yes" {
        return Ok(confirm(app, patient, study, &this.scope));
    }
    let shares_nothing = app.store.write(move |db| note_withdrawal(db, id, &code, study, now)).await?;
    if standing.iter().any(|entry| entry.scope == this.scope && entry.study != this.study) {
        return Ok(see_other("/clients/ow/manage?done=shared-elsewhere"));
    }
    if !shares_nothing {
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

/// Answers whether the patient shares nothing any more.
fn note_withdrawal(
    db: &rusqlite::Connection,
    id: PatientId,
    code: &str,
    study: Option<StudyId>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    consent::withdraw(db, id, code, consent::Extent::Study(study), now)?;
    let study = study.map_or_else(|| "none".to_owned(), |id| id.to_string());
    let detail = format!("{code} study {study}");
    audit::record(db, now, Actor::Patient(id), "consent.withdraw", Some(id), &detail)?;
    consent::is_withdrawn(db, id)
}

fn confirm(app: &App, patient: &Patient, study: Option<StudyId>, scope: &Scope) -> Response {
    let study = study.map(|id| id.to_string()).unwrap_or_default();
    page(
        app,
        "Stop sharing?",
        &html! {
            h1 { "Stop sharing " (scope.display) "?" }
            p { "This is the last thing that you share. When you stop, nothing more is fetched, and your device \
                 is disconnected as well. What was fetched before stays with the study; ask the study to have \
                 it erased." }
            (form("/clients/ow/withdraw", &patient.token, &html! {
                input type="hidden" name="study" value=(study);
                input type="hidden" name="scope" value=(scope.code);
                input type="hidden" name="sure" value="yes";
                div.actions {
                    button type="submit" { "Stop sharing and disconnect" }
                    a href="/clients/ow/manage" { "Go back" }
                }
            }))
        },
    )
}

/// `POST /clients/ow/disconnect`: consents stay; there is only nothing to fetch.
pub(super) async fn disconnect(app: &App, patient: &Patient) -> Result<Response, Refusal> {
    match devices::disconnect(app, patient.id, patient.actor()).await {
        Ok(()) | Err(ConnectError::NoUser) => Ok(see_other("/clients/ow/manage?done=disconnected")),
        Err(error) => {
            tracing::warn!(patient = %patient.id, "its device could not be disconnected: {error}");
            Ok(see_other("/clients/ow/manage?done=disconnecting"))
        }
    }
}

/// `POST /clients/ow/sign-out`.
pub(super) async fn sign_out(app: &App, patient: &Patient) -> Result<Response, Refusal> {
    let (id, hash) = (patient.id, patient.token.hash());
    let end = move |db: &_| {
        session::end(db, hash)?;
        invitation::forget_browsers(db, id)
    };
    app.store.write(end).await?;
    let body = html! {
        h1 { "This browser has forgotten you" }
        p { "Your choices stand as they are. To come back, ask your study for a new link." }
    };
    Ok(with_session(app, page(app, "Signed out", &body), None))
}
