use std::path::PathBuf;

use base64::Engine;

/// Where the help shows the flags that every command has.
pub(crate) const EVERYWHERE: &str = "Options of every command";

/// What may be said on the command line about every command.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Read this configuration file instead of looking for one
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the data here
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Listen here (serve, demo)
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "ADDRESS:PORT")]
    pub bind: Option<String>,
    /// What to log: error, warn, info, debug or trace
    #[arg(long, global = true, help_heading = EVERYWHERE, value_name = "LEVEL")]
    pub log: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}
