//! People and consent: patients and their links to OW, studies, invitations, consents, connected devices,
//! accounts of staff, and sessions.
//!
//! The files whose names begin with `jhe_` store what JHE says about patients and practitioners.

pub(crate) mod account;
pub(crate) mod api_token;
pub(crate) mod collection_window;
pub mod consent;
pub mod data_source;
pub(crate) mod device_connection;
pub(crate) mod download;
pub(crate) mod invitation;
pub mod jhe_consent;
pub(crate) mod jhe_practitioner;
pub(crate) mod jhe_token;
pub(crate) mod known_browser;
pub(crate) mod mail;
pub(crate) mod mail_text;
pub mod participant;
pub mod patient;
pub(crate) mod patient_language;
pub(crate) mod reminder;
pub(crate) mod second_factor;
pub(crate) mod session;
pub(crate) mod study;
pub(crate) mod study_text;
pub(crate) mod time_zone;
pub(crate) mod visibility;
