//! kill -9 at any instant: the real binary runs between a simulated OW and a fake JHE that both fail at random. It is
//! killed at random times and at every failpoint, and started again.
//!
//! `JHE_OW_CRASH_ROUNDS=1000 JHE_OW_CRASH_SEED=7 cargo test --release --test crash` runs more rounds, or reproduces a
//! failure by its seed.

mod drill;
#[cfg(debug_assertions)]
mod failpoints;
mod support;
