//! A copy of the store, made while others write: of one snapshot, checked, and whole or not there at all.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio_util::sync::CancellationToken;

use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::{data_directory, directory_lock, inspect};
use crate::store::error::StoreError;

/// Pages that are copied before it is looked whether to stop: some milliseconds.
const PAGES: i32 = 500;
/// How long a step waits for whoever locks the file.
const PAUSE: Duration = Duration::from_millis(20);
/// SQLite's instructions between two looks whether to stop, while a copy is checked: about a millisecond.
const INSTRUCTIONS: i32 = 100_000;
/// What the names of unfinished copies begin with.
pub(crate) const UNFINISHED: &str = ".jhe-ow-unfinished-";

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// What it has.
    pub contents: Contents,
}

/// How much a store has, and how far it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contents {
    /// Observations that are kept.
    pub observations: i64,
    /// The last thing that was noted: a tick, or an act of a person. None in an empty store.
    pub last: Option<Timestamp>,
}

impl Contents {
    /// Counts and looks.
    ///
    /// # Errors
    /// Where the tables cannot be read.
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

/// Copies the store in `directory` to `target`: everything that is committed by now. Whoever writes meanwhile is not
/// held up. The copy gets its name only once it is whole, checked and on the disk.
///
/// # Errors
/// Where there is no store, where `target` is there already and `force` is not given, where it cannot be written,
/// where the copy is not sound, or where `cancel` ends it. Then there is no new file.
pub fn make(
    directory: &Path,
    target: &Path,
    force: bool,
    cancel: &CancellationToken,
) -> Result<Made, Failure> {
    let path = directory.join(FILE_NAME);
    if !path.exists() {
        return Err(Failure::failed(
            format!("there is no store in {}", directory.display()),
            "name its data directory with --data-dir or JHE_OW_DATA_DIR",
        ));
    }
    let _claim = directory_lock::share(directory)?;
    if !force && target.symlink_metadata().is_ok() {
        return Err(exists(target));
    }
    if let (Ok(target), Ok(path)) = (target.canonicalize(), path.canonicalize())
        && target == path
    {
        return Err(Failure::usage(format!("{} is the store itself", target.display()), "name another file"));
    }
    // Reading leaves a log beside the file. Without one no process has the store open, and a file that is refused can be
    // refused before that.
    if !inspect::log_of(&path).exists() {
        inspect::inspect(&path)?;
    }
    let source = inspect::reader(&path).map_err(|error| inspect::trouble(&path, &error))?;
    if inspect::inspect_open(&source, &path)?.is_empty() {
        return Err(Failure::failed(format!("{} is empty", path.display()), "jhe-ow seed"));
    }
    copy_to(&source, target, force, cancel)
}

/// Copies what `source` shows to a file that appears whole or not at all.
pub(crate) fn copy_to(
    source: &Connection,
    target: &Path,
    force: bool,
    cancel: &CancellationToken,
) -> Result<Made, Failure> {
    let beside = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let unwritable = |error: &dyn std::fmt::Display| {
        Failure::failed(
            format!("the backup {} cannot be written: {error}", target.display()),
            "name a file in a directory that is there, has room, and that this user may write to",
        )
    };
    // A directory, for SQLite may leave files beside its own; gone again whatever happens. Readable for its owner only.
    let workshop = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(beside);
    let workshop = workshop.map_err(|error| unwritable(&error))?;
    let unfinished = tempfile::NamedTempFile::new_in(workshop.path()).map_err(|error| unwritable(&error))?;
    let told = |error: StoreError| match error {
        StoreError::Closed => {
            Failure::failed("the backup was stopped", "make it again; nothing is left of it")
        }
        StoreError::Damaged(_) => inspect::trouble(&PathBuf::from(FILE_NAME), &error),
        error => unwritable(&error),
    };
    // The snapshot stays as it is for as long as this transaction is open: no step begins anew when somebody writes.
    let snapshot = source.unchecked_transaction().map_err(|error| told(error.into()))?;
    let schema = inspect::inspect_open(&snapshot, target)?;
    copy(&snapshot, unfinished.path(), cancel).map_err(told)?;
    drop(snapshot);
    let contents = check(unfinished.path(), cancel).map_err(told)?;
    if inspect::inspect(unfinished.path())? != schema {
        return Err(unwritable(&"the copy has another schema than the store"));
    }
    unfinished.as_file().sync_all().map_err(|error| unwritable(&error))?;
    let named = if force { unfinished.persist(target) } else { unfinished.persist_noclobber(target) };
    let file = named.map_err(|failed| match failed.error.kind() {
        std::io::ErrorKind::AlreadyExists => exists(target),
        _ => unwritable(&failed.error),
    })?;
    sync_directory(beside).map_err(|error| unwritable(&error))?;
    let bytes = file.metadata().map_err(|error| unwritable(&error))?.len();
    Ok(Made { path: target.to_owned(), bytes, contents })
}

/// Copies what `source` shows, page by page. It has to have a transaction open where others may write.
pub(crate) fn copy(source: &Connection, to: &Path, cancel: &CancellationToken) -> Result<(), StoreError> {
    let mut target = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A copy that is not finished is thrown away: it needs no journal, and is synced once, at its end.
    target.pragma_update(None, "journal_mode", "OFF")?;
    target.pragma_update(None, "synchronous", "OFF")?;
    let backup = Backup::new(source, &mut target)?;
    loop {
        if cancel.is_cancelled() {
            return Err(StoreError::Closed);
        }
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => std::thread::sleep(PAUSE),
            _ => {}
        }
    }
}

/// Makes a copy one file, which needs no log beside it, and checks every page of it.
pub(crate) fn check(path: &Path, cancel: &CancellationToken) -> Result<Contents, StoreError> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.pragma_update(None, "journal_mode", "DELETE")?;
    drop(db);
    // Opened anew, to see what is in the file. SQLite may say that the mode is changed where it could not write it.
    let mut db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "delete" {
        return Err(StoreError::Disk(format!("the copy's journal mode stays {mode}")));
    }
    let cancelled = cancel.clone();
    db.progress_handler(INSTRUCTIONS, Some(move || cancelled.is_cancelled()))?;
    let checked = is_sound(&db).and_then(|()| Ok(Contents::of(&db)?));
    match checked {
        Err(_) if cancel.is_cancelled() => Err(StoreError::Closed),
        checked => checked,
    }
}

fn is_sound(db: &Connection) -> Result<(), StoreError> {
    let found: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(StoreError::Damaged(found)) }
}

/// Whether SQLite says that somebody else has the file.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// A name that was given in this directory is there also after the machine has lost its power.
pub(crate) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

fn exists(target: &Path) -> Failure {
    Failure::failed(
        format!("{} is there already", target.display()),
        "name another file, or add --force to replace it",
    )
}

/// An instant as the names of files have it: `20261121T120000Z`.
pub(crate) fn stamp(at: Timestamp) -> String {
    let text: String = at.to_string().chars().filter(|c| !matches!(c, '-' | ':')).take(15).collect();
    text + "Z"
}

/// Keeps a copy of a store that a migration is about to change, in the directory of backups; answers where.
pub(crate) fn before_migration(
    db: &Connection,
    directory: &Path,
    to: i64,
    now: Timestamp,
) -> Result<PathBuf, Failure> {
    let beside = directory.join(DIRECTORY);
    data_directory::make_directory(&beside)?;
    let target = beside.join(format!("pre-migration-V{to}-{}.sqlite3", stamp(now)));
    Ok(copy_to(db, &target, true, &CancellationToken::new())?.path)
}

/// Makes a directory for backups, for its owner only, where it is not there.
///
/// # Errors
/// Where it cannot be made.
pub(crate) fn make_directory(directory: &Path) -> Result<(), Failure> {
    data_directory::make_directory(directory).map_err(|failure| Failure {
        what: failure.what.replace("data directory", "directory of backups"),
        next: "name another with the setting backup.directory, or give this user the right to write there"
            .into(),
        ..failure
    })
}

/// Where backups go in the data directory, where no setting says otherwise.
pub(crate) const DIRECTORY: &str = "backups";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open;

    #[test]
    fn the_copy_before_a_migration_is_whole_and_named_for_the_schema_to_come() {
        let directory = tempfile::tempdir().unwrap();
        let (db, _claim) = open::open(directory.path()).unwrap();
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        let kept = before_migration(&db, directory.path(), 7, now).unwrap();
        assert_eq!(kept, directory.path().join("backups/pre-migration-V7-20261121T120000Z.sqlite3"));
        assert_eq!(inspect::inspect(&kept).unwrap(), inspect::inspect_open(&db, &kept).unwrap());
    }
}
