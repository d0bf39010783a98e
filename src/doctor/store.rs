//! The store: its directory, its file, whether that is sound, and its backups.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use crate::app::backup_rotation;
use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::config::settings::Snapshot;
use crate::doctor::disk;
use crate::doctor::finding::{Finding, length};
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::inspect::Migration;
use crate::store::engine::{inspect, integrity, open, setting};

/// Up to this size the file is checked without being asked for it, which takes about a second.
const CHECKED: u64 = 64 * 1024 * 1024;
const MIB: u64 = 1024 * 1024;
/// A backup may be this much late: it is tried again every ten minutes, and a machine may have been off.
const LATE: Duration = Duration::from_hours(6);
/// Rights of others than the owner.
const OTHERS: u32 = 0o077;

/// A store that can be read.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    pub(crate) settings: Snapshot,
    /// Whether it has the schema of this program.
    pub(crate) is_current: bool,
    bytes: u64,
}

/// Looks at directory and file, and opens that for reading where it can be.
pub(crate) fn open(directory: &Path) -> (Vec<Finding>, Option<Opened>) {
    let mut findings = vec![usable(directory)];
    if directory.is_dir() {
        findings.extend(rights(directory, "directory"));
        findings.extend(disk::look(directory));
    }
    if let Err(failure) = open::refuse_lost(directory) {
        findings.push(Finding::stops("store.file", failure.what, failure.next));
        return (findings, None);
    }
    let path = directory.join(FILE_NAME);
    // A file that cannot be seen is told of below.
    if matches!(path.try_exists(), Ok(false)) {
        findings.push(Finding::stops(
            "store.file",
            format!("there is no store in {} yet", directory.display()),
            "make it: jhe-ow seed",
        ));
        return (findings, None);
    }
    findings.extend(rights(&path, "file"));
    match read(directory, &path) {
        Ok((opened, schema)) => {
            findings.push(schema);
            (findings, Some(opened))
        }
        Err(failure) => {
            findings.push(Finding::stops("store.file", failure.what, failure.next));
            (findings, None)
        }
    }
}

fn read(directory: &Path, path: &Path) -> Result<(Opened, Finding), Failure> {
    // Before SQLite has the file open: this opens and closes it by other means, which would let go of SQLite's locks.
    let steps = inspect::migrations(directory)?;
    let db = integrity::reader(directory)?;
    let settings = match steps.first() {
        Some(first) if first.applied.is_some() => setting::all(&db)?,
        _ => Snapshot::default(),
    };
    let schema = schema(&steps);
    let is_current = schema.next.is_empty();
    let bytes = fs::metadata(path).map_or(0, |found| found.len());
    Ok((Opened { db, settings, is_current, bytes }, schema))
}

fn schema(steps: &[Migration]) -> Finding {
    let newest = steps.len();
    match steps.iter().filter(|step| step.applied.is_some()).count() {
        applied if applied == newest => {
            Finding::ok("store.schema", format!("the schema is this program's (V{newest})"))
        }
        applied => Finding::warning(
            "store.schema",
            format!("the schema is older than this program's (V{applied}, V{newest}), and was left as it is"),
            "start the daemon, or run jhe-ow seed: a copy is kept, then it is brought up to date",
        ),
    }
}

/// Whether files can be made in the directory, or in the nearest that is there.
fn usable(directory: &Path) -> Finding {
    let next = "give this user the right to write there, or name another with --data-dir or JHE_OW_DATA_DIR";
    let there = directory.ancestors().find(|one| one.exists()).unwrap_or(Path::new("/"));
    let is_there = there == directory;
    match tempfile::tempfile_in(there) {
        Ok(_) if is_there => {
            Finding::ok("store.directory", format!("{} can be written", directory.display()))
        }
        Ok(_) => Finding::ok("store.directory", format!("{} can be made", directory.display())),
        Err(error) => {
            let verb = if is_there { "written" } else { "made" };
            let what = format!("the data directory {} cannot be {verb}: {error}", directory.display());
            Finding::stops("store.directory", what, next)
        }
    }
}

fn rights(path: &Path, what: &str) -> Option<Finding> {
    let mode = fs::metadata(path).ok()?.permissions().mode();
    let narrow = if what == "directory" { "700" } else { "600" };
    (mode & OTHERS != 0).then(|| {
        Finding::warning(
            "store.rights",
            format!("others than its owner may use the {what} {} (mode {:o})", path.display(), mode & 0o777),
            format!("chmod {narrow} {}", path.display()),
        )
    })
}

/// Looks into the file, and for its backups.
pub(crate) fn look(opened: &Opened, directory: &Path, deep: bool, now: Timestamp) -> Vec<Finding> {
    vec![sound(opened, deep), backup(&opened.settings, directory, now)]
}

fn sound(opened: &Opened, deep: bool) -> Finding {
    let size = opened.bytes / MIB;
    if !deep && opened.bytes > CHECKED {
        let what = format!("whether the file is sound was not checked ({size} MiB): --deep does");
        return Finding::skipped("store.sound", what);
    }
    match integrity::soundness(&opened.db) {
        Ok(None) => Finding::ok("store.sound", format!("the file is sound ({size} MiB, all of it read)")),
        Ok(Some(wrong)) => damaged(&wrong),
        Err(error) => damaged(&error.to_string()),
    }
}

fn damaged(wrong: &str) -> Finding {
    // What SQLite says may go over lines.
    let wrong: Vec<&str> = wrong.split_whitespace().collect();
    Finding::stops(
        "store.sound",
        format!("the file is damaged: {}", wrong.join(" ")),
        "stop the daemon, keep a copy of the data directory, then: jhe-ow restore BACKUP",
    )
}

fn backup(settings: &Snapshot, data: &Path, now: Timestamp) -> Finding {
    let directory = backup_rotation::directory(settings, data);
    let by_hand = "jhe-ow backup FILE makes one by hand";
    let newest = backup_rotation::newest(&directory, now).map(|at| (at, now.since(at)));
    match (settings.backup_interval(), newest) {
        (None, _) => Finding::warning(
            "store.backup",
            "the daemon makes no backups (backup.interval = off)",
            "jhe-ow settings set backup.interval 1d, unless something else copies the store with jhe-ow backup",
        ),
        (Some(interval), Some((_, age))) if age <= interval + LATE => {
            Finding::ok("store.backup", format!("the newest backup is {} old", length(age)))
        }
        (Some(interval), Some((at, age))) => Finding::warning(
            "store.backup",
            format!(
                "the newest backup is {} old, of {at}; one is due every {}",
                length(age),
                length(interval)
            ),
            format!("see the daemon's log for why {} gets no other; {by_hand}", directory.display()),
        ),
        (Some(_), None) => Finding::warning(
            "store.backup",
            format!("there is no backup in {}", directory.display()),
            format!("the daemon makes the first one once it runs; {by_hand}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn a_large_file_is_checked_on_request_only() {
        let opened = |bytes| {
            let db = Connection::open_in_memory().unwrap();
            Opened { db, settings: Snapshot::default(), is_current: true, bytes }
        };
        let state = |bytes, deep| sound(&opened(bytes), deep).state;
        assert_eq!([state(CHECKED, false), state(CHECKED + 1, true)], [State::Ok; 2]);
        let left = sound(&opened(CHECKED * 10), false);
        assert_eq!(left.state, State::Skipped);
        assert!(left.what.contains("640 MiB") && left.what.contains("--deep"), "{}", left.what);
    }
}
