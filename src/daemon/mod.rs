//!

pub(crate) mod hints;
pub(crate) mod historical_reads;
pub(crate) mod run;
pub(crate) mod signals;
pub(crate) mod startup;
pub(crate) mod systemd;
pub(crate) mod watchdog;
