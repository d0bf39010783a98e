//! Consents of a patient of JHE. JHE decides about them, so an answer is saved there first.

use std::sync::Arc;

use http::StatusCode;
use secrecy::SecretString;

use crate::app::patient_tokens::{self, PatientCallError};
use crate::app::state::App;
use crate::i18n::phrase::Phrase;
use crate::jhe::client::{Caller, Jhe};
use crate::jhe::{consents::ScopeAnswer, error::JheError};
use crate::model::patient::{PatientId, PatientRef};
use crate::model::{consent_reconciliation::JheConsentSnapshot, study::StudyId};
use crate::store::people::{jhe_consent, patient};
use crate::web::{patient_access::SignedInPatient, response::Refusal};

/// A patient of JHE, with the client to reach it.
pub(crate) struct JhePatientConsents {
    jhe: Arc<Jhe>,
    patient: PatientId,
    jhe_id: i64,
}

/// Study, code, and true for a consent.
pub(crate) type ConsentAnswer = (StudyId, String, bool);

impl JhePatientConsents {
    /// Returns None for a patient of a local study.
    pub(crate) async fn find(app: &App, patient: &SignedInPatient) -> Result<Option<Self>, Refusal> {
        let id = patient.id();
        let found = app.store.read(move |db| patient::find(db, PatientRef::Own(id))).await?;
        let Some(jhe_id) = found.jhe_id else { return Ok(None) };
        let jhe = app.live.jhe().ok_or_else(|| {
            tracing::error!(patient = %id, "is JHE's, and JHE_BASE_URL is not set: nothing can be chosen");
            unavailable()
        })?;
        Ok(Some(Self { jhe, patient: id, jhe_id }))
    }

    /// Copies the consents that JHE has now.
    pub(crate) async fn refresh(&self, app: &App) -> Result<(), Refusal> {
        let read = |access: SecretString| async move {
            self.jhe.fetch_consents(Caller::Person(&access), self.jhe_id, &app.clock).await
        };
        let snapshot = patient_tokens::call_as_patient(app, &self.jhe, self.patient, read).await;
        self.apply(app, snapshot.map_err(refused)?).await
    }

    /// Saves answers at JHE with the patient's own token.
    pub(crate) async fn save(&self, app: &App, chosen: Vec<ConsentAnswer>) -> Result<(), Refusal> {
        let answers = self.resolve_scopes(app, chosen).await?;
        let snapshot = self.save_as_patient(app, &answers).await.map_err(refused)?;
        self.apply(app, snapshot).await
    }

    /// Withdraws a consent at JHE. Without a valid token of the patient it uses the daemon's: nobody is kept
    /// from withdrawing.
    pub(crate) async fn withdraw(&self, app: &App, study: StudyId, code: String) -> Result<(), Refusal> {
        let answers = self.resolve_scopes(app, vec![(study, code, false)]).await?;
        let snapshot = match self.save_as_patient(app, &answers).await {
            Err(PatientCallError::NoToken) => {
                tracing::info!(patient = %self.patient, "withdraws without a token of JHE; the daemon's is \
                                                         used");
                let saved = self.jhe.save_consents(Caller::Daemon, self.jhe_id, &answers, &app.clock).await;
                saved.map_err(PatientCallError::Jhe)
            }
            saved => saved,
        };
        match snapshot {
            Ok(snapshot) => self.apply(app, snapshot).await,
            Err(PatientCallError::Jhe(JheError::Forbidden(reason))) => {
                tracing::error!(patient = %self.patient, "JHE refuses a withdrawal, also with the daemon's \
                                                          token: {reason}");
                Err(patient_token_needed())
            }
            Err(error) => Err(refused(error)),
        }
    }

    async fn save_as_patient(
        &self,
        app: &App,
        answers: &[ScopeAnswer],
    ) -> Result<JheConsentSnapshot, PatientCallError> {
        let save = |access: SecretString| async move {
            self.jhe.save_consents(Caller::Person(&access), self.jhe_id, answers, &app.clock).await
        };
        patient_tokens::call_as_patient(app, &self.jhe, self.patient, save).await
    }

    async fn resolve_scopes(
        &self,
        app: &App,
        chosen: Vec<ConsentAnswer>,
    ) -> Result<Vec<ScopeAnswer>, Refusal> {
        let name = move |db: &_| {
            let mut answers = Vec::new();
            for (study, code, consented) in chosen {
                let Some(scope) = jhe_consent::find_scope_at_jhe(db, study, &code)? else { return Ok(None) };
                let jhe_consent::ScopeAtJhe { study, system } = scope;
                answers.push(ScopeAnswer { study, system, code, consented });
            }
            Ok(Some(answers))
        };
        let answers = app.store.read(name).await?;
        answers.ok_or_else(|| Refusal::bad(Phrase::key("not-asked")).link_to_choices())
    }

    async fn apply(&self, app: &App, snapshot: JheConsentSnapshot) -> Result<(), Refusal> {
        let patient = self.patient;
        Ok(app.store.write(move |db| jhe_consent::apply(db, patient, &snapshot)).await?)
    }
}

fn refused(error: PatientCallError) -> Refusal {
    match error {
        PatientCallError::NoToken => {
            Refusal::of_key(StatusCode::UNAUTHORIZED, "open-link-again", "open-link-again-text")
                .link_to_choices()
        }
        PatientCallError::Jhe(error) => jhe_unavailable(&error),
        PatientCallError::Storage(failure) => failure.into(),
    }
}

/// The patient's token has expired, and the daemon's account may only read at JHE.
fn patient_token_needed() -> Refusal {
    Refusal::of_key(StatusCode::FORBIDDEN, "link-needed", "link-needed-text").link_to_choices()
}

pub(crate) fn jhe_unavailable(error: &JheError) -> Refusal {
    tracing::warn!("a patient's request to JHE failed: {error}");
    unavailable()
}

fn unavailable() -> Refusal {
    Refusal::of_key(StatusCode::SERVICE_UNAVAILABLE, "error-not-now", "choices-unavailable-text")
        .link_to_choices()
}
