//! skeleton
#![allow(missing_docs)]
pub mod clock;
pub mod failure;
pub mod time;
