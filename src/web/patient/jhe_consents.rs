//! What a patient of JHE's chooses is saved there first: JHE is the truth about it.

use std::sync::Arc;

use http::StatusCode;
use secrecy::SecretString;

use crate::app::patient_tokens;
use crate::app::patient_tokens::PersonError;
use crate::app::state::App;
use crate::jhe::answers::ScopeAnswer;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::model::consent_reconciliation::Snapshot;
use crate::model::patient::{PatientId, PatientRef};
use crate::model::study::StudyId;
use crate::store::error::StoreError;
use crate::store::people::{jhe_consent, patient};
use crate::web::patient::signed_in::Patient;
use crate::web::response::Refusal;

/// A patient of JHE's, and how JHE is asked about it.
pub(crate) struct AtJhe {
    jhe: Arc<Jhe>,
    patient: PatientId,
    jhe_id: i64,
}

/// An answer of the patient's: study, code, whether it is yes.
pub(crate) type Chosen = (StudyId, String, bool);

impl AtJhe {
    /// None where the patient is not JHE's.
    pub(crate) async fn of(app: &App, who: &Patient) -> Result<Option<Self>, Refusal> {
        let id = who.id;
        let found = app.store.read(move |db| patient::find(db, PatientRef::Own(id))).await?;
        let Some(jhe_id) = found.jhe_id else { return Ok(None) };
        let jhe = app.live.jhe().ok_or_else(|| {
            tracing::error!(patient = %id, "is JHE's, and JHE_BASE_URL is not set: nothing can be chosen");
            unavailable()
        })?;
        Ok(Some(Self { jhe, patient: id, jhe_id }))
    }

    /// Takes over what JHE has at the moment.
    pub(crate) async fn refresh(&self, app: &App) -> Result<(), Refusal> {
        let read = |access: SecretString| async move {
            self.jhe.consents(Who::Person(&access), self.jhe_id, &app.clock).await
        };
        let seen = patient_tokens::ask(app, &self.jhe, self.patient, read).await;
        self.keep(app, seen.map_err(refused)?).await
    }

    /// Saves what the patient agrees to or not. It takes the patient's own token.
    pub(crate) async fn answer(&self, app: &App, chosen: Vec<Chosen>) -> Result<(), Refusal> {
        let answers = self.named(app, chosen).await?;
        let seen = self.as_patient(app, &answers).await.map_err(refused)?;
        self.keep(app, seen).await
    }

    /// Saves that the patient withdraws. Where the patient's token has ended, ours does: nobody is kept from
    /// withdrawing.
    pub(crate) async fn withdraw(&self, app: &App, study: StudyId, code: String) -> Result<(), Refusal> {
        let answers = self.named(app, vec![(study, code, false)]).await?;
        let seen = match self.as_patient(app, &answers).await {
            Err(PersonError::NoToken) => {
                tracing::info!(patient = %self.patient, "withdraws without a token of JHE's: ours is shown");
                let ours = self.jhe.answer_consents(Who::Daemon, self.jhe_id, &answers, &app.clock).await;
                ours.map_err(PersonError::Jhe)
            }
            done => done,
        };
        match seen {
            Ok(seen) => self.keep(app, seen).await,
            Err(PersonError::Jhe(JheError::Forbidden(why))) => {
                tracing::error!(patient = %self.patient, "a withdrawal is not let through, neither is our own: {why}");
                Err(not_ours_to_stop())
            }
            Err(error) => Err(refused(error)),
        }
    }

    async fn as_patient(&self, app: &App, answers: &[ScopeAnswer]) -> Result<Snapshot, PersonError> {
        let save = |access: SecretString| async move {
            self.jhe.answer_consents(Who::Person(&access), self.jhe_id, answers, &app.clock).await
        };
        patient_tokens::ask(app, &self.jhe, self.patient, save).await
    }

    async fn named(&self, app: &App, chosen: Vec<Chosen>) -> Result<Vec<ScopeAnswer>, Refusal> {
        let name = move |db: &_| {
            let mut answers = Vec::new();
            for (study, code, consented) in chosen {
                let named = jhe_consent::name(db, study, &code)?;
                let jhe_consent::Named { study, system } = named.ok_or_else(|| {
                    StoreError::Refused("This is not asked for by a study of yours any more.".to_owned())
                })?;
                answers.push(ScopeAnswer { study, system, code, consented });
            }
            Ok(answers)
        };
        Ok(app.store.read(name).await?)
    }

    async fn keep(&self, app: &App, seen: Snapshot) -> Result<(), Refusal> {
        let patient = self.patient;
        Ok(app.store.write(move |db| jhe_consent::apply(db, patient, &seen)).await?)
    }
}

fn refused(error: PersonError) -> Refusal {
    match error {
        PersonError::NoToken => Refusal::new(
            StatusCode::UNAUTHORIZED,
            "Please open a link of your study again",
            "To agree to something new, open the link from your study once more; if it is too old, ask the person who \
             sent it for a new one. Nothing was changed. To stop sharing takes no link.",
        )
        .next("/clients/ow/manage", "Your choices"),
        PersonError::Jhe(error) => out_of_reach(&error),
        PersonError::Kept(failure) => failure.into(),
    }
}

/// The patient's token has ended, and ours is of somebody who only looks at JHE.
fn not_ours_to_stop() -> Refusal {
    Refusal::new(
        StatusCode::FORBIDDEN,
        "We need your link for this",
        "We could not stop it for you in this browser. Open the link from your study once more and stop it there, or \
         tell the person in your study that you want to stop. Nothing was changed yet.",
    )
    .next("/clients/ow/manage", "Your choices")
}

/// JHE did not do what it was asked for.
pub(crate) fn out_of_reach(error: &JheError) -> Refusal {
    tracing::warn!("a patient's request to JHE failed: {error}");
    unavailable()
}

fn unavailable() -> Refusal {
    Refusal::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "This does not work at the moment",
        "The service that keeps your choices does not answer as it should. What you chose may not be saved. Please try \
         again in a few minutes; if it stays, tell the person in your study.",
    )
    .next("/clients/ow/manage", "Your choices")
}
