//! The checks of `jhe-ow doctor`. They use each service as the daemon does, and say what to do about each
//! problem.
//!
//! A check is a function that returns findings. Checks are independent: one that fails or times out does not
//! stop the others, and remote services are checked at the same time. They change nothing; a store with an
//! older schema is reported and not migrated. No finding contains a secret, a name or a measurement.

pub(crate) mod bucket;
pub(crate) mod checks;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod disk;
pub(crate) mod finding;
pub(crate) mod jhe;
pub(crate) mod ow;
pub(crate) mod reachability;
pub(crate) mod sealed;
pub(crate) mod store;
pub(crate) mod work;
