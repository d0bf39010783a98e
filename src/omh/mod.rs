//! Open mHealth: samples become data points, and data points documents. Pure, without I/O.

mod body;
mod convert;
mod day;
mod event;
mod identity;
mod oura;
mod read;
mod render;
mod show;

pub use convert::{Point, convert, convert_raw};
pub use event::{EventPoint, convert_event, event_start};
pub use identity::{identifier, uuid as uuid_at};
pub use oura::convert_oura;
pub use read::{is_measured, measured};
pub use render::{CSV_HEADER, csv_record, fhir_observation, identifier_value, omh_document, unit};
pub use show::{quantity, show};
