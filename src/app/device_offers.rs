//! Lists the providers that patients can connect, from OW or from the cache.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::app::connect_device::{ConnectError, completion_url, find_standing, is_provider_name};
use crate::app::offer_cache::{Offer, TIMEOUT_WHEN_SLOW};
use crate::app::state::App;
use crate::model::{consent_standing::ConsentStanding, patient::PatientId};
use crate::ow::connector::CallError;

/// The longest time that a page waits for OW's list. A page can then still report that OW hangs.
const OW_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a provider's name for people.
const LONGEST_NAME: usize = 200;
/// The id of an OW user that does not exist. It suffices to find out if OW has a provider's credentials.
const PROBE_USER: &str = "00000000-0000-0000-0000-000000000000";

/// Lists the providers that are enabled at OW and have credentials there.
pub(crate) async fn list(app: &App) -> Result<Vec<Offer>, ConnectError> {
    let now = app.clock.now();
    if let Some(offers) = app.offer_cache.get(now) {
        return Ok(offers);
    }
    let ow = app.live.ow().ok_or(ConnectError::NotConfigured)?;
    let mut providers = ow.list_providers().await?;
    providers.retain(|one| {
        one.is_enabled
            && one.has_cloud_api
            && is_provider_name(&one.provider)
            && one.name.len() <= LONGEST_NAME
    });
    // OW's list does not say which providers have credentials. A provider without credentials gets an
    // authorization URL without a client id.
    let probes = providers.iter().map(|one| {
        let (ow, complete) = (ow.clone(), completion_url(app, &one.provider));
        async move { ow.begin_authorization(&one.provider, PROBE_USER, &complete).await }
    });
    let answers = join_all(probes).await;
    let mut offers = Vec::new();
    for (provider, probe) in providers.into_iter().zip(answers) {
        match probe {
            Ok(begun) if begun.is_configured() => {
                offers.push(Offer { provider, redirect_uri: begun.redirect_uri() });
            }
            // OW cannot authorize this provider, so it is not offered.
            Ok(_) | Err(CallError::Status { .. }) => {}
            Err(error @ CallError::Unreachable(_)) => return Err(error.into()),
        }
    }
    app.offer_cache.set(now, &offers);
    Ok(offers)
}

/// Lists the providers for a page of a patient. One who has withdrawn causes no call to OW: that page shows the last
/// list, if any.
pub(crate) async fn list_for(app: &App, patient: PatientId) -> Result<Vec<Offer>, ConnectError> {
    match find_standing(app, patient).await? {
        ConsentStanding::Active | ConsentStanding::NeverGiven => list(app).await,
        standing => app.offer_cache.latest().ok_or(ConnectError::NoConsent(standing)),
    }
}

/// Lists the providers for a page that shows other things too. If OW does not answer in time, returns the
/// last list, if any, and the request continues in the background.
pub(crate) async fn list_quickly(app: &App) -> Option<Vec<Offer>> {
    let page_timeout = if app.offer_cache.is_slow() { TIMEOUT_WHEN_SLOW } else { OW_TIMEOUT };
    let background = app.clone();
    let request = tokio::spawn(async move {
        let began = Instant::now();
        let offers = timeout(OW_TIMEOUT, list(&background)).await.ok().and_then(Result::ok);
        background.offer_cache.record_request(offers.clone(), began.elapsed());
        offers
    });
    match timeout(page_timeout, request).await {
        Ok(offers) => offers.ok().flatten(),
        Err(_) => app.offer_cache.last(),
    }
}
