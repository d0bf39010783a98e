//! Reads new data from OW, or from the S3 bucket in raw mode, into the store.
//!
//! `tick` runs a poll: it takes the lock (`take_lock`), refreshes consents and gives each patient a turn
//! (`patient_turn`, `raw`). `windows` and `sweep_schedule` plan which time to read; `collect` and
//! `blood_pressure` gather converted samples for a commit. `backfill` reads the past in slices,
//! `yielding_run` is a poll that ends when another run wants the lock, `daily_checks` compares with OW once a
//! day, `preview` converts without storing.

pub(crate) mod backfill;
pub(crate) mod blood_pressure;
pub mod collect;
pub(crate) mod daily_checks;
pub(crate) mod patient_turn;
pub mod poller;
pub(crate) mod preview;
pub mod progress;
pub(crate) mod raw;
pub(crate) mod sweep_schedule;
pub(crate) mod take_lock;
pub mod tick;
pub(crate) mod turn_error;
pub(crate) mod windows;
pub(crate) mod yielding_run;
