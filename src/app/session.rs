//! The configuration, clock and store of one command.

use std::sync::Arc;

use crate::common::clock::{CLOCK_ENV, Clock};
use crate::common::{failure::Failure, time::Timestamp};
use crate::config::load::{self, Config};
use crate::config::{environment::Environment, flags::Flags};
use crate::jhe::client::Jhe;
use crate::model::patient::PatientRef;
use crate::ow::connector::Connector;
use crate::store::people::patient::{self, Patient};
use crate::store::{engine::store::Store, error::StoreError};

pub(crate) struct Session {
    pub(crate) flags: Flags,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
}

impl Session {
    pub(crate) fn new(flags: Flags) -> Result<Self, Failure> {
        let environment = Environment::from_process()?;
        let config = load::load(&flags, &environment)?;
        let clock = clock(&environment)?;
        Ok(Self { flags, config, clock })
    }

    pub(crate) fn store(&self) -> Result<Store, Failure> {
        Store::open(&self.config.data_dir)
    }

    /// Returns the client for JHE; fails if JHE is not configured.
    pub(crate) fn jhe(&self) -> Result<Arc<Jhe>, Failure> {
        Jhe::from_config(&self.config)?
            .ok_or_else(|| Failure::usage("JHE is not configured", "set JHE_BASE_URL and JHE_CLIENT_KEY"))
    }

    /// Returns the client for OW; none if OW is not configured.
    pub(crate) fn ow(&self) -> Result<Option<Connector>, Failure> {
        let (url, key) = (self.config.ow_api_url.as_ref(), self.config.ow_api_key.as_ref());
        url.zip(key).map(|(url, key)| Connector::new(url, key)).transpose()
    }
}

/// Finds the patient that an optional argument names.
pub(crate) async fn find_optional(
    store: &Store,
    who: Option<PatientRef>,
) -> Result<Option<Patient>, StoreError> {
    store.read(move |db| who.map(|who| patient::find(db, who)).transpose()).await
}

/// Returns the system clock, or the fixed clock that an environment variable sets for tests and drills.
pub(crate) fn clock(environment: &Environment) -> Result<Clock, Failure> {
    let Some(instant) = environment.get(CLOCK_ENV) else { return Ok(Clock::System) };
    #[cfg(debug_assertions)]
    if let Some(path) = instant.strip_prefix('@') {
        return Ok(Clock::File(std::path::PathBuf::from(path).into()));
    }
    Timestamp::parse(&instant).map(Clock::fixed).map_err(|why| {
        Failure::usage(
            format!("{CLOCK_ENV} = '{instant}' is invalid: {why}"),
            "set it to a time such as 2026-11-21T08:00:00Z, or unset it",
        )
    })
}
