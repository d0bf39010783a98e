//! S3, where OW stores the provider's own payloads: every call to it, and the reading of an object.
//!
//! [`client`] lists and fetches objects. [`body`] decompresses their bytes and feeds them to [`records`],
//! which finds the records; [`record`] parses one.

pub(crate) mod access;
pub mod body;
pub(crate) mod body_error;
pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod record;
pub(crate) mod records;
