//! The outbox drains to JHE: in batches, a few at a time, one patient's observations never in two at once.

pub(crate) mod adopt_existing;
pub(crate) mod batch;
pub(crate) mod classify;
pub mod exporter;
pub(crate) mod send_batch;
