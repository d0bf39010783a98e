use clap::Parser;

use crate::common::clock::{CLOCK_ENV, Clock};
use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::config::environment::Environment;
use crate::config::flags::Flags;
use crate::config::load;
use crate::config::load::Config;
use crate::store::engine::store::Store;

/// Where a command finds what it works with.
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
}

/// The machine's clock, or the one that stands where a drill put it.
pub(crate) fn clock(environment: &Environment) -> Result<Clock, Failure> {
    let Some(instant) = environment.get(CLOCK_ENV) else { return Ok(Clock::System) };
    #[cfg(debug_assertions)]
    if let Some(path) = instant.strip_prefix('@') {
        return Ok(Clock::File(std::path::PathBuf::from(path).into()));
    }
    Timestamp::parse(&instant).map(Clock::fixed).map_err(|why| {
        Failure::usage(
            format!("{CLOCK_ENV} = '{instant}' is wrong: {why}"),
            "write 2026-11-21T08:00:00Z, or unset it",
        )
    })
}
