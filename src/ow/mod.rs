//! Open Wearables (OW): every call to it, and the types of its answers.
//!
//! [`client`] serves the polls and tries a failed call again. [`connector`] serves a person who waits for a
//! page, so it makes each call once and briefly; [`probe`] adds the calls of whoever sets OW up.

pub mod client;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod error;
pub mod page;
pub(crate) mod probe;
pub(crate) mod runs;
