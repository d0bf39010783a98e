//! The HTTP server and its pages: practitioners' under `/admin`, patients' under `/ow` and `/clients/ow`,
//! the OAuth proxy under `/api/v1`, health and readiness.
//!
//! Every page works without a script, and there are none.

pub(crate) mod admin;
pub(crate) mod api;
pub(crate) mod backups;
pub(crate) mod body;
pub(crate) mod chart;
pub(crate) mod csrf;
pub(crate) mod gate;
pub(crate) mod instance;
pub(crate) mod layout;
pub(crate) mod metrics;
pub(crate) mod ow_webhook;
pub(crate) mod patient;
pub(crate) mod rate_limit;
pub(crate) mod request;
pub(crate) mod request_id;
pub(crate) mod response;
pub(crate) mod routes;
pub(crate) mod server;
