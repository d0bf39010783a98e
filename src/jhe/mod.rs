//! `JupyterHealth` Exchange: every call that is made to it, and how its answers are read.

pub(crate) mod answers;
pub(crate) mod bundle;
pub mod client;
pub(crate) mod consents;
pub(crate) mod error;
pub(crate) mod http;
pub(crate) mod invitation;
pub(crate) mod observations;
pub(crate) mod ow_user;
pub(crate) mod patients;
pub(crate) mod practitioner;
pub(crate) mod setup;
