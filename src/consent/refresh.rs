//! Refreshes consents from JHE. The daemon polls and exports only patients whose consents JHE has confirmed
//! within the last minute.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;

use crate::common::clock::Clock;
use crate::jhe::client::{Caller, Jhe};
use crate::jhe::error::JheError;
use crate::model::patient::PatientId;
use crate::store::people::jhe_consent::{self, MirroredPatient};
use crate::store::{engine::store::Store, error::StoreError};

/// Consents younger than this are not fetched again.
const FRESH: Duration = Duration::from_mins(1);
/// Interval of refreshes for patients without a link: as long as a practitioner's session lasts.
const UNLINKED_EVERY: Duration = Duration::from_hours(1);
/// Concurrent refreshes: twice JHE's default number of workers, which keeps all of them busy.
const CONCURRENCY: usize = 4;

/// A patient whose consents could not be read, and why.
pub type FailedRefresh = (PatientId, JheError);

/// Refreshes JHE's patients without a link. No tick refreshes them, but the staff who may see them can
/// change.
pub(crate) async fn refresh_unlinked(jhe: &Jhe, store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let before = clock.now().minus(UNLINKED_EVERY);
    let stale = store.read(move |db| jhe_consent::list_unlinked(db, before)).await?;
    refresh(jhe, store, clock, Some(&stale)).await.map(drop)
}

/// Lists JHE's linked patients, or JHE's patients among `only`.
pub(crate) async fn list_jhe_patients(
    store: &Store,
    only: Option<&BTreeSet<PatientId>>,
) -> Result<Vec<MirroredPatient>, StoreError> {
    match only.cloned() {
        None => store.read(|db| jhe_consent::list_linked(db, None)).await,
        Some(only) => store.read(move |db| jhe_consent::list_among(db, &only)).await,
    }
}

/// Refreshes the outdated consents of JHE's linked patients, or of the patients in `only`, linked or not.
/// Returns the patients whose refresh failed; the caller must neither poll nor export them.
pub(crate) async fn refresh(
    jhe: &Jhe,
    store: &Store,
    clock: &Clock,
    only: Option<&BTreeSet<PatientId>>,
) -> Result<Vec<FailedRefresh>, StoreError> {
    let now = clock.now();
    let mut stale = list_jhe_patients(store, only).await?;
    // A time in the future comes from a clock that ran ahead; such consents are refreshed too.
    stale.retain(|one| one.refreshed.is_none_or(|at| at > now || now.since(at) >= FRESH));
    let mut refreshes = futures_util::stream::iter(stale)
        .map(|one| async move { (one.patient, refresh_one(jhe, store, clock, one).await) })
        .buffer_unordered(CONCURRENCY);
    let mut failed = Vec::new();
    while let Some((patient, result)) = refreshes.next().await {
        if let Err(error) = result? {
            failed.push((patient, error));
        }
    }
    Ok(failed)
}

async fn refresh_one(
    jhe: &Jhe,
    store: &Store,
    clock: &Clock,
    one: MirroredPatient,
) -> Result<Result<(), JheError>, StoreError> {
    match jhe.fetch_consents(Caller::Daemon, one.jhe_id, clock).await {
        Ok(consents) => {
            store.write(move |db| jhe_consent::apply(db, one.patient, &consents)).await?;
            Ok(Ok(()))
        }
        Err(error) => {
            if let JheError::Forbidden(_) | JheError::NotFound(_) = error {
                // The daemon's client shares no organization with the patient any more, so no practitioner
                // may see the patient here.
                store.write(move |db| jhe_consent::clear_organizations(db, one.patient)).await?;
            }
            Ok(Err(error))
        }
    }
}
