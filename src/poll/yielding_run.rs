//! A poll that a hint asked for: it reads what the next tick would read anyway, so that whoever waits for the lock comes
//! first.

use std::sync::Arc;

use crate::common::failure::Failure;
use crate::config::settings::Snapshot;
use crate::poll::poller::{Ask, Poller};
use crate::poll::progress::Progress;
use crate::poll::tick::Outcome;

/// What is said of one that was broken off.
const GAVE_WAY: &str = "hints wait: a tick came first";

impl Poller {
    /// Runs until it is over or somebody waits for the lock. What was committed by then stays, and no mark is past it.
    pub(crate) async fn run_until_wanted(
        &self,
        ask: &Ask,
        settings: &Snapshot,
        owner: &str,
        progress: &Arc<Progress>,
    ) -> Result<Outcome, Failure> {
        let part = Self { cancel: self.cancel.child_token(), ..self.clone() };
        let mut run = std::pin::pin!(part.run(ask, settings, Some(owner), progress));
        tokio::select! {
            outcome = &mut run => return outcome,
            () = self.is_wanted(owner) => part.cancel.cancel(),
        }
        match run.await {
            Err(_) if !self.cancel.is_cancelled() => Ok(Outcome::Held(GAVE_WAY.to_owned())),
            outcome => outcome,
        }
    }
}
