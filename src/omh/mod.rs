//! Open mHealth: samples become data points, and data points documents. Pure, without I/O.

pub(crate) mod body;
pub mod convert;
pub(crate) mod day;
pub mod event;
pub(crate) mod identity;
pub(crate) mod oura;
pub(crate) mod read;
pub mod render;
pub(crate) mod show;
