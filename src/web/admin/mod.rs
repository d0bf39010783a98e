//! Pages for practitioners and operators, below `/admin`. One file per page; `staff` holds the shared parts.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod after_sign_in;
pub(crate) mod audit;
pub(crate) mod confirm;
pub(crate) mod export;
pub(crate) mod help;
pub(crate) mod home;
pub(crate) mod jhe_sign_in;
pub(crate) mod observations;
pub(crate) mod password;
pub(crate) mod patient;
pub(crate) mod patient_list;
pub(crate) mod patients;
pub(crate) mod payloads;
pub(crate) mod rejected;
pub(crate) mod restored;
pub(crate) mod second_factor;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod staff;
pub(crate) mod studies;
pub(crate) mod study;
pub(crate) mod study_window;
pub(crate) mod system;
