//! Makes a checked copy of the store while other processes write to it. The copy gets its name only once it
//! is complete and on the disk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::common::{failure::Failure, time::Timestamp};
use crate::store::engine::data_directory::{self, FILE_NAME};
use crate::store::engine::{directory_lock, inspect};
use crate::store::error::{StoreError, StoreResult};

/// Pages copied between two checks for cancellation: a few milliseconds of work.
const PAGES_PER_STEP: i32 = 500;
/// Pause before the retry of a step that found the file locked.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);
/// SQLite instructions between two checks for cancellation while a copy is verified: about a millisecond.
const INSTRUCTIONS_PER_CHECK: i32 = 100_000;
/// Prefix of the directories that hold unfinished copies.
pub(crate) const TEMPORARY_PREFIX: &str = ".jhe-ow-unfinished-";
/// The default directory of backups, inside the data directory.
pub(crate) const DIRECTORY: &str = "backups";

/// A finished backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    pub path: PathBuf,
    pub bytes: u64,
    pub contents: Contents,
}

/// The size of a store and the time of its last activity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    pub observations: i64,
    /// The last tick or audited action; none in an empty store.
    pub last: Option<Timestamp>,
}

impl Contents {
    pub(crate) fn of(db: &Connection) -> rusqlite::Result<Self> {
        let observations = db.query_row("SELECT count(*) FROM observations", [], |row| row.get(0))?;
        let last = db.query_row(
            "SELECT max(at) FROM (SELECT max(coalesce(ended_at, started_at)) AS at FROM runs
                                  UNION ALL SELECT max(recorded_at) FROM audit_entries)",
            [],
            |row| row.get(0),
        )?;
        Ok(Self { observations, last })
    }
}

/// Copies everything committed to the store in `directory` to `target`. Writers are not blocked. After a
/// failure or a cancellation there is no new file.
pub fn create(
    directory: &Path,
    target: &Path,
    force: bool,
    cancel: &CancellationToken,
) -> Result<BackupFile, Failure> {
    let (source, _lock) = open_source(directory)?;
    if !force && target.symlink_metadata().is_ok() {
        return Err(already_exists(target));
    }
    if is_same_file(target, &directory.join(FILE_NAME)) {
        return Err(Failure::usage(format!("{} is the store itself", target.display()), "name another file"));
    }
    copy_to(&source, target, force, cancel)
}

/// Makes a backup in a private directory of the data directory, which is deleted with the returned handle.
pub(crate) fn create_temporary(
    directory: &Path,
    cancel: &CancellationToken,
) -> Result<(TempDir, BackupFile), Failure> {
    let (source, _lock) = open_source(directory)?;
    let temporary = temporary_directory(directory).map_err(|error| {
        Failure::failed(
            format!("the backup cannot be made in {}: {error}", directory.display()),
            "make room there, and give this user the right to write",
        )
    })?;
    let made = copy_to(&source, &temporary.path().join(FILE_NAME), false, cancel)?;
    Ok((temporary, made))
}

/// Opens the store in `directory` for a copy, and keeps a restore out as long as the lock is held.
fn open_source(directory: &Path) -> Result<(Connection, File), Failure> {
    let path = directory.join(FILE_NAME);
    if !path.exists() {
        return Err(Failure::failed(
            format!("there is no store in {}", directory.display()),
            "name its data directory with --data-dir or JHE_OW_DATA_DIR",
        ));
    }
    let lock = directory_lock::lock_shared(directory)?;
    // Opening the file creates a log beside it. If there is no log yet, no process has the store open, and
    // `inspect` can refuse a wrong file without writing anything.
    if !inspect::wal_path(&path).exists() {
        inspect::inspect(&path)?;
    }
    let source = inspect::open_reader(&path).map_err(|error| inspect::failure_for(&path, &error))?;
    if inspect::inspect_open(&source, &path)?.is_empty() {
        return Err(Failure::failed(format!("{} is empty", path.display()), "jhe-ow seed"));
    }
    Ok((source, lock))
}

/// Creates a directory for unfinished copies, which only its owner can read and which is deleted in any case.
pub(crate) fn temporary_directory(parent: &Path) -> std::io::Result<TempDir> {
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir_in(parent)
}

/// Returns true if both paths lead to one existing file.
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

/// Copies a snapshot of `source` to a file that appears complete or not at all.
fn copy_to(
    source: &Connection,
    target: &Path,
    force: bool,
    cancel: &CancellationToken,
) -> Result<BackupFile, Failure> {
    let parent = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let unwritable = |error: &dyn std::fmt::Display| {
        Failure::failed(
            format!("the backup {} cannot be written: {error}", target.display()),
            "name a file in an existing directory with free space that this user may write to",
        )
    };
    let failure = |error: StoreError| match error {
        StoreError::Closed => {
            Failure::failed("the backup was stopped", "start it again; no unfinished file was left behind")
        }
        StoreError::Damaged(_) => inspect::failure_for(Path::new(FILE_NAME), &error),
        error => unwritable(&error),
    };
    // The copy gets its own directory because SQLite may create files beside it.
    let temporary = temporary_directory(parent).map_err(|error| unwritable(&error))?;
    let copied = tempfile::NamedTempFile::new_in(temporary.path()).map_err(|error| unwritable(&error))?;
    // An open transaction keeps one snapshot: without it, each write of another process would restart the
    // copy.
    let snapshot = source.unchecked_transaction().map_err(|error| failure(error.into()))?;
    let schema = inspect::inspect_open(&snapshot, target)?;
    copy(&snapshot, copied.path(), cancel).map_err(failure)?;
    drop(snapshot);
    let contents = check(copied.path(), cancel).map_err(failure)?;
    if inspect::inspect(copied.path())? != schema {
        return Err(unwritable(&"the copy has another schema than the store"));
    }
    copied.as_file().sync_all().map_err(|error| unwritable(&error))?;
    let renamed = if force { copied.persist(target) } else { copied.persist_noclobber(target) };
    let file = renamed.map_err(|failed| match failed.error.kind() {
        std::io::ErrorKind::AlreadyExists => already_exists(target),
        _ => unwritable(&failed.error),
    })?;
    sync_directory(parent).map_err(|error| unwritable(&error))?;
    let bytes = file.metadata().map_err(|error| unwritable(&error))?.len();
    Ok(BackupFile { path: target.to_owned(), bytes, contents })
}

/// Copies `source` page by page. If others may write to `source`, the caller opens a transaction on it first.
pub(crate) fn copy(source: &Connection, to: &Path, cancel: &CancellationToken) -> StoreResult<()> {
    let mut target = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // An unfinished copy is thrown away: it needs no journal, and one sync at its end is enough.
    target.pragma_update(None, "journal_mode", "OFF")?;
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(source, &mut target)?;
    loop {
        if cancel.is_cancelled() {
            return Err(StoreError::Closed);
        }
        match backup.step(PAGES_PER_STEP)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(LOCKED_PAUSE),
            _ => {}
        }
    }
}

/// Turns a copy into a single file without a log and checks every page of it.
pub(crate) fn check(path: &Path, cancel: &CancellationToken) -> StoreResult<Contents> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "journal_mode", "DELETE")?;
    drop(db);
    // Open the file again to read its real mode: SQLite may report the new mode even if it could not write
    // it.
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "delete" {
        return Err(StoreError::Disk(format!("the copy's journal mode stays {mode}")));
    }
    let cancelled = cancel.clone();
    db.progress_handler(INSTRUCTIONS_PER_CHECK, Some(move || cancelled.is_cancelled()))?;
    let checked = match inspect::check_integrity(&db) {
        Ok(None) => Contents::of(&db).map_err(StoreError::from),
        Ok(Some(found)) => Err(StoreError::Damaged(found)),
        Err(error) => Err(error),
    };
    if checked.is_err() && cancel.is_cancelled() { Err(StoreError::Closed) } else { checked }
}

/// Returns true for an error that says that another connection has locked the file.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// Makes renames in `directory` survive a loss of power.
pub(crate) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

fn already_exists(target: &Path) -> Failure {
    Failure::failed(
        format!("{} is there already", target.display()),
        "name another file, or add --force to replace it",
    )
}

/// Formats an instant for a file name: `20261121T120000Z`.
pub(crate) fn file_timestamp(at: Timestamp) -> String {
    let text: String = at.to_string().chars().filter(|c| !matches!(c, '-' | ':')).take(15).collect();
    text + "Z"
}

/// Copies the store to the default directory of backups before a migration to version `to`. Returns the
/// copy's path.
pub(crate) fn copy_before_migration(
    db: &Connection,
    directory: &Path,
    to: i64,
    now: Timestamp,
) -> Result<PathBuf, Failure> {
    let backups = directory.join(DIRECTORY);
    data_directory::create_directory(&backups)?;
    let target = backups.join(format!("pre-migration-V{to}-{}.sqlite3", file_timestamp(now)));
    Ok(copy_to(db, &target, true, &CancellationToken::new())?.path)
}

/// Creates a directory for backups, for its owner only, if it is missing.
pub(crate) fn create_directory(directory: &Path) -> Result<(), Failure> {
    data_directory::create_directory(directory).map_err(|failure| Failure {
        message: failure.message.replace("data directory", "directory of backups"),
        remedy: "name another with the setting backup.directory, or give this user the right to write there"
            .into(),
        ..failure
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::{self, OpenedFile};

    #[test]
    fn the_copy_before_a_migration_is_complete_and_named_for_the_new_schema() {
        let directory = tempfile::tempdir().unwrap();
        let OpenedFile { connection: db, .. } = open::open(directory.path()).unwrap();
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let copy = copy_before_migration(&db, directory.path(), 7, now).unwrap();
        assert_eq!(copy, directory.path().join("backups/pre-migration-V7-20261121T120000Z.sqlite3"));
        assert_eq!(inspect::inspect(&copy).unwrap(), inspect::inspect_open(&db, &copy).unwrap());
    }
}
