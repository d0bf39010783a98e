//! Open mHealth: samples become data points, and data points documents. Pure, without I/O.

mod convert;
mod identity;
mod read;
pub mod reference;
mod render;

pub use convert::{Point, convert, convert_raw};
pub use identity::identifier;
pub use read::measured;
pub use render::{
    BEATS_PER_MINUTE, CSV_HEADER, csv_record, fhir_observation, identifier_value, omh_document,
};
