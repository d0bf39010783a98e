//!

pub(crate) mod activity;
pub mod activity_day;
#[cfg(test)]
pub(crate) mod captures;
pub(crate) mod control;
pub(crate) mod data_summary;
pub mod event;
pub(crate) mod events;
pub mod fault;
pub(crate) mod oauth;
pub(crate) mod oauth_state;
pub(crate) mod query;
pub mod requests_seen;
pub(crate) mod responses;
pub mod ring;
pub(crate) mod routes;
pub mod run;
pub(crate) mod runs;
pub mod samples_table;
pub(crate) mod series;
pub(crate) mod server;
pub(crate) mod shared;
pub mod sim;
pub(crate) mod sleep_summaries;
pub(crate) mod state;
#[cfg(test)]
pub(crate) mod strictness;
pub(crate) mod timeseries;
pub(crate) mod user;
pub mod vitals;
