//! `JupyterHealth` Exchange (JHE): every call to it, and the types of its responses.
//!
//! [`http`] sends requests and classifies responses. [`client`] adds the access token of the daemon or of a
//! person. The other files hold one area of JHE's API each.

pub(crate) mod bundle;
pub mod client;
pub(crate) mod consents;
pub(crate) mod error;
pub(crate) mod http;
pub(crate) mod invitation;
pub(crate) mod observations;
pub(crate) mod ow_user;
pub(crate) mod practitioner;
pub(crate) mod setup;
