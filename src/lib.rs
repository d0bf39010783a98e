//! `jhe-ow` links patients to an Open Wearables (OW) backend, polls it, stores each sample exactly once as an
//! Open mHealth (OMH) observation, and delivers observations to `JupyterHealth` Exchange (JHE) over FHIR.
//!
//! Dependencies point down only. The folders, from top to bottom:
//!
//! | folder | contents |
//! |---|---|
//! | [`cli`] | one file per command |
//! | `demo`, `doctor` | the demonstration; the checks of `jhe-ow doctor` |
//! | `daemon` | start-up, the ticker and the other loops, shutdown |
//! | `web` | pages and API, one file per page or form |
//! | `app` | shared state of a running daemon; services that commands and pages both use |
//! | [`poll`], [`export`], `alerts` | reading OW or S3; delivery to JHE; notifications |
//! | `mail` | the connection to the mail server; the mails to patients |
//! | `dataset` | a study's data set for researchers |
//! | [`fhir`] | a study's data as FHIR resources: search and bulk export |
//! | `consent` | refresh of consents from JHE; erasure after a withdrawal |
//! | [`store`] | all SQL: engine, samples, people, outbox, operations, privacy |
//! | [`omh`] | conversion of records; rendering as OMH, FHIR and CSV |
//! | [`ow`], [`jhe`], [`raw`] | all remote calls to OW, JHE and S3 |
//! | `telemetry`, [`config`], [`secrets`] | logs, metrics; configuration, settings; tokens, passwords |
//! | [`model`] | domain types and rules without input or output; the catalogue of series types |
//! | [`i18n`] | the languages of patients' pages |
//! | [`common`] | time, clock, back-off, redaction, errors |
//! | [`simulator`], [`fuzz`] | the simulated OW of demonstration and tests; fuzzing |
//!
//! `docs/ARCHITECTURE.md` follows a sample, an invitation, a withdrawal and an alert through these folders.

mod alerts;
mod app;
pub mod cli;
pub mod common;
pub mod config;
mod consent;
mod daemon;
mod dataset;
mod demo;
mod doctor;
pub mod export;
pub mod fhir;
#[doc(hidden)]
pub mod fuzz;
pub mod i18n;
pub mod jhe;
mod mail;
pub mod model;
pub mod omh;
pub mod ow;
pub mod poll;
pub mod raw;
pub mod secrets;
pub mod simulator;
pub mod store;
mod telemetry;
pub mod web;
