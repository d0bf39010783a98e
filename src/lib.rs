//! skeleton
pub mod catalog;
pub mod clock;
pub mod failure;
pub mod intervals;
pub mod patient;
pub mod store;
pub mod time;
