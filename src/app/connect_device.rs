//! Connects a patient's device through OW, for the patients' pages and the API.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;

use crate::app::open_authorizations::AuthorizationKey;
use crate::app::patient_tokens::{self, PatientCallError};
use crate::app::repeated_events::AuditEvent;
use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::consent::refresh;
use crate::jhe::ow_user::OwUserOutcome;
use crate::model::account::Actor;
use crate::model::audit_detail::AuditDetail;
use crate::model::consent_standing::ConsentStanding;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::model::study::StudyId;
use crate::ow::connection::ProviderConnection;
use crate::ow::connector::{CallError, ProviderAuthorization};
use crate::secrets::token::TokenHash;
use crate::store::people::device_connection::{self, Authorization, ConnectionState, DeviceConnection};
use crate::store::people::patient::{self, Relink};
use crate::store::people::{collection_window, consent};
use crate::store::{error::StoreError, privacy::audit};

/// OW forgets the OAuth state of an authorization after this time.
const AUTHORIZATION_LIFETIME: Duration = Duration::from_mins(15);

/// An error of a call that connects, lists or disconnects devices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("OW integration not configured")]
    NotConfigured,
    #[error("User does not have an OW user_id")]
    NoUser,
    #[error("The patient {}; nothing can be connected before the patient agrees", .0.describe())]
    NoConsent(ConsentStanding),
    /// JHE, which has the patient's consents, does not answer.
    #[error("The patient's consents at JHE cannot be read at the moment; try again")]
    ConsentUnknown,
    #[error("OW's answer is wrong: {0}")]
    BadAnswer(&'static str),
    #[error(transparent)]
    Ow(#[from] CallError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns the URL of the page that shows the result after the browser returns from the provider.
pub(crate) fn completion_url(app: &App, provider: &str) -> String {
    format!("{}/clients/ow/complete?provider={provider}", app.live.config().public_base())
}

/// Checks that a provider's name is safe in a URL path. OW's names are lower-case words.
pub(crate) fn is_provider_name(provider: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    !provider.is_empty() && provider.len() <= 32 && provider.bytes().all(plain)
}

/// Refreshes the consents of a patient of JHE. Returns whether they are current.
pub(crate) async fn refresh_consents(app: &App, id: PatientId) -> bool {
    let Some(jhe) = app.live.jhe() else { return true };
    let only = BTreeSet::from([id]);
    match timeout(patient_tokens::JHE_TIMEOUT, refresh::refresh(&jhe, &app.store, &app.clock, Some(&only)))
        .await
    {
        Ok(Ok(unread)) => unread.is_empty(),
        Ok(Err(error)) => {
            tracing::warn!(patient = %id, "the consents could not be refreshed: {error}");
            false
        }
        Err(_) => false,
    }
}

pub(crate) async fn find_standing(app: &App, id: PatientId) -> Result<ConsentStanding, StoreError> {
    let now = app.clock.now();
    app.store.read(move |db| consent::find_standing(db, id, now)).await
}

/// Fails without an active consent of the patient.
pub(crate) async fn require_consent(app: &App, id: PatientId) -> Result<(), ConnectError> {
    if !refresh_consents(app, id).await {
        return Err(ConnectError::ConsentUnknown);
    }
    match find_standing(app, id).await? {
        ConsentStanding::Active => Ok(()),
        standing => Err(ConnectError::NoConsent(standing)),
    }
}

/// Returns the patient's OW user. If the patient has none, finds or creates the user at OW and links it.
pub(crate) async fn ensure_ow_user(app: &App, id: PatientId, who: Actor) -> Result<OwUser, ConnectError> {
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    require_consent(app, id).await?;
    let read =
        move |db: &_| Ok((patient::find(db, PatientRef::Own(id))?, patient::find_external_id(db, id)?));
    let (patient, external_id) = app.store.read(read).await?;
    let linked = patient.link.filter(|link| !link.needs_relink).map(|link| link.ow_user);
    let through_jhe = if patient.jhe_id.is_some() && patient::is_jhe_user_id(&external_id) {
        create_through_jhe(app, id).await
    } else {
        None
    };
    if let Some(linked) = linked {
        if let Some(named) = through_jhe.filter(|named| *named != linked) {
            tracing::error!(patient = %id, "JHE assigns OW user {named}, but the link is to {linked}");
        }
        return Ok(linked);
    }
    let user = match through_jhe {
        Some(user) if ow.has_user(&user).await? => user,
        gone => {
            if let Some(gone) = gone {
                tracing::error!(patient = %id, "JHE assigns OW user {gone}, which no longer exists at OW");
            }
            ow.find_or_create_user(&external_id).await?
        }
    };
    let (linked, now) = (user.clone(), app.clock.now());
    let link = move |db: &_| {
        // The patient reconnects, so an earlier OW user was the same person.
        let patient = patient::find(db, PatientRef::Own(id))?;
        if patient::link(db, &patient, &linked, Relink::SamePerson, now)? {
            audit::record(db, now, who, "patient.link", Some(id), AuditDetail::default().with(linked))?;
        }
        Ok(())
    };
    app.store.write(link).await?;
    Ok(user)
}

/// Has JHE find or create the OW user, so that JHE stores its id. Returns none if JHE has no connection
/// to OW or the call fails. A failure is harmless: the caller then finds the same OW user by its JHE user id.
async fn create_through_jhe(app: &App, id: PatientId) -> Option<OwUser> {
    let jhe = app.live.jhe()?;
    let create = |access: SecretString| {
        let jhe = Arc::clone(&jhe);
        async move { jhe.create_ow_user(&access).await }
    };
    match timeout(patient_tokens::JHE_TIMEOUT, patient_tokens::call_as_patient(app, &jhe, id, create)).await {
        Ok(Ok(OwUserOutcome::User(user))) => return Some(user),
        Ok(Ok(OwUserOutcome::NotConfigured) | Err(PatientCallError::NoToken)) => {}
        Ok(Err(error)) => tracing::warn!(patient = %id, "JHE did not store the patient's OW user: {error}"),
        Err(_) => tracing::warn!(patient = %id, "JHE did not store the patient's OW user: no answer in time"),
    }
    None
}

pub(crate) async fn find_linked_user(app: &App, id: PatientId) -> Result<OwUser, ConnectError> {
    let patient = app.store.read(move |db| patient::find(db, PatientRef::Own(id))).await?;
    patient.link.map(|link| link.ow_user).ok_or(ConnectError::NoUser)
}

/// Starts an OAuth authorization at a provider, or goes on with the one that the same browser has just started. The
/// callback must carry the cookie of `session`. API clients have no session: any browser may finish their
/// authorization.
pub(crate) async fn authorize(
    app: &App,
    id: PatientId,
    provider: &str,
    session: Option<TokenHash>,
    who: Actor,
) -> Result<ProviderAuthorization, ConnectError> {
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    require_consent(app, id).await?;
    let user = find_linked_user(app, id).await?;
    let (key, now) = ((user.clone(), provider.to_owned(), session), app.clock.now());
    let begun = if let Some(open) = find_open(app, id, &key, now).await? {
        open
    } else {
        let begun = ow.begin_authorization(provider, user.as_str(), &completion_url(app, provider)).await?;
        if !begun.is_configured() {
            let detail = format!("Provider '{provider}' has no credentials at OW");
            return Err(CallError::Status { status: 400, detail }.into());
        }
        check_page(app, provider, &begun)?;
        let state = TokenHash::of(begun.state.as_bytes());
        let expires = now.plus(AUTHORIZATION_LIFETIME);
        let authorization = Authorization { patient: id, provider: provider.to_owned(), session, expires };
        let insert = move |db: &_| device_connection::insert_authorization(db, state, &authorization, now);
        app.store.write(insert).await?;
        app.open_authorizations.insert(key, begun.clone(), now);
        begun
    };
    let detail = AuditDetail::default().with_provider(provider);
    let event = AuditEvent { actor: who, action: "device.authorize", patient: Some(id), detail };
    app.repeated_events.record(&app.store, event, now).await?;
    Ok(begun)
}

/// Checks that a browser may be sent to the page that OW names, and comes back to us or to OW's own address.
fn check_page(app: &App, provider: &str, begun: &ProviderAuthorization) -> Result<(), ConnectError> {
    let back = begun.check_page().map_err(ConnectError::BadAnswer)?;
    let ours = format!("{}/api/v1/oauth/{provider}/callback", app.live.config().public_base());
    let listed = app.offer_cache.find_redirect(provider, app.clock.now());
    if back.is_some_and(|uri| uri != ours && listed.is_some_and(|listed| uri != listed)) {
        return Err(ConnectError::BadAnswer("it sends the browser back to an address that is not OW's"));
    }
    Ok(())
}

/// Returns the authorization that was started a moment ago, unless it was used or cancelled since.
async fn find_open(
    app: &App,
    id: PatientId,
    key: &AuthorizationKey,
    now: Timestamp,
) -> Result<Option<ProviderAuthorization>, StoreError> {
    let Some(open) = app.open_authorizations.find(key, now) else { return Ok(None) };
    let state = TokenHash::of(open.state.as_bytes());
    let stored = app.store.read(move |db| device_connection::find_authorization(db, state, now)).await?;
    Ok(stored.filter(|stored| stored.patient == id).map(|_| open))
}

/// Fetches the patient's active connections from OW, and stores them.
pub(crate) async fn refresh_active(
    app: &App,
    id: PatientId,
) -> Result<Vec<ProviderConnection>, ConnectError> {
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    let user = find_linked_user(app, id).await?;
    let mut connections = ow.list_connections(&user).await?;
    connections.retain(ProviderConnection::is_active);
    let providers: Vec<String> = connections.iter().map(|one| one.provider.clone()).collect();
    let now = app.clock.now();
    app.store.write(move |db| device_connection::record_active(db, id, &providers, now)).await?;
    Ok(connections)
}

/// Completes the parts whose collection window is over, and disconnects patients whom no other study needs. A patient
/// who cannot be disconnected is tried again at the next call.
pub(crate) async fn complete_parts(app: &App) {
    let now = app.clock.now();
    let due = match app.store.read(move |db| collection_window::list_to_complete(db, now)).await {
        Ok(due) => due,
        Err(error) => return tracing::warn!("the parts in studies that are over could not be read: {error}"),
    };
    for (patient, study) in due {
        match complete_part(app, patient, study).await {
            Ok(()) => tracing::info!(%patient, %study, "the patient has completed the study"),
            Err(error) => {
                tracing::warn!(%patient, %study, "the patient's devices could not be disconnected: {error}");
            }
        }
    }
}

async fn complete_part(app: &App, patient: PatientId, study: StudyId) -> Result<(), ConnectError> {
    if find_standing(app, patient).await? == ConsentStanding::Completed {
        match disconnect(app, patient, Actor::Daemon).await {
            // Nothing was ever connected, or OW has no such user any more.
            Ok(()) | Err(ConnectError::NoUser | ConnectError::Ow(CallError::Status { status: 404, .. })) => {}
            Err(error) => return Err(error),
        }
    }
    let now = app.clock.now();
    let complete = move |db: &_| {
        if collection_window::complete(db, patient, study, now)? {
            let detail = AuditDetail::from("study").with(study);
            audit::record(db, now, Actor::Daemon, "study.complete", Some(patient), detail)?;
        }
        Ok(())
    };
    Ok(app.store.write(complete).await?)
}

/// Retries the disconnections that failed earlier. Those that fail again wait for the next call.
pub(crate) async fn retry_disconnects(app: &App) {
    let waiting = match app.store.read(device_connection::list_patients_to_disconnect).await {
        Ok(waiting) => waiting,
        Err(error) => return tracing::warn!("the list of patients to disconnect could not be read: {error}"),
    };
    for patient in waiting {
        // The daemon has begun those of completed patients, and all others the patients themselves.
        let who = match find_standing(app, patient).await {
            Ok(ConsentStanding::Completed) => Actor::Daemon,
            _ => Actor::Patient(patient),
        };
        match disconnect(app, patient, who).await {
            Ok(()) => tracing::info!(%patient, "the patient's devices are disconnected"),
            Err(error) => {
                tracing::warn!(%patient, "the patient's devices could not be disconnected: {error}");
            }
        }
    }
}

/// Returns the patient's devices as last seen at OW, without calling it.
pub(crate) async fn list_known_devices(
    app: &App,
    id: PatientId,
) -> Result<Vec<DeviceConnection>, StoreError> {
    let mut devices = app.store.read(move |db| device_connection::list(db, id)).await?;
    devices.retain(|one| matches!(one.state, ConnectionState::Active | ConnectionState::Ending));
    Ok(devices)
}

/// Disconnects the device that was just connected of a patient who has withdrawn meanwhile, as a withdrawal does. Returns
/// the word for the page, or none if a consent is active.
pub(crate) async fn disconnect_without_consent(
    app: &App,
    id: PatientId,
    provider: &str,
) -> Result<Option<&'static str>, StoreError> {
    if find_standing(app, id).await?.is_active() {
        return Ok(None);
    }
    let (provider, now) = (provider.to_owned(), app.clock.now());
    // An active connection is one that `disconnect` retries.
    let record = move |db: &_| device_connection::record(db, id, &provider, ConnectionState::Active, now);
    app.store.write(record).await?;
    match disconnect(app, id, Actor::Patient(id)).await {
        Ok(()) => Ok(Some("withdrawn")),
        Err(error) => {
            tracing::warn!(patient = %id, "its device could not be disconnected: {error}");
            Ok(Some("still-connected"))
        }
    }
}

/// Ends a patient's active connections at OW, and cancels authorizations in progress.
pub(crate) async fn disconnect(app: &App, id: PatientId, who: Actor) -> Result<(), ConnectError> {
    let now = app.clock.now();
    // Mark the devices before calling OW: if OW does not answer, `retry_disconnects` tries again.
    app.store.write(move |db| device_connection::end_all(db, id, now)).await?;
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    let user = find_linked_user(app, id).await?;
    for connection in refresh_active(app, id).await? {
        ow.disconnect(&user, &connection.provider).await?;
        let now = app.clock.now();
        let end = move |db: &_| {
            device_connection::record(db, id, &connection.provider, ConnectionState::Ended, now)?;
            audit::record(
                db,
                now,
                who,
                "device.disconnect",
                Some(id),
                AuditDetail::default().with_provider(&connection.provider),
            )
        };
        app.store.write(end).await?;
    }
    Ok(())
}
