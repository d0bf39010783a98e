//! Connecting a patient's device through OW: what the patients' pages and the API have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::time::timeout;

use crate::app::device_offers::{NO_PATIENCE, Offer};
use crate::app::patient_tokens;
use crate::app::patient_tokens::PersonError;
use crate::app::state::App;
use crate::jhe::ow_user::Made;
use crate::model::account::Actor;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::ow::connection::Connection;
use crate::ow::connector::{Authorize, CallError};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreError;
use crate::store::people::device_connection::Authorization;
use crate::store::people::patient::Relink;
use crate::store::people::{consent, device_connection, patient};
use crate::store::privacy::audit;

/// As long as OW remembers a state.
const AUTHORIZATION_AGE: Duration = Duration::from_mins(15);
/// How long a page waits for OW's list of providers: one that hangs keeps nobody from seeing that it does.
const OW_PATIENCE: Duration = Duration::from_secs(2);
/// A user for whom OW is asked only to see whether it has a provider's credentials.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// Why a step on the way to a connection could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// OW's address or key is missing.
    #[error("OW integration not configured")]
    NotConfigured,
    /// The patient has no OW user yet.
    #[error("User does not have an OW user_id")]
    NoUser,
    /// The patient agrees to nothing any more.
    #[error("The patient has withdrawn")]
    Withdrawn,
    /// OW did not do it.
    #[error(transparent)]
    Ow(#[from] CallError),
    /// The store did not.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where browsers end up after the provider: the page that says how it went.
pub(crate) fn complete_url(app: &App, provider: &str) -> String {
    format!("{}/clients/ow/complete?provider={provider}", app.live.config().public_base())
}

/// Whether `provider` can stand in a path: OW's names are lower-case words.
pub(crate) fn is_provider_name(provider: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    !provider.is_empty() && provider.len() <= 32 && provider.bytes().all(plain)
}

/// The patient's OW user: the linked one, else found or made at OW and linked.
pub(crate) async fn ensure_user(app: &App, id: PatientId, who: Actor) -> Result<OwUser, ConnectError> {
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    let read = move |db: &_| Ok((patient::find(db, PatientRef::Own(id))?, patient::external_id(db, id)?));
    let (patient, external_id) = app.store.read(read).await?;
    let linked = patient.link.filter(|link| !link.needs_relink).map(|link| link.ow_user);
    let through_jhe = if patient.jhe_id.is_some() && patient::is_known_by_jhes_number(&external_id) {
        through_jhe(app, id).await
    } else {
        None
    };
    match (linked, &through_jhe) {
        (Some(linked), Some(named)) if linked != *named => {
            tracing::error!(patient = %id, "JHE's user names {named}, and the patient is linked to {linked}");
            return Ok(linked);
        }
        (Some(linked), _) => return Ok(linked),
        (None, _) => {}
    }
    let user = match through_jhe {
        Some(user) if ow.knows(&user).await? => user,
        Some(gone) => {
            tracing::error!(patient = %id, "JHE's user names {gone}, which OW does not know any more: another is made");
            ow.find_or_create_user(&external_id).await?
        }
        None => ow.find_or_create_user(&external_id).await?,
    };
    let (linked, now) = (user.clone(), app.clock.now());
    let link = move |db: &_| {
        // It is the patient who reconnects: the same person, whatever OW calls them now.
        let patient = patient::find(db, PatientRef::Own(id))?;
        if patient::link(db, &patient, &linked, Relink::SamePerson, now)? {
            audit::record(db, now, who, "patient.link", Some(id), &linked.to_string())?;
        }
        Ok(())
    };
    app.store.write(link).await?;
    Ok(user)
}

/// Has JHE find or make the OW user, so that JHE's user names it; none where JHE has no OW of its own, or cannot.
/// OW finds the same user by JHE's number, whichever way it is asked.
async fn through_jhe(app: &App, id: PatientId) -> Option<OwUser> {
    let jhe = app.live.jhe()?;
    let make = |access: SecretString| {
        let jhe = Arc::clone(&jhe);
        async move { jhe.make_ow_user(&access).await }
    };
    match timeout(patient_tokens::PATIENCE, patient_tokens::ask(app, &jhe, id, make)).await {
        Ok(Ok(Made::User(user))) => return Some(user),
        Ok(Ok(Made::NotConfigured) | Err(PersonError::NoToken)) => {}
        Ok(Err(error)) => tracing::warn!(patient = %id, "JHE's user will not name the OW user: {error}"),
        Err(_) => {
            tracing::warn!(patient = %id, "JHE's user will not name the OW user: JHE did not answer in time");
        }
    }
    None
}

/// The patient's OW user, where there is one.
pub(crate) async fn linked_user(app: &App, id: PatientId) -> Result<OwUser, ConnectError> {
    let patient = app.store.read(move |db| patient::find(db, PatientRef::Own(id))).await?;
    patient.link.map(|link| link.ow_user).ok_or(ConnectError::NoUser)
}

/// Begins an authorization at a provider. It ends in the browser with this session, or in any where an API
/// client began it.
pub(crate) async fn authorize(
    app: &App,
    id: PatientId,
    provider: &str,
    session: Option<TokenHash>,
    who: Actor,
) -> Result<Authorize, ConnectError> {
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    let user = linked_user(app, id).await?;
    if app.store.read(move |db| consent::is_withdrawn(db, id)).await? {
        return Err(ConnectError::Withdrawn);
    }
    let begun = ow.authorize(provider, user.as_str(), &complete_url(app, provider)).await?;
    if !begun.is_configured() {
        let detail = format!("Provider '{provider}' has no credentials at OW");
        return Err(CallError::Answered { status: 400, detail }.into());
    }
    let (state, now) = (TokenHash::of(begun.state.as_bytes()), app.clock.now());
    let expires = now.plus(AUTHORIZATION_AGE);
    let authorization = Authorization { patient: id, provider: provider.to_owned(), session, expires };
    let note = move |db: &_| {
        device_connection::begin(db, state, &authorization, now)?;
        audit::record(db, now, who, "device.authorize", Some(id), &authorization.provider)
    };
    app.store.write(note).await?;
    Ok(begun)
}

/// The patient's active connections, as OW lists them now; what is found is noted.
pub(crate) async fn active(app: &App, id: PatientId) -> Result<Vec<Connection>, ConnectError> {
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    let user = linked_user(app, id).await?;
    let mut connections = ow.connections(&user).await?;
    connections.retain(Connection::is_active);
    let providers: Vec<String> = connections.iter().map(|one| one.provider.clone()).collect();
    let now = app.clock.now();
    app.store.write(move |db| device_connection::note_active(db, id, &providers, now)).await?;
    Ok(connections)
}

/// Ends what patients wanted ended while OW could not be told. What still cannot be stays for the next time.
pub(crate) async fn finish(app: &App) {
    let waiting = match app.store.read(device_connection::ending).await {
        Ok(waiting) => waiting,
        Err(error) => return tracing::warn!("devices that are to be ended could not be read: {error}"),
    };
    for patient in waiting {
        match disconnect(app, patient, Actor::Patient(patient)).await {
            Ok(()) => tracing::info!(%patient, "its device is disconnected, as it was asked for"),
            Err(error) => tracing::warn!(%patient, "its device could not be disconnected: {error}"),
        }
    }
}

/// Ends every active connection of a patient at OW, and authorizations under way.
pub(crate) async fn disconnect(app: &App, id: PatientId, who: Actor) -> Result<(), ConnectError> {
    let now = app.clock.now();
    app.store.write(move |db| device_connection::end_all(db, id, now)).await?;
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    let user = linked_user(app, id).await?;
    for connection in active(app, id).await? {
        ow.disconnect(&user, &connection.provider).await?;
        let now = app.clock.now();
        let end = move |db: &_| {
            device_connection::note(db, id, &connection.provider, device_connection::State::Ended, now)?;
            audit::record(db, now, who, "device.disconnect", Some(id), &connection.provider)
        };
        app.store.write(end).await?;
    }
    Ok(())
}

/// The providers that OW has switched on and has credentials for.
pub(crate) async fn offers(app: &App) -> Result<Vec<Offer>, ConnectError> {
    let now = app.clock.now();
    if let Some(offers) = app.offers.get(now) {
        return Ok(offers);
    }
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    let mut providers = ow.providers().await?;
    providers.retain(|one| one.is_enabled && one.has_cloud_api && is_provider_name(&one.provider));
    let probes = providers.iter().map(|one| {
        let (ow, complete) = (ow.clone(), complete_url(app, &one.provider));
        async move { ow.authorize(&one.provider, NOBODY, &complete).await }
    });
    let answers = join_all(probes).await;
    let mut offers = Vec::new();
    for (provider, probe) in providers.into_iter().zip(answers) {
        match probe {
            Ok(begun) if begun.is_configured() => {
                offers.push(Offer { provider, redirect_uri: begun.redirect_uri() });
            }
            // One that OW cannot authorize is one that is not offered.
            Ok(_) | Err(CallError::Answered { .. }) => {}
            Err(error @ CallError::Unreachable(_)) => return Err(error.into()),
        }
    }
    app.offers.set(now, &offers);
    Ok(offers)
}

/// The offers for a page that tells of much else: where OW was slow just now, the page does not wait for it but shows
/// what was seen last, while OW is asked. None where nothing was.
pub(crate) async fn offers_soon(app: &App) -> Option<Vec<Offer>> {
    let patience = if app.offers.is_slow() { NO_PATIENCE } else { OW_PATIENCE };
    let asking = app.clone();
    let ask = tokio::spawn(async move {
        let began = Instant::now();
        let offers = timeout(OW_PATIENCE, offers(&asking)).await.ok().and_then(Result::ok);
        asking.offers.note(offers.clone(), began.elapsed());
        offers
    });
    match timeout(patience, ask).await {
        Ok(asked) => asked.ok().flatten(),
        Err(_) => app.offers.last(),
    }
}
