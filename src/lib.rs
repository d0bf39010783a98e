//! skeleton
pub mod catalog;
pub mod clock;
pub mod config;
pub mod failure;
pub mod intervals;
pub mod omh;
pub mod ow;
pub mod patient;
pub mod poll;
pub mod settings;
pub mod store;
pub mod time;
