//! `jhe-ow demo`: everything at once, with nothing else installed.

pub(crate) mod demonstration;
pub(crate) mod patients;
