//! The catalogue: series types, codes, units, data sources and provider endpoints. A new series type is a row
//! in `series.rs`; a new code is a row in `code.rs`; a new data source is a row in `source.rs`.

pub mod code;
pub mod endpoint;
pub(crate) mod loinc;
pub mod method;
mod more_series;
pub mod quality;
pub mod series;
pub mod series_type;
pub(crate) mod source;
pub(crate) mod unit;
