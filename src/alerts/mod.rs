//! Sends alerts by webhook and mail.
//!
//! `dispatch` applies the alert rules and sends what is queued, `message` renders, `webhook` sends.
//! Mail goes through `mail/smtp.rs`. `store_outage` sends the one alert that cannot be queued, and `suspend_detector` holds alerts back after a
//! suspend.

pub(crate) mod dispatch;
pub(crate) mod message;
pub(crate) mod store_outage;
pub(crate) mod suspend_detector;
pub(crate) mod webhook;
