//! Calls JHE as a patient, with the OAuth tokens that JHE granted for an invitation code. The database stores
//! them encrypted if `JHE_OW_SECRET_KEY` is configured; otherwise they are in memory only.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use crate::app::{patient_token_cache::PatientToken, state::App};
use crate::common::failure::Failure;
use crate::jhe::{client::Jhe, error::JheError, invitation::PersonTokens};
use crate::model::patient::PatientId;
use crate::secrets::sealing::jhe_token_context;
use crate::store::{error::StoreError, people::jhe_token};

/// The OAuth error for a refresh token that is used up or revoked (RFC 6749, 5.2). Other errors may be
/// temporary.
const INVALID_GRANT: &str = "invalid_grant";
/// The longest time that a page waits for an optional call to JHE.
pub(crate) const JHE_TIMEOUT: Duration = Duration::from_secs(3);

/// An error of a call to JHE as a patient.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PatientCallError {
    /// JHE accepts no token of the patient. The patient has to open an invitation from JHE again.
    #[error("the patient is no longer signed in at JHE")]
    NoToken,
    #[error(transparent)]
    Jhe(#[from] JheError),
    /// The token could not be read or stored.
    #[error("{0}")]
    Storage(Failure),
}

impl From<StoreError> for PatientCallError {
    fn from(error: StoreError) -> Self {
        Self::Storage(error.into())
    }
}

/// Calls JHE as a patient. Refreshes the token first if it expires soon. If JHE refuses the token,
/// refreshes it and calls once more.
pub(crate) async fn call_as_patient<T, F: Future<Output = Result<T, JheError>> + Send>(
    app: &App,
    jhe: &Jhe,
    patient: PatientId,
    call: impl Fn(SecretString) -> F,
) -> Result<T, PatientCallError> {
    let mut token = find(app, patient).await?.ok_or(PatientCallError::NoToken)?;
    if app.clock.now().micros() >= token.refresh_at {
        token = refresh(app, jhe, patient, &token).await?;
    }
    match call(token.access.clone().into()).await {
        Err(JheError::Unauthorized(_)) => {
            let refreshed = refresh(app, jhe, patient, &token).await?;
            match call(refreshed.access.into()).await {
                Err(JheError::Unauthorized(_)) => Err(PatientCallError::NoToken),
                done => Ok(done?),
            }
        }
        done => Ok(done?),
    }
}

/// Saves the tokens that JHE has granted.
pub(crate) async fn save(
    app: &App,
    patient: PatientId,
    granted: &PersonTokens,
) -> Result<(), PatientCallError> {
    store(app, patient, PatientToken::new(granted, app.clock.now())).await
}

/// Deletes a patient's tokens here, and revokes them at JHE if it answers soon.
pub(crate) async fn forget(app: &App, patient: PatientId) -> Result<(), StoreError> {
    if let (Some(jhe), Some(token)) = (app.live.jhe(), find(app, patient).await?) {
        // JHE revokes the access token together with its refresh token.
        let revoked = token.refresh.unwrap_or(token.access).into();
        match timeout(JHE_TIMEOUT, jhe.revoke_token(&revoked, &token.client_id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%patient, "the patient's token could not be revoked at JHE: {error}");
            }
            Err(_) => {
                tracing::warn!(%patient, "the patient's token could not be revoked at JHE: no answer in time");
            }
        }
    }
    delete(app, patient).await
}

async fn delete(app: &App, patient: PatientId) -> Result<(), StoreError> {
    app.patient_tokens.known.lock().remove(&patient.get());
    app.store.write(move |db| jhe_token::delete(db, patient)).await
}

async fn find(app: &App, patient: PatientId) -> Result<Option<PatientToken>, StoreError> {
    let known = app.patient_tokens.known.lock().get(&patient.get()).cloned();
    let Some(key) = app.live.config().secret_key.filter(|_| known.is_none()) else { return Ok(known) };
    let Some(sealed) = app.store.read(move |db| jhe_token::find(db, patient)).await? else { return Ok(None) };
    let Some(opened) = key.open(&jhe_token_context(patient), &sealed) else {
        tracing::warn!(
            %patient,
            "the patient's token was encrypted with another JHE_OW_SECRET_KEY; the patient has to open an \
             invitation again"
        );
        return Ok(None);
    };
    Ok(serde_json::from_str(opened.expose_secret()).ok())
}

async fn store(app: &App, patient: PatientId, token: PatientToken) -> Result<(), PatientCallError> {
    if let Some(key) = app.live.config().secret_key {
        let text = serde_json::to_string(&token).map_err(|error| StoreError::Other(error.to_string()))?;
        let sealed = key.seal(&jhe_token_context(patient), &text).map_err(PatientCallError::Storage)?;
        app.store.write(move |db| jhe_token::save(db, patient, &sealed)).await?;
    }
    app.patient_tokens.known.lock().insert(patient.get(), token);
    Ok(())
}

/// Refreshes a token, unless another task has refreshed it since the caller read `stale`.
async fn refresh(
    app: &App,
    jhe: &Jhe,
    patient: PatientId,
    stale: &PatientToken,
) -> Result<PatientToken, PatientCallError> {
    let lock = app.patient_tokens.refresh_lock(patient);
    let _guard = lock.lock().await;
    let present = find(app, patient).await?.ok_or(PatientCallError::NoToken)?;
    if present.access != stale.access {
        return Ok(present);
    }
    let refresh_token = present.refresh.clone().ok_or(PatientCallError::NoToken)?;
    match jhe.refresh_tokens(&refresh_token.into(), &present.client_id).await {
        Ok(granted) => {
            let token = PatientToken::new(&granted, app.clock.now());
            store(app, patient, token.clone()).await?;
            Ok(token)
        }
        Err(JheError::NotGranted(why)) if why == INVALID_GRANT => {
            delete(app, patient).await?;
            Err(PatientCallError::NoToken)
        }
        Err(error) => Err(error.into()),
    }
}
