//! The SQLite file: every line of SQL, the schema, the one writer and the read-only readers.
//!
//! Functions that read or write take a `&Connection` and are handed to [`Store::read`] or
//! [`Store::write`]: those decide on which thread and in which transaction they run. Instants are
//! [`Timestamp`](crate::time::Timestamp)s, kept as microseconds since the Unix epoch.

pub mod engine;
pub mod error;
pub mod operations;
pub mod outbox;
pub mod people;
pub(crate) mod privacy;
pub mod samples;
