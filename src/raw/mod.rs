//! The provider's own payloads, which OW stores in S3: every call that is made to it, and how an object is read.

pub(crate) mod access;
pub mod body;
pub(crate) mod body_error;
pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod record;
pub(crate) mod records;
