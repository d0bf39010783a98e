//! Replaces the store with a checked backup. A newer store is replaced only with `--force`. The replaced file
//! is kept beside the new one.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, iter};

use rusqlite::{Connection, OpenFlags};
use tokio_util::sync::CancellationToken;

use crate::common::{failure::Failure, time::Timestamp};
use crate::model::account::Actor;
use crate::store::engine::backup::{self, Contents};
use crate::store::engine::data_directory::{self, FILE_NAME};
use crate::store::engine::restore_guard::{self, Position};
use crate::store::engine::{directory_lock, inspect, open};
use crate::store::error::StoreError;
use crate::store::privacy::carry_over::{self, Lineage};
use crate::store::privacy::restored::{self, LocalConsents};
use crate::store::samples::commit_number;

/// Time to wait for another program to close the file: long enough for one query.
const PATIENCE: Duration = Duration::from_secs(1);
const GIVE_BACKUP: &str = "give a file that `jhe-ow backup` has made; nothing was changed";
const FORCE: &str = "add --force to replace it; it is kept beside the new one. Nothing was changed";

/// A finished restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    pub contents: Contents,
    /// The replaced store under its new name, if there was one.
    pub replaced: Option<PathBuf>,
    /// The replaced store knew every withdrawal since the backup.
    pub knows_withdrawals: bool,
    /// Patients whose consents are suspended.
    pub suspended: i64,
}

/// Replaces the store in `directory` with a copy of `file`. Withdrawals and erasures since the backup are carried
/// over from the replaced store. If it cannot tell them, consents that were recorded here are suspended, unless
/// `confirm_consents` is set. A failure changes nothing.
pub fn restore(
    directory: &Path,
    file: &Path,
    force: bool,
    confirm_consents: bool,
    now: Timestamp,
) -> Result<Restored, Failure> {
    let path = directory.join(FILE_NAME);
    if backup::is_same_file(file, &path) {
        return Err(Failure::usage(format!("{} is the store itself", file.display()), "give a backup of it"));
    }
    if inspect::inspect(file).map_err(unusable_backup)?.is_empty() {
        return Err(Failure::failed(format!("{} is empty", file.display()), GIVE_BACKUP));
    }
    data_directory::create_directory(directory)?;
    let _lock = directory_lock::lock_exclusive(directory)?;
    let unwritable = |error: std::io::Error| unrestorable(directory, &error);
    let temporary = backup::temporary_directory(directory);
    let temporary = temporary.map_err(unwritable)?;
    let copy = tempfile::NamedTempFile::new_in(temporary.path()).map_err(unwritable)?;
    let (contents, db) = copy_and_upgrade(file, copy.path())?;
    let existing = ExistingStore::inspect(&path)?;
    let knows_withdrawals = adapt(&db, &path, &existing, &contents, confirm_consents, now)?;
    if confirm_consents {
        // Also those that an earlier restore has suspended.
        restored::confirm_suspended(&db, None, Actor::CommandLine, now)
            .map_err(|error| inspect::failure_for(copy.path(), &error))?;
    }
    let state = restored::count_suspended(&db).and_then(|count| Ok((count, Position::read(&db)?)));
    let (suspended, position) = state.map_err(|error| inspect::failure_for(copy.path(), &error))?;
    drop(db);
    let replaced = match existing {
        // A log whose database is gone may hold data that exist nowhere else.
        ExistingStore::Missing => move_log(&path, &replaced_path(&path, now)).map_err(unwritable)?,
        existing => {
            if !force {
                existing.check_not_newer(&path, &contents)?;
            }
            Some(set_aside(&path, &existing, directory, now)?)
        }
    };
    copy.as_file().sync_all().map_err(unwritable)?;
    // From here to the end the file says nothing: a start in between must not take this for another restore.
    restore_guard::write(directory, Position::default()).map_err(unwritable)?;
    copy.persist(&path).map_err(|error| unwritable(error.error))?;
    backup::sync_directory(directory).map_err(unwritable)?;
    if let Err(error) = restore_guard::write(directory, position) {
        tracing::warn!("the next restore by another program may go unnoticed: last-commit: {error}");
    }
    Ok(Restored { contents, replaced, knows_withdrawals, suspended })
}

/// Carries over what the existing store knows, and adapts the copy. Returns whether the existing store knows
/// every withdrawal since the backup.
fn adapt(
    db: &Connection,
    path: &Path,
    existing: &ExistingStore,
    contents: &Contents,
    confirm_consents: bool,
    now: Timestamp,
) -> Result<bool, Failure> {
    let lineage = match existing {
        ExistingStore::Sound(_) => carry_over::carry_over(db, path, now),
        _ => Ok(Lineage::Unrelated),
    };
    // A store of an unknown schema tells nothing.
    let lineage = lineage.unwrap_or_else(|error| {
        tracing::warn!("nothing can be carried over from {}: {error}", path.display());
        Lineage::Unrelated
    });
    let knows_withdrawals = matches!(lineage, Lineage::Continues | Lineage::Older);
    let consents = if knows_withdrawals || confirm_consents {
        LocalConsents::Keep
    } else {
        LocalConsents::Suspend { as_of: contents.last.unwrap_or(now) }
    };
    restored::adapt(db, consents, now).map_err(|error| inspect::failure_for(path, &error))?;
    Ok(knows_withdrawals)
}

/// Replaces the remedy of a failure about the backup file, unless a newer version is the remedy.
fn unusable_backup(failure: Failure) -> Failure {
    if inspect::is_newer(&failure) { failure } else { Failure { remedy: GIVE_BACKUP.to_owned(), ..failure } }
}

fn unrestorable(directory: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(
        format!("the backup cannot be restored into {}: {error}", directory.display()),
        "free some disk space, and make the directory writable for this user; nothing was changed",
    )
}

/// Copies a backup and brings its schema up to date.
fn copy_and_upgrade(file: &Path, to: &Path) -> Result<(Contents, Connection), Failure> {
    let failure = |error: StoreError| unusable_backup(inspect::failure_for(file, &error));
    let open_file =
        |path: &Path, flags| Connection::open_with_flags(path, flags).map_err(|error| failure(error.into()));
    let never = CancellationToken::new();
    let source = open_file(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let snapshot = source.unchecked_transaction().map_err(|error| failure(error.into()))?;
    backup::copy(&snapshot, to, &never).map_err(failure)?;
    let contents = backup::check(to, &never).map_err(failure)?;
    let mut db = open_file(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    open::migrate(&mut db, to)?;
    commit_number::prepare(&db).map_err(|error| failure(error.into()))?;
    Ok((contents, db))
}

/// The file that the restore replaces.
enum ExistingStore {
    Missing,
    /// Written by another program or by a newer version; the failure says which.
    Refused(Failure),
    /// Ours, but unreadable: the usual reason to restore.
    Damaged,
    Sound(Contents),
}

impl ExistingStore {
    fn inspect(path: &Path) -> Result<Self, Failure> {
        let bytes = match fs::metadata(path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::Missing),
            Err(error) => return Err(unrestorable(path, &error)),
        };
        match inspect::inspect(path) {
            Ok(_) if bytes > 0 => {}
            Err(failure) if inspect::is_foreign(&failure) => return Ok(Self::Refused(failure)),
            Ok(_) | Err(_) => return Ok(Self::Damaged),
        }
        match with_existing_store(path, Contents::of) {
            Ok(contents) => Ok(Self::Sound(contents)),
            Err(error) if backup::is_busy(&error) => {
                Err(directory_lock::in_use_failure(path.parent().unwrap_or(path)))
            }
            Err(_) => Ok(Self::Damaged),
        }
    }

    /// Fails if the store must not be replaced without `--force`.
    fn check_not_newer(&self, path: &Path, new: &Contents) -> Result<(), Failure> {
        match self {
            Self::Missing | Self::Damaged => Ok(()),
            Self::Refused(failure) => Err(Failure { remedy: FORCE.to_owned(), ..failure.clone() }),
            Self::Sound(old) if old.last <= new.last && old.observations <= new.observations => Ok(()),
            Self::Sound(old) => {
                let last =
                    |last: Option<Timestamp>| last.map_or_else(|| "never".to_owned(), |at| at.to_string());
                Err(Failure::failed(
                    format!(
                        "{} is newer than the backup, or has more: last written {}, {} observations; the \
                         backup {}, {}",
                        path.display(),
                        last(old.last),
                        old.observations,
                        last(new.last),
                        new.observations
                    ),
                    FORCE,
                ))
            }
        }
    }
}

/// Runs `work` on the store that is about to be replaced. Waits briefly if another program has locked it.
fn with_existing_store<T>(
    path: &Path,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(PATIENCE)?;
    work(&db)
}

/// Links the existing store under a second name in the same directory. The copy then replaces the first name,
/// so that a crash cannot leave the directory without a store.
fn set_aside(
    path: &Path,
    existing: &ExistingStore,
    directory: &Path,
    now: Timestamp,
) -> Result<PathBuf, Failure> {
    let unwritable = |error: std::io::Error| unrestorable(directory, &error);
    if matches!(existing, ExistingStore::Sound(_)) {
        // Writes the log into the database and deletes it. SQLite refuses while another program has the file
        // open.
        match with_existing_store(path, |db| db.pragma_update(None, "journal_mode", "DELETE")) {
            Ok(()) => {}
            Err(error) if backup::is_busy(&error) => return Err(directory_lock::in_use_failure(directory)),
            Err(error) => return Err(inspect::failure_for(path, &error.into())),
        }
    }
    let replaced = replaced_path(path, now);
    fs::hard_link(path, &replaced).map_err(unwritable)?;
    // This comes before the new store: SQLite would apply the old log to it.
    move_log(path, &replaced).map_err(unwritable)?;
    backup::sync_directory(directory).map_err(unwritable)?;
    Ok(replaced)
}

/// Renames the log and its index to belong to another database; returns the first new path.
fn move_log(path: &Path, to: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut moved = None;
    for suffix in ["-wal", "-shm"] {
        let log = with_suffix(path, suffix);
        if log.exists() {
            fs::rename(&log, with_suffix(to, suffix))?;
            moved = moved.or(Some(with_suffix(to, suffix)));
        }
    }
    Ok(moved)
}

/// Returns a name for the replaced store that no file has yet.
fn replaced_path(path: &Path, now: Timestamp) -> PathBuf {
    let dated = with_suffix(path, &format!(".replaced-{}", backup::file_timestamp(now)));
    let numbered = (2..1000).map(|number| with_suffix(&dated, &format!("-{number}")));
    iter::once(dated.clone())
        .chain(numbered)
        .find(|name| !name.exists() && !with_suffix(name, "-wal").exists())
        .unwrap_or_else(|| dated.clone())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
