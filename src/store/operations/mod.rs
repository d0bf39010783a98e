//! The daemon's own tables: the tick lock, poll plans, backfills, the history of runs, counters, alerts, and
//! the check of sealed values.

pub(crate) mod alert_queue;
pub(crate) mod alert_rules;
pub(crate) mod backfill;
pub(crate) mod counter;
pub(crate) mod historical_reads;
pub(crate) mod hourly_counters;
pub(crate) mod metric_values;
pub(crate) mod patient_status;
pub(crate) mod patient_trouble;
pub(crate) mod poll_plan;
pub(crate) mod run_history;
pub(crate) mod sealed;
pub(crate) mod silence;
pub mod tick_lock;
pub(crate) mod window_change;
