//! kill -9 at any instant: the real binary between a simulated OW and a fake JHE that both fail at random, killed at
//! random points and at every named one, and started again.
//!
//! `JHE_OW_CRASH_ROUNDS=1000 JHE_OW_CRASH_SEED=7 cargo test --release --test crash` for more rounds, or for those that
//! a failure named.

#[path = "../promises/bucket.rs"]
#[expect(dead_code, reason = "the promises use what this drill does not")]
mod bucket;
mod drill;
#[cfg(debug_assertions)]
mod failpoints;
mod wards;

#[path = "../promises/fake_jhe/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the promises use what this drill does not")]
mod fake_jhe;
#[path = "../promises/harness.rs"]
#[expect(dead_code, reason = "the promises use what this drill does not")]
mod harness;
#[path = "../promises/served.rs"]
#[expect(dead_code, reason = "the promises use what this drill does not")]
mod served;
