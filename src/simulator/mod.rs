//! A simulated Open Wearables (OW) for the demonstration and the tests: an HTTP server on 127.0.0.1 that
//! answers as a real one does, with its flaws, and that can be made to fail.
//!
//! `simulated_ow` starts and controls it. `endpoints` holds a file for each group of routes. `ring` and
//! `vitals` compute what a person with wearables would measure.

pub mod activity_day;
#[cfg(test)]
pub(crate) mod captures;
pub(crate) mod endpoints;
pub mod event;
pub mod fault;
pub(crate) mod query;
pub mod request_log;
pub(crate) mod responses;
pub mod ring;
pub mod samples_table;
pub(crate) mod series_types;
pub(crate) mod server;
pub mod simulated_ow;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod strictness;
pub mod sync_run;
pub(crate) mod user;
pub mod vitals;
