//! A poll caused by hints. It reads what the next tick would read anyway, so it ends as soon as another run
//! waits for the lock.

use std::sync::Arc;

use crate::common::failure::Failure;
use crate::config::settings::Settings;
use crate::poll::poller::{PollRequest, Poller};
use crate::poll::{progress::PollProgress, tick::PollOutcome};

const YIELDED: &str = "hints wait: a tick came first";

impl Poller {
    /// Runs to the end, or until another run waits for the lock. Committed samples stay; no mark passes them.
    pub(crate) async fn run_yielding(
        &self,
        request: &PollRequest,
        settings: &Settings,
        owner: &str,
        progress: &Arc<PollProgress>,
    ) -> Result<PollOutcome, Failure> {
        let poller = Self { cancel: self.cancel.child_token(), ..self.clone() };
        let mut run = std::pin::pin!(poller.run(request, settings, Some(owner), progress));
        tokio::select! {
            outcome = &mut run => return outcome,
            () = self.wait_for_release_request(owner) => poller.cancel.cancel(),
        }
        match run.await {
            Err(_) if !self.cancel.is_cancelled() => Ok(PollOutcome::Held(YIELDED.to_owned())),
            outcome => outcome,
        }
    }
}
