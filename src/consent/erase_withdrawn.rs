//! Erases observations whose consent was withdrawn, once their retention has ended.

use crate::common::time::Timestamp;
use crate::config::settings::Settings;
use crate::store::{engine::store::Store, error::StoreError, privacy::withdrawal};

/// Erases observations whose consent was withdrawn longer ago than the setting says, and resumes an erasure
/// that was cut off. Copies at JHE stay. Returns the number of pairs of patient and data type whose erasure
/// began.
pub(crate) async fn erase_due(
    store: &Store,
    settings: &Settings,
    now: Timestamp,
) -> Result<usize, StoreError> {
    let begun = match settings.erase_after() {
        Some(after) => store.write(move |db| withdrawal::begin_due_erasures(db, after, now)).await?,
        None => 0,
    };
    // In batches, so that other writes get their turn.
    while store.read(withdrawal::has_unfinished_erasure).await? {
        store.write(move |db| withdrawal::erase_batch(db, now)).await?;
    }
    Ok(begun)
}
