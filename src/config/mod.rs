//! Configuration of a process, read once at its start, and the run-time settings of the daemon.
//!
//! Flags override the environment, which overrides `.env`, which overrides the file, which overrides the
//! defaults. `settings` describes what an operator changes while the daemon runs; no key is in both.

pub mod alerts;
pub mod base_url;
pub(crate) mod environment;
pub(crate) mod file;
pub mod flags;
pub(crate) mod keys;
pub mod load;
pub(crate) mod settings;
pub(crate) mod sources;
