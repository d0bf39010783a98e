//! A tick: who is linked and consents, which time ranges to read, and every page of them into the store.
//!
//! `windows`, `days`, `schedule` and `collect` are pure; `turn` reads one patient, in raw mode with `listing`,
//! `objects` and `payload`; `daily` looks after it once a day; `entry` takes the lock; `tick` lets patients in and says how
//! it ended; `hinted` breaks off where somebody else wants it; `backfill` reads the past in slices;
//! `preview` converts records that are not stored.

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
