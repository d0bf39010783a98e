//! The data set of a study: complete, documented, and the same by increments.

mod contents;
mod faults;
mod increments;
pub(crate) mod tables;
