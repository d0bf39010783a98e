//! What a patient does on the page of choices: agree, stop, disconnect, leave.

use maud::html;
use warp::reply::Response;

use crate::app::connect_device::ConnectError;
use crate::app::state::App;
use crate::app::{connect_device as devices, patient_tokens};
use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::patient::PatientId;
use crate::model::study::{Scope, StudyId};
use crate::store::error::StoreError;
use crate::store::people::session::Holder;
use crate::store::people::{consent, invitation, session};
use crate::store::privacy::audit;
use crate::web::layout::form;
use crate::web::patient::consent_questions::{Asked, all_asked, asked, intend, note_grants};
use crate::web::patient::jhe_consents::AtJhe;
use crate::web::patient::signed_in::{Patient, page, with_session};
use crate::web::patient::wearing::Wearing;
use crate::web::request::Visit;
use crate::web::response::{Refusal, see_other};

/// `POST /clients/ow/grant`.
pub(crate) async fn grant(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let wearing = Wearing::of_form(&visit.form);
    let device = wearing.choice().map(|provider| format!("&device={provider}")).unwrap_or_default();
    let wish = Wish {
        study: visit.form.get("study").parse().ok(),
        code: visit.form.get("scope").to_owned(),
        proof: visit.form.get("wording").to_owned(),
        wearing,
    };
    let done = if let Some(at_jhe) = AtJhe::of(app, patient).await? {
        grant_at_jhe(app, patient, &at_jhe, &wish).await?
    } else {
        let (id, now) = (patient.id, app.clock.now());
        let keep = move |db: &_| {
            let asked = asked(db, id, wish.study, &wish.wearing.providers)?;
            let outcome = wish.look(&asked);
            if let Look::Open(asked, scope) = outcome {
                note_grants(db, id, asked, std::slice::from_ref(scope), now)?;
            }
            Ok(outcome.done())
        };
        app.store.write(keep).await?
    };
    let done = done.ok_or_else(|| {
        let text = "The study does not ask you for this any more.";
        Refusal::bad(text).next("/clients/ow/manage", "Your choices")
    })?;
    Ok(see_other(&format!("/clients/ow/manage?done={done}{device}")))
}

async fn grant_at_jhe(
    app: &App,
    patient: &Patient,
    at_jhe: &AtJhe,
    wish: &Wish,
) -> Result<Option<&'static str>, Refusal> {
    at_jhe.refresh(app).await?;
    let all = all_asked(app, patient, &wish.wearing).await?;
    let outcome = wish.look(&all);
    if let Look::Open(asked, scope) = outcome {
        let chosen = vec![(asked.study.id, scope.code.clone(), true)];
        let (id, now) = (patient.id, app.clock.now());
        let (asked, scope) = (asked.clone(), scope.clone());
        app.store.write(move |db| intend(db, id, &asked, &[scope], now)).await?;
        at_jhe.answer(app, chosen).await?;
    }
    Ok(outcome.done())
}

/// What a patient wants to agree to.
struct Wish {
    study: Option<StudyId>,
    code: String,
    /// Which words stood above the button.
    proof: String,
    /// Which device they were about.
    wearing: Wearing,
}

/// What becomes of a wish.
enum Look<'a> {
    /// No study asks for it.
    NotAsked,
    /// It was agreed to before.
    Agreed,
    /// The words have changed since they were read.
    Changed,
    /// It can be agreed to.
    Open(&'a Asked, &'a Scope),
}

impl Wish {
    fn look<'a>(&self, all: &'a [Asked]) -> Look<'a> {
        let Some(asked) = all.iter().find(|one| Some(one.study.id) == self.study) else {
            return Look::NotAsked;
        };
        match asked.scopes.iter().find(|(scope, _)| scope.code == self.code) {
            None => Look::NotAsked,
            Some((_, Some(_))) => Look::Agreed,
            Some(_) if asked.proof() != self.proof => Look::Changed,
            Some((scope, None)) => Look::Open(asked, scope),
        }
    }
}

impl Look<'_> {
    /// What the page of choices then says.
    fn done(&self) -> Option<&'static str> {
        match self {
            Self::NotAsked => None,
            Self::Changed => Some("changed"),
            Self::Agreed | Self::Open(..) => Some("granted"),
        }
    }
}

/// `POST /clients/ow/withdraw`: the last consent takes the device with it, after saying so.
pub(crate) async fn withdraw(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let (id, now) = (patient.id, app.clock.now());
    let study: Option<StudyId> = visit.form.get("study").parse().ok();
    let scope = visit.form.get("scope").to_owned();
    let read = move |db: &_| Ok((consent::entries(db, id)?, consent::delivered(db, id)?));
    let (entries, delivered) = app.store.read(read).await?;
    let standing: Vec<_> = entries.iter().filter(|entry| entry.grant.withdrawn.is_none()).collect();
    let this = standing
        .iter()
        .find(|entry| entry.scope.code == scope && entry.study.as_ref().map(|(id, _)| *id) == study);
    let Some(this) = this else { return Ok(see_other("/clients/ow/manage?done=withdrawn")) };
    let is_delivered = delivered.contains(&(scope.clone(), study));
    if delivered.len() == 1 && is_delivered && visit.form.get("sure") != "yes" {
        return Ok(confirm(app, patient, study, &this.scope));
    }
    if let (Some(at_jhe), Some(study)) = (AtJhe::of(app, patient).await?, study) {
        at_jhe.withdraw(app, study, scope.clone()).await?;
    }
    let shares_nothing = app.store.write(move |db| note_withdrawal(db, id, &scope, study, now)).await?;
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
pub(crate) async fn disconnect(app: &App, patient: &Patient) -> Result<Response, Refusal> {
    match devices::disconnect(app, patient.id, patient.actor()).await {
        Ok(()) | Err(ConnectError::NoUser) => Ok(see_other("/clients/ow/manage?done=disconnected")),
        Err(error) => {
            tracing::warn!(patient = %patient.id, "its device could not be disconnected: {error}");
            Ok(see_other("/clients/ow/manage?done=disconnecting"))
        }
    }
}

/// `POST /clients/ow/sign-out`.
pub(crate) async fn sign_out(app: &App, patient: &Patient) -> Result<Response, Refusal> {
    let (id, hash, now) = (patient.id, patient.token.hash(), app.clock.now());
    let end = move |db: &_| {
        session::end(db, hash)?;
        invitation::close_used(db, id, now)
    };
    app.store.write(end).await?;
    if app.store.read(move |db| session::count(db, Holder::Patient(id), now)).await? == 0 {
        patient_tokens::forget(app, id).await?;
    }
    let body = html! {
        h1 { "This browser has forgotten you" }
        p { "Your choices stand as they are. To come back, ask your study for a new link." }
    };
    Ok(with_session(app, page(app, "Signed out", &body), None))
}
