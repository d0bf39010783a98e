//!

pub(crate) mod adherence;
pub(crate) mod chart;
pub mod code;
pub mod commit;
pub(crate) mod commit_number;
pub(crate) mod event;
pub(crate) mod merge;
pub mod observation;
pub mod raw_object;
pub(crate) mod rejected;
pub(crate) mod stream;
pub(crate) mod write_change;
