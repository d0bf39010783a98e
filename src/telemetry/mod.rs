//!

pub(crate) mod logging;
pub(crate) mod metrics;
