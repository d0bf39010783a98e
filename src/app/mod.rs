//! The shared state of a running daemon (`state`), and the services that pages and commands both use:
//! inviting a patient, connecting a device, calling JHE as a patient, matching patients, signing in.

pub(crate) mod background_polls;
pub(crate) mod backup_rotation;
pub(crate) mod bucket_check;
pub(crate) mod bucket_status;
pub(crate) mod bulk_jobs;
pub(crate) mod connect_device;
pub(crate) mod daemon_status;
pub(crate) mod device_offers;
pub(crate) mod enrolment_stage;
pub(crate) mod hint_queue;
pub(crate) mod instance;
pub(crate) mod invite;
pub(crate) mod kept_forms;
pub(crate) mod last_use;
pub(crate) mod match_patients;
pub(crate) mod new_link;
pub(crate) mod offer_cache;
pub(crate) mod open_authorizations;
pub(crate) mod patient_token_cache;
pub(crate) mod patient_tokens;
pub(crate) mod people_list;
pub(crate) mod poll_jobs;
pub(crate) mod rate_limit;
pub(crate) mod read_token;
pub(crate) mod readiness;
pub(crate) mod repeated_events;
pub(crate) mod second_factor;
pub(crate) mod session;
pub(crate) mod sign_in_attempts;
pub(crate) mod sign_in_link;
pub(crate) mod state;
pub(crate) mod store_probe;
pub(crate) mod study_data;
pub(crate) mod study_shares;
pub(crate) mod webhook_warnings;
