//! `jhe-ow demo`: the daemon, a simulated OW and simulated patients in one process, with nothing else
//! installed.

pub(crate) mod demonstration;
pub(crate) mod patients;
