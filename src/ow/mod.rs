//! Open Wearables: every call that is made to it, and how its answers are read.

pub mod client;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod error;
pub mod page;
pub(crate) mod probe;
pub(crate) mod runs;
