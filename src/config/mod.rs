//! What a process needs to start: where it listens, where its data are, how OW is reached.
//!
//! Flags beat the environment, the environment beats `.env`, that beats the file, and that beats the
//! defaults. What an operator flips at run time is not here but in [`crate::settings`].

pub mod alerts;
pub mod base_url;
pub(crate) mod environment;
pub(crate) mod file;
pub mod flags;
pub(crate) mod found;
pub(crate) mod keys;
pub mod load;
pub(crate) mod origin;
pub(crate) mod reachable;
pub(crate) mod secret;
pub(crate) mod settings;
pub(crate) mod sources;
