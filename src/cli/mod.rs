//! The command line. Each command has one file that parses its arguments, calls the service, and prints the
//! result.

pub(crate) mod adherence;
pub(crate) mod admin;
pub(crate) mod adopt;
pub(crate) mod alerts;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod catalog;
pub(crate) mod convert;
pub(crate) mod data_directory_check;
pub(crate) mod dataset;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod help_examples;
pub(crate) mod invite;
pub(crate) mod man;
pub(crate) mod observations;
pub(crate) mod patient;
pub(crate) mod patient_erase;
pub(crate) mod patient_export;
pub(crate) mod patient_import;
pub(crate) mod patient_list;
pub(crate) mod patient_match;
pub(crate) mod poll;
pub(crate) mod progress_display;
pub(crate) mod prompt;
pub(crate) mod ready;
pub(crate) mod rejected;
pub mod run;
pub(crate) mod secrets;
pub(crate) mod seed_and_migrate;
pub(crate) mod settings;
pub(crate) mod study;
pub(crate) mod token;
