//! Takes and releases the tick lock, and waits for holders that yield it.

use std::time::Duration;

use crate::common::failpoint;
use crate::poll::poller::Poller;
use crate::store::error::StoreError;
use crate::store::operations::tick_lock::{self, LockOwner, RunKind, TakeResult};

/// Pause between two attempts to take the lock, or two checks for a waiting run.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);
/// The longest wait of a tick for a holder that yields: longer than a backfill's slice of a hundred patients.
pub(crate) const WAIT_FOR_SLICE: Duration = Duration::from_mins(10);

pub(crate) enum LockOutcome {
    Taken(LockOwner),
    /// Another run holds the lock since this instant.
    Held(String),
}

impl Poller {
    /// Takes the lock; waits up to `patience` for a holder that yields.
    pub(crate) async fn take_lock(
        &self,
        kind: RunKind,
        patience: Duration,
    ) -> Result<LockOutcome, StoreError> {
        let hold = LockOwner::prepare(self.store.directory())?;
        let began = tokio::time::Instant::now();
        loop {
            let (directory, owner) = (self.store.directory().to_owned(), hold.token().to_owned());
            let now = self.clock.now();
            let taken =
                self.store.write(move |db| tick_lock::take(db, &directory, &owner, kind, now)).await?;
            match taken {
                TakeResult::Free => return Ok(LockOutcome::Taken(hold)),
                TakeResult::Reclaimed(why) => {
                    tracing::warn!("{why}");
                    return Ok(LockOutcome::Taken(hold));
                }
                TakeResult::Held { since, yields_soon } => {
                    // A backfill waits for every holder, since its next slice always comes after theirs.
                    let waits = yields_soon || kind == RunKind::Backfill;
                    if !waits || began.elapsed() >= patience || self.cancel.is_cancelled() {
                        return Ok(LockOutcome::Held(since));
                    }
                    tokio::time::sleep(CHECK_INTERVAL).await;
                }
            }
        }
    }

    /// Releases the lock if it is still ours; returns whether a tick waits for it.
    pub(crate) async fn release_lock(&self, hold: LockOwner) -> Result<bool, StoreError> {
        let owner = hold.token().to_owned();
        let is_requested = self.store.write(move |db| tick_lock::release(db, &owner)).await;
        failpoint::at("lock.released");
        is_requested
    }

    /// Waits until another run asks `owner` to release the lock.
    pub(crate) async fn wait_for_release_request(&self, owner: &str) {
        loop {
            tokio::time::sleep(CHECK_INTERVAL).await;
            let owner = owner.to_owned();
            if self.store.read(move |db| tick_lock::is_release_requested(db, &owner)).await == Ok(true) {
                return;
            }
        }
    }
}

/// Returns the sentence of a run that was skipped because the lock is held.
pub(crate) fn skipped_sentence(since: &str) -> String {
    format!("ow_poll skipped: {} since {since}", tick_lock::KEY)
}
