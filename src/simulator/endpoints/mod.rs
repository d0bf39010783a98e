//! OW's endpoints, a file for each group of routes. Bounds, limits, cursors and error texts are OW's own.

pub(crate) mod activity_summaries;
pub(crate) mod data_summary;
pub(crate) mod events;
pub(crate) mod oauth;
pub(crate) mod sleep_summaries;
pub(crate) mod sync_runs;
pub(crate) mod timeseries;
pub(crate) mod users;
