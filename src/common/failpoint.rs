//! Points at which a crash test can abort the process, each between two steps that must both happen or both
//! not. Debug builds only: a release build holds neither the names nor the check of the environment.

/// Environment variable that names a point: `commit.marks`, or `commit.marks:3` for its third pass.
#[cfg(debug_assertions)]
pub const FAILPOINT_ENV: &str = "JHE_OW_FAILPOINT";

/// The points that a tick and an export pass.
#[cfg(debug_assertions)]
#[rustfmt::skip]
pub const NAMES: &[&str] = &[
    "lock.file", "lock.prepared", "lock.setting", "lock.row", "lock.renewed-setting", "lock.renewed",
    "lock.cleared-setting", "lock.cleared", "lock.released",
    "writer.begun", "writer.job", "writer.commit", "writer.committed",
    "commit.checked", "commit.stream", "commit.newest", "commit.aliases", "commit.part",
    "commit.rejected", "commit.paired", "commit.marks", "commit.counted",
    "change.kept", "change.placed", "change.replaced", "change.revised", "change.queued",
    "outbox.leased", "outbox.done", "outbox.again",
    "export.locked", "export.taken", "export.sent", "export.settled",
];

/// The points that the erasure of a patient passes.
#[cfg(debug_assertions)]
pub const ERASURE: &[&str] =
    &["erase.begun", "erase.ended", "erase.some", "erase.rows", "erase.gone", "erase.vacuumed"];

/// Aborts the process if the environment names this point.
#[cfg(debug_assertions)]
pub(crate) fn at(name: &'static str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static CHOSEN: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let value = std::env::var(FAILPOINT_ENV).ok()?;
        let (name, pass) = value.split_once(':').unwrap_or((&value, "1"));
        Some((name.to_owned(), pass.parse().ok()?))
    });
    static PASSED: AtomicU32 = AtomicU32::new(0);

    let is_listed = NAMES.contains(&name) || ERASURE.contains(&name);
    debug_assert!(is_listed, "{name} is in no list, so no crash test covers it");
    if let Some((chosen, pass)) = CHOSEN.as_ref()
        && chosen == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *pass
    {
        std::process::abort();
    }
}

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn at(_name: &'static str) {}
