use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;

use crate::app::backup_status::Backups;
use crate::app::bucket_status::Payloads;
use crate::app::daemon_status::{Exports, Ticks};
use crate::app::device_offers::Offers;
use crate::app::hint_queue::Hints;
use crate::app::page_view_log::Looks;
use crate::app::patient_token_locks::PatientTokens;
use crate::app::poll_jobs::Jobs;
use crate::app::rate_limit::Limits;
use crate::app::webhook_warnings::Warned;
use crate::common::clock::Clock;
use crate::common::failure::Failure;
use crate::config::load::Config;
use crate::jhe::client::Jhe;
use crate::ow::client::PageSize;
use crate::ow::connector::Connector;
use crate::poll::poller::Poller;
use crate::store::engine::store::Store;

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
    pub(crate) fn is_https(&self) -> bool {
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
pub(crate) struct Reached {
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
    pub(crate) fn ow(&self) -> Option<Arc<Connector>> {
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
