//! kill -9 at any instant: the real binary between a simulated OW and a fake JHE that both fail at random, killed at
//! random points and at every named one, and started again.
//!
//! `JHE_OW_CRASH_ROUNDS=1000 JHE_OW_CRASH_SEED=7 cargo test --release --test crash` for more rounds, or for those that
//! a failure named.

mod drill;
#[cfg(debug_assertions)]
mod failpoints;
mod support;
