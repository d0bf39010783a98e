//! Patients and practitioners: invitations, consents, devices, withdrawal and erasure.

mod collection_window;
mod consent;
mod consent_choices;
mod device_connection;
mod erasure;
mod invitation;
mod invitations_by_list;
mod jhe_consent;
mod jhe_invitation;
mod jhe_matching;
mod languages;
mod links_again;
mod practitioners;
mod reminders;
mod time_zone;
mod withdrawal;
