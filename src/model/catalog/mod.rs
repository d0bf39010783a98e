//!

pub mod code;
pub mod endpoint;
pub mod series;
pub mod series_type;
pub(crate) mod source;
pub(crate) mod unit;
