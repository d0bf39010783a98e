//! Open Wearables: every call that is made to it, and how its answers are read.

mod client;
mod connection;
mod connector;
mod error;
mod examine;
mod page;
mod runs;

pub use client::{Client, Counts, Feed, LONGEST_EVENT, PageRequest, PageSize};
pub use connection::Connection;
pub use connector::{Authorize, CallError, Connector, Provider, Returned};
pub use error::OwError;
pub use examine::{Greeting, Offered, Traits};
pub use page::{
    BadRecord, EventPage, Page, PageError, Record, RecordSource, parse as parse_page, parse_events,
    parse_record,
};
pub use runs::SyncRun;
