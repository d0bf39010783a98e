//! Whether everything is there that the daemon needs, each service asked in the way in which it is really used; and
//! what to do where something is not.
//!
//! Each check is a small function that answers findings. Whatever one of them meets, the others go on: remote services
//! are asked at the same time, each with its own patience. Nothing is changed, here or there: a store with an older
//! schema is told of, and left as it is. No finding holds a secret, a name or a measurement.

pub(crate) mod bucket;
pub(crate) mod checks;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod disk;
pub(crate) mod finding;
pub(crate) mod jhe;
pub(crate) mod ow;
pub(crate) mod reachability;
pub(crate) mod store;
pub(crate) mod work;
