//! The state that a running daemon shares between its loops and its pages.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::app::bulk_jobs::BulkJobs;
use crate::app::daemon_status::{BackupStatus, ExportStatus, OwStatus, TickerStatus};
use crate::app::open_authorizations::OpenAuthorizations;
use crate::app::webhook_warnings::WebhookWarnings;
use crate::app::{bucket_status::BucketStatus, hint_queue::HintQueue, offer_cache::OfferCache};
use crate::app::{kept_forms::KeptForms, last_use::LastUse, sign_in_attempts::SignInAttempts};
use crate::app::{patient_token_cache::PatientTokens, poll_jobs::PollJobs, repeated_events::RepeatedEvents};
use crate::app::{
    rate_limit::RateLimits, session::Session, store_probe::StoreProbe, study_shares::StudyShares,
};
use crate::common::{clock::Clock, failure::Failure};
use crate::config::load::Config;
use crate::jhe::client::Jhe;
use crate::ow::{client::OwLimits, connector::Connector};
use crate::poll::poller::Poller;
use crate::store::engine::store::Store;

/// The shared state. Each field is a handle, so a clone refers to the same state.
#[derive(Debug, Clone)]
pub struct App {
    pub store: Store,
    pub clock: Clock,
    /// The configuration, which SIGHUP reloads.
    pub live: LiveConfig,
    pub ticker: TickerStatus,
    pub export_status: ExportStatus,
    pub ow_status: OwStatus,
    pub backup_status: BackupStatus,
    /// Polls that people started on pages.
    pub poll_jobs: PollJobs,
    /// Bulk exports that holders of a study's token started.
    pub bulk_jobs: BulkJobs,
    pub bucket_status: BucketStatus,
    pub offer_cache: OfferCache,
    pub open_authorizations: OpenAuthorizations,
    /// Patients' OAuth tokens for JHE.
    pub patient_tokens: PatientTokens,
    /// OW users who may have new data between ticks.
    pub hints: HintQueue,
    pub webhook_warnings: WebhookWarnings,
    pub rate_limits: RateLimits,
    pub repeated_events: RepeatedEvents,
    pub last_use: LastUse,
    pub sign_in_attempts: SignInAttempts,
    pub kept_forms: KeptForms,
    pub store_probe: StoreProbe,
    pub study_shares: StudyShares,
    /// Ends all background work.
    pub cancel: CancellationToken,
    /// The page sizes that OW accepts, and the series types that it does not know.
    pub ow_limits: OwLimits,
    /// Set by the demonstration, whose pages say that their data are simulated.
    pub simulated: bool,
}

impl App {
    pub(crate) async fn new(
        session: &Session,
        store: Store,
        cancel: CancellationToken,
        simulated: bool,
    ) -> Result<Self, Failure> {
        let interval = store.settings().await?.poll_interval();
        let clock = session.clock.clone();
        Ok(Self {
            ticker: TickerStatus::new(clock.now(), interval),
            live: LiveConfig::new(session.config.clone())?,
            store,
            clock,
            cancel,
            simulated,
            export_status: ExportStatus::default(),
            ow_status: OwStatus::default(),
            backup_status: BackupStatus::default(),
            poll_jobs: PollJobs::default(),
            bulk_jobs: BulkJobs::default(),
            bucket_status: BucketStatus::default(),
            offer_cache: OfferCache::default(),
            open_authorizations: OpenAuthorizations::default(),
            patient_tokens: PatientTokens::default(),
            hints: HintQueue::default(),
            webhook_warnings: WebhookWarnings::default(),
            rate_limits: RateLimits::default(),
            repeated_events: RepeatedEvents::default(),
            last_use: LastUse::default(),
            sign_in_attempts: SignInAttempts::default(),
            kept_forms: KeptForms::default(),
            store_probe: StoreProbe::default(),
            study_shares: StudyShares::default(),
            ow_limits: OwLimits::default(),
        })
    }

    /// Returns true if browsers reach us over https; cookies are `Secure` then.
    pub(crate) fn is_https(&self) -> bool {
        self.live.config().public_url.is_some_and(|url| url.is_https())
    }

    /// Builds a poller from the current configuration.
    pub(crate) fn poller(&self) -> Poller {
        Poller {
            store: self.store.clone(),
            clock: self.clock.clone(),
            config: self.live.config(),
            jhe: self.live.jhe(),
            cancel: self.cancel.clone(),
            ow_limits: self.ow_limits.clone(),
        }
    }
}

/// The current configuration, and the clients for OW and JHE that are built from it.
#[derive(Debug, Clone)]
pub struct LiveConfig(Arc<RwLock<ConfigAndClients>>);

#[derive(Debug)]
struct ConfigAndClients {
    config: Config,
    /// Built on first use.
    ow: Option<Arc<Connector>>,
    jhe: Option<Arc<Jhe>>,
}

impl LiveConfig {
    fn new(config: Config) -> Result<Self, Failure> {
        let jhe = Jhe::from_config(&config)?;
        Ok(Self(Arc::new(RwLock::new(ConfigAndClients { config, ow: None, jhe }))))
    }

    /// Replaces the configuration, except for the address that the server listens on. Keeps the old one on an
    /// error.
    pub fn replace(&self, config: Config) -> Result<(), Failure> {
        let jhe = Jhe::from_config(&config)?;
        let mut current = self.0.write();
        let bind = current.config.bind;
        *current = ConfigAndClients { config: Config { bind, ..config }, ow: None, jhe };
        Ok(())
    }

    /// Returns the client for JHE; none if the daemon runs standalone.
    pub(crate) fn jhe(&self) -> Option<Arc<Jhe>> {
        self.0.read().jhe.clone()
    }

    /// Records the actual address of the listener: the configured port may be 0.
    pub fn set_bind(&self, bind: SocketAddr) {
        self.0.write().config.bind = bind;
    }

    pub fn config(&self) -> Config {
        self.0.read().config.clone()
    }

    /// Returns the client for OW; none if its address or key is missing or invalid.
    pub(crate) fn ow(&self) -> Option<Arc<Connector>> {
        let mut current = self.0.write();
        if current.ow.is_none() {
            let (url, key) = (current.config.ow_api_url.as_ref()?, current.config.ow_api_key.as_ref()?);
            match Connector::new(url, key) {
                Ok(connector) => current.ow = Some(Arc::new(connector)),
                Err(failure) => tracing::error!(next = failure.remedy, "{}", failure.message),
            }
        }
        current.ow.clone()
    }
}
