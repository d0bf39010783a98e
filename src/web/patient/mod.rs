//! Patients' pages: from the invitation to a connected device, and the page of choices.

pub(crate) mod choices_actions;
pub(crate) mod choices_page;
pub(crate) mod collection;
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
pub(crate) mod link;
pub(crate) mod new_link;
pub(crate) mod reminders;
pub(crate) mod selected_devices;
pub(crate) mod signed_in;
pub(crate) mod stop_sharing;
pub(crate) mod take_over;
pub(crate) mod time_zone;
pub(crate) mod wording;
