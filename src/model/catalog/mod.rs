//! What becomes what: of OW's types and events, through Open mHealth's schemas, to the codes that patients consent to.
//!
//! One table, [`SERIES`], says it; what a poll asks for, what a consent page offers, what is converted, exported and
//! drawn follows from it.

pub mod code;
pub mod endpoint;
pub mod series;
pub mod series_type;
pub(crate) mod source;
pub(crate) mod unit;
