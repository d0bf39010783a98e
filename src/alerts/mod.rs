//!

pub(crate) mod dispatch;
pub(crate) mod mail;
pub(crate) mod message;
pub(crate) mod store_outage;
pub(crate) mod suspend_detector;
pub(crate) mod webhook;
