//! Between ticks: whose data have just come to OW is read at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::app::hint_queue::Waiting;
use crate::daemon::run::Daemon;
use crate::model::patient::PatientId;
use crate::ow::client::Client;
use crate::ow::error::OwError;
use crate::ow::runs::SyncRun;
use crate::poll::poller::Ask;
use crate::poll::progress::Progress;
use crate::poll::tick::Outcome;
use crate::store::operations::poll_plan;

/// How often one patient is looked at because of hints, where OW's list is not asked for.
pub(crate) const PAUSE: Duration = Duration::from_mins(1);
/// How soon somebody is looked at again whose turn had to wait: the lock was held, or the pause is not over.
const AGAIN: Duration = Duration::from_secs(1);
/// Lists of everything until OW is asked for its fetches of the past alone, too: the many others of a busy day push them
/// off the list, and each question costs OW a search through its Redis.
const LISTS: u32 = 10;
/// The source of such a fetch, as OW names it.
const PAST: &str = "backfill";

/// How OW's list was last found.
#[derive(Default)]
struct Listing {
    trouble: Option<OwError>,
    /// Lists until OW is asked for its fetches of the past alone.
    left: u32,
}

impl Daemon {
    /// Follows hints for as long as the daemon runs.
    pub(crate) async fn follow_hints(&self) {
        let (mut next_list, mut next_told) = (Instant::now(), Instant::now());
        let mut listing = Listing::default();
        while !self.cancel.is_cancelled() {
            let settings = self.app.store.settings().await.unwrap_or_default();
            let every = settings.hints_interval().filter(|_| settings.is_on());
            if let Some(every) = every.filter(|_| next_list <= Instant::now()) {
                self.list_runs(&mut listing).await;
                next_list = Instant::now() + every;
            }
            if next_told <= Instant::now() && !self.note_told().await {
                next_told = Instant::now() + PAUSE;
            }
            if settings.is_on() {
                self.look(settings.hints_interval().unwrap_or(PAUSE)).await;
            }
            let wake =
                if self.app.hints.is_waiting() { Instant::now() + AGAIN } else { Instant::now() + PAUSE };
            let wake = if every.is_some() { wake.min(next_list) } else { wake };
            tokio::select! {
                () = self.cancel.cancelled() => {}
                () = self.app.hints.news(), if !self.app.hints.is_waiting() => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// OW as the configuration of this moment has it.
    pub(crate) fn ow(&self) -> Option<Client> {
        let config = self.app.live.config();
        let (url, key) = (config.ow_api_url.as_ref()?, config.ow_api_key.as_ref()?);
        Client::new(url, key, config.ow_timeout, self.app.page_size.clone(), &self.app.clock).ok()
    }

    /// Asks OW who has just synced. An OW that cannot say costs nothing: the ticks go on.
    async fn list_runs(&self, listing: &mut Listing) {
        let listed = match self.listed(None).await {
            Some(Ok(runs)) => {
                self.app.hints.take_runs(&runs);
                self.note_runs(&runs).await;
                if listing.left == 0 { self.listed(Some(PAST)).await } else { Some(Ok(Vec::new())) }
            }
            trouble => trouble,
        };
        match listed {
            None => {}
            Some(Ok(runs)) => {
                self.note_runs(&runs).await;
                listing.left = listing.left.checked_sub(1).unwrap_or(LISTS - 1);
                listing.trouble = None;
            }
            Some(Err(error)) => {
                // Once, and not each minute.
                if listing.trouble.as_ref() != Some(&error) {
                    tracing::info!(
                        "OW does not say who has just synced, so data come in with the ticks: {error}"
                    );
                }
                listing.trouble = Some(error);
            }
        }
    }

    /// OW's list; none where there is no OW, or the daemon ends.
    async fn listed(&self, source: Option<&str>) -> Option<Result<Vec<SyncRun>, OwError>> {
        let client = self.ow()?;
        tokio::select! {
            () = self.cancel.cancelled() => None,
            listed = client.sync_runs(source) => Some(listed),
        }
    }

    /// Reads those whom hints name, unless a tick runs or waits to: then they wait.
    async fn look(&self, pause: Duration) {
        let hints = &self.app.hints;
        if self.app.ticks.running().is_some() {
            return;
        }
        let due = hints.take_due(pause, self.app.clock.now());
        if due.is_empty() {
            return;
        }
        let users: Vec<String> = due.keys().cloned().collect();
        let linked = match self.app.store.read(move |db| poll_plan::of_users(db, &users)).await {
            Ok(linked) if linked.is_empty() => return,
            Ok(linked) => linked.into_iter().map(|(user, patient)| (patient, user)).collect(),
            Err(error) => {
                tracing::warn!("hints could not be followed: {error}");
                hints.put_back_failed(due.iter());
                return;
            }
        };
        self.read_hinted(&due, &linked).await;
    }

    /// Reads patients whose users wait. Where that fails, they wait on.
    async fn read_hinted(&self, due: &Waiting, linked: &BTreeMap<PatientId, String>) {
        let hints = &self.app.hints;
        let ask = Ask { hinted: linked.keys().copied().collect(), ..Ask::default() };
        match self.app.poller().poll(&ask, &Arc::new(Progress::default())).await {
            Ok(Outcome::Skipped(_)) => {}
            Ok(Outcome::Held(_)) => hints.put_back(due),
            Ok(Outcome::Complete(summary)) => {
                self.app.payloads.note_turns(&summary);
                let unread = summary.failed.iter().map(|(patient, _)| patient).chain(&summary.unfinished);
                let unread = unread.filter_map(|patient| linked.get(patient));
                hints.put_back_failed(unread.filter_map(|user| due.get_key_value(user)));
                tracing::info!(
                    patients = linked.len(),
                    failed = summary.failed.len(),
                    created = summary.tally.created,
                    "read at once, as OW has just synced"
                );
            }
            Err(_) if self.cancel.is_cancelled() => {}
            Err(failure) => {
                hints.put_back_failed(due.iter());
                // The next tick says the same, and louder.
                tracing::info!("hints could not be followed: {}", failure.what);
            }
        }
    }
}
