//! Open Wearables: every call that is made to it, and how its answers are read.

mod client;
mod error;
mod page;
mod retry;

pub use client::{Client, Connection, PageRequest, PageSize};
pub use error::OwError;
pub use page::{BadRecord, Page, PageError, Record, RecordSource, parse as parse_page};
