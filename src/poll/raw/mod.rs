//! Reads the providers' payloads from the S3 bucket, in raw mode.
//!
//! `days` plans which days to list, `listing` finds the objects to read, `reading` reads them within the
//! `turn_budget`, and `read_object` decodes and commits one object. `consented_series` decides what of an
//! object may be stored.

pub(crate) mod consented_series;
pub(crate) mod days;
pub(crate) mod listing;
pub(crate) mod patient_turn;
pub(crate) mod read_object;
pub(crate) mod reading;
pub(crate) mod turn_budget;
pub(crate) mod unread_objects;
