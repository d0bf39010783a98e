//! Helpers: the binary, the simulated OW, a fake JHE, a bucket, a browser.

pub mod alert_receivers;
pub mod authenticator;
pub mod browser;
pub mod browser_stage;
pub mod bucket;
pub mod clinic;
pub mod command_lines;
pub mod connected_world;
pub mod doctor;
pub mod erasure;
pub mod fake_jhe;
pub mod harness;
pub mod hints;
pub mod jhe_patient;
pub mod notebook;
pub mod page_texts;
pub mod raw_payloads;
pub mod running_daemon;
pub mod secrets;
pub mod watched_patient;
