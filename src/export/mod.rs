//! Delivers the outbox to JHE: in batches, a few at a time, and never two requests with one patient at the
//! same time.
//!
//! `exporter` takes entries from the outbox, `send_batch` sends them and gives each one verdict, `classify`
//! reads JHE's responses, `look_up` compares entries with what JHE has, and `adopt_existing` finds observations that another client has delivered.

pub(crate) mod adopt_existing;
pub(crate) mod batch;
pub(crate) mod classify;
pub mod exporter;
pub(crate) mod look_up;
pub(crate) mod send_batch;
