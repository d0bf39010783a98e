//! The command-line options that every command accepts.

use std::path::PathBuf;

/// Heading of these options in the help.
pub(crate) const GLOBAL: &str = "Options of every command";

#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Read this configuration file instead of looking for one
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep the data here
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Listen here (serve, demo)
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "ADDRESS:PORT")]
    pub bind: Option<String>,
    /// Log level: error, warn, info, debug or trace
    #[arg(long, global = true, help_heading = GLOBAL, value_name = "LEVEL")]
    pub log: Option<String>,
}
