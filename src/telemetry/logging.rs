//! Log lines: for people on a terminal, JSON for collectors. They go to standard error and never hold
//! health data.

use std::io::IsTerminal;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::common::failure::Failure;
use crate::config::flags::LogFormat;
use crate::config::load::Config;

/// A logger that runs, whose level can be changed.
#[derive(Debug)]
pub struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts logging; only the first call of a process has an effect.
///
/// # Errors
/// Where the level is none.
pub fn start(config: &Config) -> Result<Logging, Failure> {
    let (filter, handle) = reload::Layer::new(filter(&config.log_level)?);
    let pretty = match config.log_format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = if pretty {
        lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).boxed()
    } else {
        lines.json().flatten_event(true).with_span_list(false).boxed()
    };
    // A second logger in one process is a test's; the first one stays.
    let _ = tracing_subscriber::registry().with(filter).with(filter_fn(is_shown)).with(lines).try_init();
    Ok(Logging { filter: handle })
}

impl Logging {
    /// Changes the level to that of `config`.
    ///
    /// # Errors
    /// Where the level is none.
    pub fn reload(&self, config: &Config) -> Result<(), Failure> {
        let filter = filter(&config.log_level)?;
        self.filter.reload(filter).map_err(|error| Failure::failed(error.to_string(), ""))
    }
}

/// The migrations tell of themselves at each start, which is of interest only when asked for.
const QUIET: &str = "refinery_core=warn";

/// Whether a line may be shown at all, whatever the level. What others log below a warning are headers, bodies and
/// statements: keys and health data.
fn is_shown(of: &Metadata<'_>) -> bool {
    *of.level() <= Level::WARN || of.target().split("::").next() == Some(OURS)
}

/// What our own lines come from.
const OURS: &str = env!("CARGO_CRATE_NAME");

fn filter(level: &str) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(format!("{QUIET},{level}"))
        .map_err(|error| Failure::usage(error.to_string(), "give a level such as info"))
}
