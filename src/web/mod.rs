//! The HTTP server and its pages: practitioners' under `/admin`, patients' under `/ow` and `/clients/ow`,
//! the OAuth proxy under `/api/v1`, health and readiness.
//!
//! Every page works without a script, and there are none.

mod admin;
mod answer;
mod api;
mod backups;
mod chart;
mod connect;
mod door;
mod guard;
mod hook;
mod instance;
mod jobs;
mod layout;
mod limit;
mod looks;
mod metrics;
mod patient;
mod payloads;
mod person;
mod request;
mod routes;
mod server;
mod visit;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config::Config;
use crate::export::Report;
use crate::failure::Failure;
use crate::hints::Hints;
use crate::jhe::Jhe;
use crate::ow::{Connector, PageSize};
use crate::poll::{Poller, Progress};
use crate::store::Store;
use crate::time::Timestamp;

pub(crate) use admin::{LINK_AGE, sign_in_link};
pub use backups::{BackupState, Backups};
pub use connect::Offers;
pub(crate) use connect::finish as finish_disconnects;
pub use door::Door;
pub use hook::Warned;
pub(crate) use instance::{HEADER as INSTANCE_HEADER, of_process as instance};
pub use jobs::Jobs;
pub use limit::Limits;
pub use looks::Looks;
pub use metrics::serve_metrics;
pub use payloads::Payloads;
pub(crate) use payloads::examine as examine_payloads;
pub use person::PatientTokens;
pub(crate) use routes::OVERDUE;
pub use server::serve;

/// What the pages are made from.
#[derive(Debug, Clone)]
pub struct App {
    /// Where everything is kept.
    pub store: Store,
    /// Where "now" comes from.
    pub clock: Clock,
    /// The configuration, which may be reloaded.
    pub live: Live,
    /// How the ticker is doing.
    pub ticks: Ticks,
    /// How the export is doing.
    pub exports: Exports,
    /// How the last backup went.
    pub backups: Backups,
    /// Polls that somebody asked for on a page.
    pub jobs: Jobs,
    /// How the bucket of payloads was last found, and whose wait in it.
    pub payloads: Payloads,
    /// The providers that patients can connect, as last seen.
    pub offers: Offers,
    /// Patients' tokens at JHE.
    pub tokens: PatientTokens,
    /// Whose data may have come to OW between ticks.
    pub hints: Hints,
    /// When the log said last that OW's messages are not taken.
    pub unsigned: Warned,
    /// How often what is open to the world may be tried.
    pub limits: Limits,
    /// Whose look at the overview goes on.
    pub looks: Looks,
    /// Ends what runs in the background.
    pub cancel: CancellationToken,
    /// What OW was found to give per page.
    pub page_size: PageSize,
    /// Set by the demonstration: what is shown is simulated.
    pub simulated: bool,
}

impl App {
    /// Whether browsers reach us over https, so that cookies are for https only.
    fn is_https(&self) -> bool {
        self.live.config().public_url.is_some_and(|url| url.is_https())
    }

    /// What polls, with the configuration of this moment.
    pub(crate) fn poller(&self) -> Poller {
        Poller {
            store: self.store.clone(),
            clock: self.clock.clone(),
            config: self.live.config(),
            jhe: self.live.jhe(),
            cancel: self.cancel.clone(),
            page_size: self.page_size.clone(),
        }
    }
}

/// The configuration, and how OW and JHE are reached with it: all change when it is reloaded.
#[derive(Debug, Clone)]
pub struct Live(Arc<RwLock<Reached>>);

#[derive(Debug)]
struct Reached {
    config: Config,
    ow: Option<Arc<Connector>>,
    jhe: Option<Arc<Jhe>>,
}

impl Live {
    /// Starts with this configuration.
    ///
    /// # Errors
    /// As [`Jhe::of`].
    pub fn new(config: Config) -> Result<Self, Failure> {
        let jhe = Jhe::of(&config)?;
        Ok(Self(Arc::new(RwLock::new(Reached { config, ow: None, jhe }))))
    }

    /// Takes another configuration. The address that is listened on stays.
    ///
    /// # Errors
    /// As [`Jhe::of`]; then the one that was stays.
    pub fn set(&self, config: Config) -> Result<(), Failure> {
        let jhe = Jhe::of(&config)?;
        let mut reached = self.0.write();
        let bind = reached.config.bind;
        *reached = Reached { config: Config { bind, ..config }, ow: None, jhe };
        Ok(())
    }

    /// How JHE is reached; none where the daemon stands alone.
    pub(crate) fn jhe(&self) -> Option<Arc<Jhe>> {
        self.0.read().jhe.clone()
    }

    /// Notes the address that is really listened on.
    pub fn set_bind(&self, bind: SocketAddr) {
        self.0.write().config.bind = bind;
    }

    /// The configuration of this moment.
    pub fn config(&self) -> Config {
        self.0.read().config.clone()
    }

    /// How OW is reached; none where its address or key is missing or unusable.
    fn ow(&self) -> Option<Arc<Connector>> {
        let mut reached = self.0.write();
        if reached.ow.is_none() {
            let (url, key) = (reached.config.ow_api_url.as_ref()?, reached.config.ow_api_key.as_ref()?);
            match Connector::new(url, key) {
                Ok(connector) => reached.ow = Some(Arc::new(connector)),
                Err(failure) => tracing::error!(next = failure.next, "{}", failure.what),
            }
        }
        reached.ow.clone()
    }
}

/// How the export is doing, shared between it and the pages.
#[derive(Debug, Clone, Default)]
pub struct Exports(Arc<Mutex<Exported>>);

#[derive(Debug, Default)]
struct Exported {
    last: Option<ExportState>,
    missing: Vec<String>,
}

/// The last export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportState {
    /// When it ended.
    pub ended: Timestamp,
    /// What stopped it early, if anything did.
    pub trouble: Option<String>,
}

impl Exports {
    /// Notes that a drain ended.
    pub fn note(&self, report: &Report, now: Timestamp) {
        let trouble = report.stopped.as_ref().map(ToString::to_string);
        self.0.lock().last = Some(ExportState { ended: now, trouble });
    }

    /// The last one; none where none has ended.
    pub fn last(&self) -> Option<ExportState> {
        self.0.lock().last.clone()
    }

    /// Notes what JHE was found to lack; answers with what of it is news.
    pub fn note_missing(&self, missing: &[String]) -> Vec<String> {
        let mut state = self.0.lock();
        let news = missing.iter().filter(|one| !state.missing.contains(one)).cloned().collect();
        state.missing = missing.to_vec();
        news
    }

    /// What JHE was found to lack, each with its remedy.
    pub fn missing(&self) -> Vec<String> {
        self.0.lock().missing.clone()
    }
}

/// How the ticker is doing, shared between it and the pages.
#[derive(Debug, Clone)]
pub struct Ticks {
    state: Arc<Mutex<TickState>>,
    /// How far the tick is that runs, or was, and when it began.
    running: Arc<Mutex<(Weak<Progress>, Option<Timestamp>)>>,
    ended: Arc<Notify>,
}

/// The ticker at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TickState {
    /// When the last tick ended, or when the daemon started where none has.
    pub last: Timestamp,
    /// How the last tick ended.
    pub outcome: Option<String>,
    /// When that one began.
    pub began: Option<Timestamp>,
    /// When a tick last stepped aside since then, and why.
    pub skipped: Option<(Timestamp, String)>,
    /// Whether it could not do its work at all; that of single patients is no matter here.
    pub failed: bool,
    /// Time from one tick to the next.
    pub interval: Duration,
}

impl TickState {
    /// When anything was last heard of the ticker.
    pub fn heard(&self) -> Timestamp {
        self.skipped.as_ref().map_or(self.last, |(at, _)| self.last.max(*at))
    }
}

impl Ticks {
    /// A ticker that starts at `now`.
    pub fn new(now: Timestamp, interval: Duration) -> Self {
        let state =
            TickState { last: now, outcome: None, began: None, skipped: None, failed: false, interval };
        Self { state: Arc::new(Mutex::new(state)), running: Arc::default(), ended: Arc::default() }
    }

    /// Notes that a tick begins at `now`, for as long as somebody holds its progress.
    pub fn begin(&self, progress: &Arc<Progress>, now: Timestamp) {
        let running = (Arc::downgrade(progress), Some(now));
        *self.running.lock() = running;
    }

    /// How far the tick is that runs; none where none does.
    pub fn running(&self) -> Option<Arc<Progress>> {
        self.running.lock().0.upgrade()
    }

    /// Notes that a tick ended: with a sentence, or with why it could not run.
    pub fn note(&self, now: Timestamp, outcome: Result<String, String>, interval: Duration) {
        let failed = outcome.is_err();
        let outcome = outcome.unwrap_or_else(|why| why);
        let began = self.running.lock().1;
        let state = TickState { last: now, outcome: Some(outcome), began, skipped: None, failed, interval };
        *self.state.lock() = state;
        self.ended.notify_waiters();
    }

    /// Notes that a tick stepped aside: nothing was read, so that none has ended.
    pub fn note_skipped(&self, now: Timestamp, why: String, interval: Duration) {
        let mut state = self.state.lock();
        (state.skipped, state.interval) = (Some((now, why)), interval);
        drop(state);
        self.ended.notify_waiters();
    }

    /// Waits for the end of the next tick, however it ends.
    pub async fn ended(&self) {
        self.ended.notified().await;
    }

    /// The ticker at this moment.
    pub fn get(&self) -> TickState {
        self.state.lock().clone()
    }
}
