//! Domain types and rules without input or output: patients, consents, samples, observations, silence,
//! alerts. The clock is always a parameter. `catalog/` is the table of series types, codes, units and data
//! sources.

pub mod account;
pub(crate) mod activity_context;
pub mod adherence;
pub(crate) mod alert;
pub(crate) mod audit_detail;
pub mod bucket_day;
pub mod catalog;
pub(crate) mod chart_data;
pub mod collection_window;
pub(crate) mod commit_counts;
pub mod consent_intervals;
pub(crate) mod consent_reconciliation;
pub mod consent_standing;
pub(crate) mod data_source_names;
pub(crate) mod day_totals;
pub(crate) mod error_kind;
pub(crate) mod event_census;
pub(crate) mod export_health;
pub(crate) mod jhe_consents;
pub(crate) mod jhe_practitioner;
pub(crate) mod mail;
pub(crate) mod metric_values;
pub mod observation;
pub(crate) mod outbox_counts;
pub mod participant;
pub mod patient;
pub mod sample;
pub(crate) mod sample_details;
pub mod silence;
pub mod stream_key;
pub mod study;
pub(crate) mod time_zones;
