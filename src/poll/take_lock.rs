//! Taking the lock, which may mean to wait for somebody who gives way, and letting go of it.

use std::time::Duration;

use crate::common::failpoint;
use crate::poll::poller::Poller;
use crate::store::error::StoreError;
use crate::store::operations::tick_lock;
use crate::store::operations::tick_lock::{Hold, Kind, Taken};

/// How often it is looked whether somebody who gives way has let go of the lock, or is asked to.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// How long a tick waits for somebody who gives way: longer than a backfill's slice of a hundred patients takes.
pub(crate) const WAIT_FOR_SLICE: Duration = Duration::from_mins(10);

/// How taking the lock went.
pub(crate) enum Entry {
    Taken(Hold),
    Held(String),
}

impl Poller {
    /// Takes the lock; waits up to `patience` for somebody who holds it and gives way.
    pub(crate) async fn enter(&self, kind: Kind, patience: Duration) -> Result<Entry, StoreError> {
        let hold = Hold::prepare(self.store.directory())?;
        let began = tokio::time::Instant::now();
        loop {
            let (directory, owner) = (self.store.directory().to_owned(), hold.owner().to_owned());
            let now = self.clock.now();
            let taken =
                self.store.write(move |db| tick_lock::take(db, &directory, &owner, kind, now)).await?;
            match taken {
                Taken::Free => return Ok(Entry::Taken(hold)),
                Taken::Reclaimed(why) => {
                    tracing::warn!("{why}");
                    return Ok(Entry::Taken(hold));
                }
                Taken::Held { since, gives_way } => {
                    let waits = gives_way || kind == Kind::Backfill;
                    if !waits || began.elapsed() >= patience || self.cancel.is_cancelled() {
                        return Ok(Entry::Held(since));
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    /// Releases the lock, where it is still ours; answers whether a tick waits for it.
    pub(crate) async fn leave(&self, hold: Hold) -> Result<bool, StoreError> {
        let owner = hold.owner().to_owned();
        let wanted = self.store.write(move |db| tick_lock::release(db, &owner)).await;
        failpoint::at("lock.released");
        wanted
    }

    /// Waits until somebody waits for `owner` to let go of the lock.
    pub(crate) async fn is_wanted(&self, owner: &str) {
        loop {
            tokio::time::sleep(LOOK_AGAIN).await;
            let owner = owner.to_owned();
            if self.store.read(move |db| tick_lock::is_wanted(db, &owner)).await == Ok(true) {
                return;
            }
        }
    }
}

/// The sentence of a tick that steps aside.
pub(crate) fn skipped(since: &str) -> String {
    format!("ow_poll skipped: {} since {since}", tick_lock::KEY)
}
