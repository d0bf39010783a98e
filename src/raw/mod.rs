//! The provider's own payloads, which OW stores in S3: every call that is made to it, and how an object is read.

mod access;
mod body;
mod client;
mod error;
mod key;
mod record;
mod records;

pub use access::Access;
pub use body::{Body, BodyError, Found};
pub use client::{Bucket, Listed, Listing, Payload};
pub use error::RawError;
pub use key::{Day, Layout, Place, UNDATED};
pub use record::{RawRecord, Unreadable, read as read_record, read_value};
