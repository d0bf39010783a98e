//! Erases what was withdrawn, once it is due.

use crate::common::time::Timestamp;
use crate::config::settings::Snapshot;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::privacy::withdrawal;

/// Erases the observations whose consent has been withdrawn for as long as the settings say, and what an earlier sweep
/// left behind when it was cut off. What JHE got stays there. Answers about how many pairs of patient and scope it was
/// decided.
///
/// # Errors
/// Where the store cannot be read or written; the next sweep goes on.
pub async fn sweep(store: &Store, settings: &Snapshot, now: Timestamp) -> Result<usize, StoreError> {
    let decided = match settings.erase_after() {
        Some(after) => store.write(move |db| withdrawal::decide(db, after, now)).await?,
        None => 0,
    };
    while store.read(withdrawal::is_anything_left).await? {
        store.write(move |db| withdrawal::erase_some(db, now)).await?;
    }
    Ok(decided)
}
