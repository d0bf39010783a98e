//! `jhe-ow` links patients to an Open Wearables (OW) backend, polls it, and keeps every sample of
//! theirs exactly once, as Open mHealth (OMH) observations.
//!
//! # The way of a sample
//!
//! ```text
//! serve (or poll) -> poll::tick -> the lock -> who is linked and consents (store::plan)
//!     -> which time (poll::windows) -> every page of it (ow::Client, ow::parse_page)
//!        in raw mode: which days (poll::days) -> every object of them (raw::Bucket, raw::Body)
//!     -> omh::convert -> poll::collect -> store::commit: one transaction of observations, counters, marks
//!     -> for JHE's patients in the same transaction store::outbox -> export, which asks JHE for consent again
//! observations -> store::observation -> omh::omh_document, the same bytes every time
//! ```
//!
//! # The map
//!
//! - [`cli`]: the commands; [`config`]: what a process needs to start; [`settings`]: what is flipped while
//!   it runs
//! - [`store`]: all SQL, the schema, the writer thread
//! - [`ow`]: all calls to OW; [`raw`]: all calls to S3, where it stores the provider's own payloads
//! - [`jhe`]: all calls to JHE; [`consents`] and [`mirror`]: its consents here; [`export`]: the outbox drains, and
//!   what others have delivered is adopted; [`matching`]: who of JHE's patients one of ours is
//! - [`hints`]: who may have new data between ticks
//! - [`adherence`]: days with data
//! - [`silence`]: why nothing comes in of a patient; [`alert`]: who is told of it; [`signature`]: of webhooks
//! - [`withdrawal`]: what is erased once its consent is withdrawn
//! - [`omh`]: conversion, identity, rendering; [`catalog`]: what becomes what
//! - [`poll`]: windows, schedule, turns, backfills
//! - [`web`]: the pages and the server; [`tally`]: what days come to, for the charts
//! - [`doctor`]: whether everything is there that all of this needs
//! - [`demo`]: the demonstration, and the simulated OW that the tests use too
//! - [`account`], [`study`], [`invitation`], [`stage`], [`token`], [`password`]: people, what they are asked,
//!   how far they have come, and their secrets
//! - [`log`], [`metrics`]: what whoever runs it is told
//! - [`time`], [`clock`], [`intervals`], [`patient`], [`context`], [`particulars`], [`naming`], [`failure`]: the words they
//!   share

mod alerts;
mod app;
pub mod cli;
pub mod common;
pub mod config;
mod consent;
mod daemon;
mod demo;
mod doctor;
pub mod export;
#[doc(hidden)]
pub mod fuzz;
pub mod jhe;
pub mod model;
pub mod omh;
pub mod ow;
pub mod poll;
pub mod raw;
pub mod secrets;
pub mod simulator;
pub mod store;
mod telemetry;
mod web;
