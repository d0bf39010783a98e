//! What is told to people who do not look at the pages: that a patient is silent, that nobody is read, that observations
//! do not get to JHE, that nothing can be kept. Each once, without anything measured and without a name.

pub(crate) mod dispatch;
pub(crate) mod mail;
pub(crate) mod message;
pub(crate) mod store_outage;
pub(crate) mod suspend_detector;
pub(crate) mod webhook;
