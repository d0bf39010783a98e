//! The SQLite file: every line of SQL, the schema, the one writer and the read-only readers.
//!
//! Functions that read or write take a `&Connection`. They run inside
//! [`Store::read`](engine::store::Store::read) or [`Store::write`](engine::store::Store::write), which choose
//! the thread and the transaction. Instants are [`Timestamp`](crate::common::time::Timestamp)s, stored as
//! microseconds since the Unix epoch.

pub mod engine;
pub mod error;
pub mod operations;
pub mod outbox;
pub mod people;
pub(crate) mod privacy;
pub mod samples;
