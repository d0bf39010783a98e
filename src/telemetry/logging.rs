//! Log lines on standard error: text on a terminal, JSON for collectors. They never contain health data.

use std::io::{IsTerminal, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::common::{failure::Failure, visible::VisibleLine};
use crate::config::load::{Config, LogFormat};

/// The running logger, whose level can change.
#[derive(Debug)]
pub(crate) struct Logging {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Starts logging. Only the first call in a process has an effect.
pub(crate) fn start(config: &Config) -> Result<Logging, Failure> {
    let (filter, handle) = reload::Layer::new(filter(&config.log_level)?);
    let pretty = match config.log_format {
        LogFormat::Auto => std::io::stderr().is_terminal(),
        LogFormat::Pretty => true,
        LogFormat::Json => false,
    };
    let lines = if pretty {
        let lines = fmt::layer().with_writer(std::io::stderr);
        let fields = debug_fn(|writer, field, value| {
            // Text of others must not begin a line of its own or move the cursor.
            let value = VisibleLine(format_args!("{value:?}"));
            match field.name() {
                "message" => write!(writer, "{value}"),
                name => write!(writer, "{name}={value}"),
            }
        });
        let fields = fields.delimited(" ");
        lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).fmt_fields(fields).boxed()
    } else {
        let lines = fmt::layer().with_writer(|| JsonWriter);
        lines.json().flatten_event(true).with_span_list(false).boxed()
    };
    // Only tests start a second logger in one process; the first one stays.
    let _ = tracing_subscriber::registry().with(filter).with(filter_fn(is_allowed)).with(lines).try_init();
    Ok(Logging { filter: handle })
}

/// Writes a line of JSON to standard error. Characters that mislead its readers are only in strings, where JSON reads
/// their escapes as the same text.
struct JsonWriter;

impl Write for JsonWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
        // One write: lines of several threads stay whole.
        std::io::stderr().write_all(format!("{}{end}", VisibleLine(text)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}

impl Logging {
    /// Changes the level to that of `config`.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), Failure> {
        let filter = filter(&config.log_level)?;
        self.filter.reload(filter).map_err(|error| Failure::failed(error.to_string(), ""))
    }
}

/// Default directive: the migration runner logs at each start, which matters only to those who ask for it.
const DEFAULT_DIRECTIVE: &str = "refinery_core=warn";

/// Returns true for our own lines, and for warnings and errors of other crates. Below a warning, other crates
/// log headers, bodies and SQL, which hold keys and health data.
fn is_allowed(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::WARN || line.target().split("::").next() == Some(OUR_CRATE)
}

const OUR_CRATE: &str = env!("CARGO_CRATE_NAME");

fn filter(level: &str) -> Result<EnvFilter, Failure> {
    EnvFilter::try_new(format!("{DEFAULT_DIRECTIVE},{level}"))
        .map_err(|error| Failure::usage(error.to_string(), "give a level such as info"))
}
