//! Asking JHE as a patient: the tokens that an invitation was exchanged for. They are sealed into the database
//! where a key is configured, and live in memory only where none is.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;

use crate::app::patient_token_locks::Token;
use crate::app::state::App;
use crate::common::failure::Failure;
use crate::jhe::client::Jhe;
use crate::jhe::error::JheError;
use crate::jhe::invitation::PersonGrant;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::people::jhe_token;

/// What JHE says where a person has to sign in anew; anything else may be a passing trouble.
const INVALID_GRANT: &str = "invalid_grant";
/// How long a patient waits for something at JHE that can be done without.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Why JHE could not be asked as the patient, or did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PersonError {
    /// There is no token that JHE accepts: the patient has to open a link of JHE's once more.
    #[error("the patient is not signed in at JHE any more")]
    NoToken,
    /// JHE did not do it.
    #[error(transparent)]
    Jhe(#[from] JheError),
    /// The token could not be read or kept.
    #[error("{0}")]
    Kept(Failure),
}

impl From<StoreError> for PersonError {
    fn from(error: StoreError) -> Self {
        Self::Kept(error.into())
    }
}

/// Asks JHE as a patient. A token that ends soon, or that is no longer accepted, is renewed first.
pub(crate) async fn ask<T, F: Future<Output = Result<T, JheError>> + Send>(
    app: &App,
    jhe: &Jhe,
    patient: PatientId,
    call: impl Fn(SecretString) -> F,
) -> Result<T, PersonError> {
    let token = find(app, patient).await?.ok_or(PersonError::NoToken)?;
    let token = if app.clock.now().micros() < token.renew_at {
        token
    } else {
        renew(app, jhe, patient, &token).await?
    };
    match call(token.access.clone().into()).await {
        Err(JheError::Unauthorized(_)) => {
            let renewed = renew(app, jhe, patient, &token).await?;
            match call(renewed.access.into()).await {
                Err(JheError::Unauthorized(_)) => Err(PersonError::NoToken),
                done => Ok(done?),
            }
        }
        done => Ok(done?),
    }
}

/// Keeps what an invitation was exchanged for.
pub(crate) async fn keep(app: &App, patient: PatientId, grant: &PersonGrant) -> Result<(), PersonError> {
    store(app, patient, Token::new(grant, app.clock.now())).await
}

/// Forgets a patient's tokens, here and, where it answers soon, at JHE.
pub(crate) async fn forget(app: &App, patient: PatientId) -> Result<(), StoreError> {
    if let (Some(jhe), Some(token)) = (app.live.jhe(), find(app, patient).await?) {
        // What renews it takes the other with it.
        let ends = token.refresh.unwrap_or(token.access).into();
        match timeout(PATIENCE, jhe.revoke(&ends, &token.client_id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%patient, "the patient's token lives on at JHE: {error}"),
            Err(_) => {
                tracing::warn!(%patient, "the patient's token lives on at JHE: it did not answer in time");
            }
        }
    }
    drop_token(app, patient).await
}

async fn drop_token(app: &App, patient: PatientId) -> Result<(), StoreError> {
    app.tokens.known.lock().remove(&patient.get());
    app.store.write(move |db| jhe_token::forget(db, patient)).await
}

async fn find(app: &App, patient: PatientId) -> Result<Option<Token>, StoreError> {
    let known = app.tokens.known.lock().get(&patient.get()).cloned();
    let Some(key) = app.live.config().secret_key.filter(|_| known.is_none()) else { return Ok(known) };
    let Some(sealed) = app.store.read(move |db| jhe_token::find(db, patient)).await? else { return Ok(None) };
    let Some(opened) = key.open(&place(patient), &sealed) else {
        tracing::warn!(%patient, "the patient's token at JHE was sealed with another key: a link has to be opened anew");
        return Ok(None);
    };
    Ok(serde_json::from_str(opened.expose_secret()).ok())
}

async fn store(app: &App, patient: PatientId, token: Token) -> Result<(), PersonError> {
    if let Some(key) = app.live.config().secret_key {
        let text = serde_json::to_string(&token).map_err(|error| StoreError::Other(error.to_string()))?;
        let sealed = key.seal(&place(patient), &text).map_err(PersonError::Kept)?;
        app.store.write(move |db| jhe_token::keep(db, patient, &sealed)).await?;
    }
    app.tokens.known.lock().insert(patient.get(), token);
    Ok(())
}

/// What a sealed token is bound to: it does not open as another patient's.
fn place(patient: PatientId) -> String {
    format!("jhe-token of patient {patient}")
}

/// Renews a token that is `stale`, unless somebody else has just done so.
async fn renew(app: &App, jhe: &Jhe, patient: PatientId, stale: &Token) -> Result<Token, PersonError> {
    let lock = app.tokens.lock(patient);
    let _one_at_a_time = lock.lock().await;
    let present = find(app, patient).await?.ok_or(PersonError::NoToken)?;
    if present.access != stale.access {
        return Ok(present);
    }
    let refresh = present.refresh.clone().ok_or(PersonError::NoToken)?;
    match jhe.refresh(&refresh.into(), &present.client_id).await {
        Ok(grant) => {
            let token = Token::new(&grant, app.clock.now());
            store(app, patient, token.clone()).await?;
            Ok(token)
        }
        Err(JheError::NotGranted(why)) if why == INVALID_GRANT => {
            drop_token(app, patient).await?;
            Err(PersonError::NoToken)
        }
        Err(error) => Err(error.into()),
    }
}
