//! Keeps what JHE says about consent fresh: nobody is read, and nothing is sent, on an old answer.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt;

use crate::common::clock::Clock;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::model::patient::PatientId;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::people::jhe_consent;
use crate::store::people::jhe_consent::Mirrored;

/// An answer of JHE's that is younger than this counts.
pub const FRESH: Duration = Duration::from_mins(1);
/// How often patients without a link are asked about: as long as a practitioner's session lasts.
const UNLINKED_EVERY: Duration = Duration::from_hours(1);
/// Patients who are asked about at the same time: as many as JHE's shipped workers, and as many to wait for them.
const AT_ONCE: usize = 4;

/// A patient whose consents could not be read, and why.
pub type Unread = (PatientId, JheError);

/// Reads those of JHE's patients whom no tick asks about, as they are not linked, where they are not fresh at all: who
/// may see them changes all the same. That some could not be read is no trouble of a tick's.
///
/// # Errors
/// Where the store cannot be read or written.
pub async fn refresh_unlinked(jhe: &Jhe, store: &Store, clock: &Clock) -> Result<(), StoreError> {
    let before = clock.now().minus(UNLINKED_EVERY);
    let stale = store.read(move |db| jhe_consent::unlinked(db, before)).await?;
    refresh(jhe, store, clock, Some(&stale)).await.map(drop)
}

/// JHE's linked patients; or those among `only`, where it is given.
///
/// # Errors
/// Where the store cannot be read.
pub async fn of_jhe(store: &Store, only: Option<&BTreeSet<PatientId>>) -> Result<Vec<PatientId>, StoreError> {
    Ok(mirrored(store, only).await?.into_iter().map(|one| one.patient).collect())
}

async fn mirrored(store: &Store, only: Option<&BTreeSet<PatientId>>) -> Result<Vec<Mirrored>, StoreError> {
    match only.cloned() {
        None => store.read(|db| jhe_consent::linked(db, None)).await,
        Some(only) => store.read(move |db| jhe_consent::among(db, &only)).await,
    }
}

/// Reads the consents of JHE's linked patients anew where they are not fresh; or those of the patients in `only`,
/// linked or not, where it is given. Answers whose could not be read: they are not to be ingested, nor anything of theirs sent.
///
/// # Errors
/// Where the store cannot be read or written.
pub async fn refresh(
    jhe: &Jhe,
    store: &Store,
    clock: &Clock,
    only: Option<&BTreeSet<PatientId>>,
) -> Result<Vec<Unread>, StoreError> {
    let now = clock.now();
    let mut stale = mirrored(store, only).await?;
    stale.retain(|one| one.read.is_none_or(|read| read > now || now.since(read) >= FRESH));
    let mut reads = futures_util::stream::iter(stale)
        .map(|one| async move { (one, read(jhe, store, clock, one).await) })
        .buffer_unordered(AT_ONCE);
    let mut unread = Vec::new();
    while let Some((one, outcome)) = reads.next().await {
        if let Err(error) = outcome? {
            unread.push((one.patient, error));
        }
    }
    Ok(unread)
}

async fn read(
    jhe: &Jhe,
    store: &Store,
    clock: &Clock,
    one: Mirrored,
) -> Result<Result<(), JheError>, StoreError> {
    let snapshot = match jhe.consents(Who::Daemon, one.jhe_id, clock).await {
        Ok(snapshot) => snapshot,
        Err(error @ (JheError::Forbidden(_) | JheError::NotFound(_))) => {
            store.write(move |db| jhe_consent::out_of_reach(db, one.patient)).await?;
            return Ok(Err(error));
        }
        Err(error) => return Ok(Err(error)),
    };
    store.write(move |db| jhe_consent::apply(db, one.patient, &snapshot)).await?;
    Ok(Ok(()))
}
