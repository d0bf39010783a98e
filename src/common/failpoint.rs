//! Places at which a drill lets the process die, each between two steps that must stand or fall together. In debug
//! builds only: a release build holds neither the names nor the look at the environment.

/// Environment variable that names the place: `commit.marks`, or `commit.marks:3` for the third time it is passed.
#[cfg(debug_assertions)]
pub const FAILPOINT_ENV: &str = "JHE_OW_FAILPOINT";

/// Every place, as they are passed by a tick and an export.
#[cfg(debug_assertions)]
pub const NAMES: &[&str] = &[
    "lock.file",
    "lock.prepared",
    "lock.setting",
    "lock.row",
    "lock.renewed-setting",
    "lock.renewed",
    "lock.cleared-setting",
    "lock.cleared",
    "lock.released",
    "writer.begun",
    "writer.job",
    "writer.commit",
    "writer.committed",
    "commit.checked",
    "commit.stream",
    "commit.newest",
    "commit.aliases",
    "commit.part",
    "commit.rejected",
    "commit.paired",
    "commit.marks",
    "commit.counted",
    "change.kept",
    "change.placed",
    "change.replaced",
    "change.revised",
    "change.queued",
    "outbox.leased",
    "outbox.done",
    "outbox.again",
    "export.locked",
    "export.taken",
    "export.sent",
    "export.settled",
];

/// The places that the erasure of a patient passes.
#[cfg(debug_assertions)]
pub const ERASURE: &[&str] =
    &["erase.begun", "erase.ended", "erase.some", "erase.rows", "erase.gone", "erase.vacuumed"];

/// Ends the process here, as abruptly as a crash does, where a drill asked for it.
#[cfg(debug_assertions)]
pub(crate) fn at(name: &'static str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ASKED: LazyLock<Option<(String, u32)>> = LazyLock::new(|| {
        let asked = std::env::var(FAILPOINT_ENV).ok()?;
        let (name, time) = asked.split_once(':').unwrap_or((&asked, "1"));
        Some((name.to_owned(), time.parse().ok()?))
    });
    static PASSED: AtomicU32 = AtomicU32::new(0);

    let is_walked = NAMES.contains(&name) || ERASURE.contains(&name);
    debug_assert!(is_walked, "{name} is not in a list that a drill walks");
    if let Some((asked, time)) = ASKED.as_ref()
        && asked == name
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *time
    {
        std::process::abort();
    }
}

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn at(_name: &'static str) {}
