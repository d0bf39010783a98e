//! Samples: streams, observations and their revisions, the transaction that commits them, and the reads for
//! pages, charts and reports.
//!
//! `commit` decides with `merge` and `event` which changes a batch of samples needs, and writes them with
//! `write_change`.

pub(crate) mod chart;
pub mod code;
pub mod commit;
pub(crate) mod commit_number;
pub mod data_hours;
pub mod dataset;
pub(crate) mod deleted_event;
pub(crate) mod event;
pub(crate) mod merge;
pub mod observation;
pub mod raw_object;
pub mod reading;
pub(crate) mod reframe;
pub(crate) mod rejected;
pub(crate) mod sample_offsets;
pub(crate) mod stream;
pub(crate) mod total_flag;
pub(crate) mod write_change;
