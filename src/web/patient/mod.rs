//! Patients' pages: from an invitation to a connected device, and back whenever they like.

pub(crate) mod choices_actions;
pub(crate) mod choices_page;
pub(crate) mod connect;
pub(crate) mod connected;
pub(crate) mod consent_form;
pub(crate) mod consent_questions;
pub(crate) mod data;
pub(crate) mod device;
pub(crate) mod invitation;
pub(crate) mod jhe_consent_page;
pub(crate) mod jhe_consents;
pub(crate) mod jhe_invitation;
pub(crate) mod patient_dispatch;
pub(crate) mod signed_in;
pub(crate) mod wearing;
pub(crate) mod wording;
