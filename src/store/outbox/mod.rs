//! The outbox: observations that JHE has not acknowledged.
//!
//! `enqueue` inserts rows. `outbox` leases them to the export and applies JHE's verdicts. `one_of_two_modes`
//! ensures that a sample from both ingest modes is sent once. `adopt` and `delivered_elsewhere` handle
//! observations that another client has delivered.

pub(crate) mod adopt;
pub(crate) mod delivered_elsewhere;
pub mod enqueue;
pub(crate) mod one_of_two_modes;
#[expect(clippy::module_inception, reason = "the file holds the table of this name")]
pub mod outbox;
