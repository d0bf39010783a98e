//! The data set of a study: complete, documented, and equal when built from increments.

mod contents;
mod faults;
mod increments;
pub(crate) mod tables;
