//! The HTTP server and its pages: practitioners' under `/admin`, patients' under `/ow` and `/clients/ow`, the
//! OAuth proxy and JHE's read API under `/api/v1`, the FHIR API under `/FHIR`, health and readiness. Each page's file exports its routes; `routes` lists
//! them all.
//!
//! Every page works without a script, and there are none.

pub(crate) mod access;
pub(crate) mod admin;
pub(crate) mod api;
pub(crate) mod body;
pub(crate) mod browser_name;
pub(crate) mod chart;
pub(crate) mod connections;
pub(crate) mod csrf;
pub(crate) mod fhir;
pub(crate) mod framing;
pub(crate) mod gate;
pub(crate) mod health;
pub(crate) mod icon;
pub(crate) mod jhe_api;
pub(crate) mod keep_form;
pub(crate) mod layout;
pub(crate) mod metrics;
pub(crate) mod multipart;
pub(crate) mod ow_webhook;
pub(crate) mod patient;
pub(crate) mod patient_access;
pub(crate) mod qr;
pub(crate) mod reader;
pub(crate) mod request;
pub(crate) mod request_id;
pub(crate) mod response;
pub(crate) mod route;
pub mod routes;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod start_page;
pub(crate) mod study_reader;
pub(crate) mod time_zone_options;
