//! Patients with their expected observations, and helpers shared with `tests/promises`.

#[path = "../../promises/support/bucket.rs"]
#[expect(dead_code, reason = "the promises use what this drill does not")]
pub mod bucket;
#[path = "../../promises/support/fake_jhe/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the promises use what this drill does not")]
pub mod fake_jhe;
#[path = "../../promises/support/harness.rs"]
#[expect(dead_code, reason = "the promises use what this drill does not")]
pub mod harness;
pub mod patients;
#[path = "../../promises/support/running_daemon.rs"]
#[expect(dead_code, reason = "the promises use what this drill does not")]
pub mod running_daemon;
