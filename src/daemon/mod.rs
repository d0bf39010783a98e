//! The running daemon: start-up, the ticker and the other loops, systemd's watchdog, signals and shutdown.

pub(crate) mod background_loops;
pub(crate) mod hints;
pub(crate) mod historical_reads;
pub(crate) mod mails;
pub(crate) mod run;
pub(crate) mod signals;
pub(crate) mod startup;
pub(crate) mod systemd;
pub(crate) mod watchdog;
