//! A backup takes the store's place: checked first, never over something newer unasked, and what was there is kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tokio_util::sync::CancellationToken;

use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::store::engine::backup::Contents;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::{backup, data_directory, directory_lock, inspect, open, setting};
use crate::store::error::StoreError;
use crate::store::operations::tick_lock;
use crate::store::privacy::audit;
use crate::store::samples::commit_number;

/// The counter that holds when a backup was last restored, in microseconds since 1970.
const RESTORED: &str = "restored_at";
/// How long whoever has the file open besides us may take to let go: long enough for a look of another program's.
const PATIENCE: Duration = Duration::from_secs(1);

/// How a restore went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the store has now.
    pub contents: Contents,
    /// What was there before, under its new name; none where nothing was.
    pub replaced: Option<PathBuf>,
}

/// Puts a copy of `file` in the place of the store in `directory`.
///
/// # Errors
/// Where `file` is no sound store of ours or newer than this program, where anybody has the store open, where what
/// is there is newer or has more and `force` is not given, or where the disk refuses. Then nothing was changed.
pub fn restore(directory: &Path, file: &Path, force: bool, now: Timestamp) -> Result<Restored, Failure> {
    let path = directory.join(FILE_NAME);
    if let (Ok(one), Ok(other)) = (file.canonicalize(), path.canonicalize())
        && one == other
    {
        return Err(Failure::usage(format!("{} is the store itself", file.display()), "give a backup of it"));
    }
    if inspect::inspect(file).map_err(|failure| not_usable(&failure))?.is_empty() {
        return Err(Failure::failed(format!("{} is empty", file.display()), GIVE));
    }
    data_directory::make_directory(directory)?;
    let _alone = directory_lock::alone(directory)?;
    let unwritable = |error: std::io::Error| cannot(directory, &error.to_string());
    let workshop =
        tempfile::Builder::new().prefix(backup::UNFINISHED).tempdir_in(directory).map_err(unwritable)?;
    let copy = tempfile::NamedTempFile::new_in(workshop.path()).map_err(unwritable)?;
    let contents = bring(file, copy.path(), now)?;
    let replaced = match Present::look(&path)? {
        Present::Nothing => set_aside_log(&path, now).map_err(unwritable)?,
        present => {
            if !force {
                present.yields_to(&path, &contents)?;
            }
            Some(set_aside(&path, &present, directory, now)?)
        }
    };
    copy.as_file().sync_all().map_err(unwritable)?;
    copy.persist(&path).map_err(|error| unwritable(error.error))?;
    backup::sync_directory(directory).map_err(unwritable)?;
    Ok(Restored { contents, replaced })
}

const GIVE: &str = "give a file that `jhe-ow backup` has made; nothing was changed";

/// A failure about the file that was given, with advice that fits.
fn not_usable(failure: &Failure) -> Failure {
    let next = if failure.what.contains("newer jhe-ow") { failure.next.as_str() } else { GIVE };
    Failure { what: failure.what.clone(), next: next.to_owned(), code: failure.code }
}

fn cannot(directory: &Path, why: &str) -> Failure {
    let next = "make room, and the directory writable for this user; nothing was changed";
    Failure::failed(format!("the backup cannot be restored into {}: {why}", directory.display()), next)
}

/// Copies a backup, brings its schema up to date, and makes it ready for a world that has gone on.
fn bring(file: &Path, to: &Path, now: Timestamp) -> Result<Contents, Failure> {
    let never = CancellationToken::new();
    let told = |error: StoreError| not_usable(&inspect::trouble(file, &error));
    let source = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| told(error.into()))?;
    let snapshot = source.unchecked_transaction().map_err(|error| told(error.into()))?;
    backup::copy(&snapshot, to, &never).map_err(told)?;
    let contents = backup::check(to, &never).map_err(told)?;
    let mut db = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| told(error.into()))?;
    open::migrate(&mut db, to)?;
    settle(&db, now).map_err(told)?;
    Ok(contents)
}

/// What has happened since the backup is not known here: JHE may have got what waits, and more. No tick goes on.
fn settle(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let all = db.unchecked_transaction()?;
    all.execute("UPDATE outbox SET requeued = 1", [])?;
    all.execute(
        "INSERT INTO counters (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        params![RESTORED, now],
    )?;
    commit_number::restored(&all, now)?;
    setting::unset(&all, tick_lock::KEY)?;
    all.execute("DELETE FROM sync_lock", [])?;
    audit::record(&all, now, Actor::CommandLine, "store.restore", None, "")?;
    Ok(all.commit()?)
}

/// When a backup was last restored here: JHE may have got what was measured until then, whatever the outbox says.
///
/// # Errors
/// Where the table cannot be read.
pub fn restored(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut query = db.prepare_cached("SELECT value FROM counters WHERE name = ?")?;
    Ok(query.query_row([RESTORED], |row| row.get(0)).optional()?)
}

/// What is in the place of the store.
enum Present {
    Nothing,
    /// Not ours, or newer than this program; the text says which.
    Refused(Failure),
    /// Ours, but it cannot be read: what a restore is for.
    Damaged,
    Sound(Contents),
}

impl Present {
    fn look(path: &Path) -> Result<Self, Failure> {
        let bytes = match fs::metadata(path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::Nothing),
            Err(error) => return Err(cannot(path, &error.to_string())),
        };
        match inspect::inspect(path) {
            Ok(_) if bytes == 0 => return Ok(Self::Damaged),
            Ok(_) => {}
            Err(failure) if inspect::is_foreign(&failure) => {
                return Ok(Self::Refused(failure));
            }
            Err(_) => return Ok(Self::Damaged),
        }
        let read = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|db| {
            db.busy_timeout(PATIENCE)?;
            Contents::of(&db)
        });
        match read {
            Ok(contents) => Ok(Self::Sound(contents)),
            Err(error) if backup::is_busy(&error) => {
                Err(directory_lock::in_use(path.parent().unwrap_or(path)))
            }
            Err(_) => Ok(Self::Damaged),
        }
    }

    /// Whether the backup may take its place unasked.
    fn yields_to(&self, path: &Path, new: &Contents) -> Result<(), Failure> {
        match self {
            Self::Nothing | Self::Damaged => Ok(()),
            Self::Refused(failure) => Err(Failure { next: FORCE.to_owned(), ..failure.clone() }),
            Self::Sound(old) if old.last <= new.last && old.observations <= new.observations => Ok(()),
            Self::Sound(old) => {
                let last =
                    |last: Option<Timestamp>| last.map_or_else(|| "never".to_owned(), |at| at.to_string());
                Err(Failure::failed(
                    format!(
                        "{} is newer than the backup, or has more: last written {}, {} observations; the backup {}, {}",
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

const FORCE: &str = "add --force to replace it; it is kept beside the new one. Nothing was changed";

/// Gives what is there another name, beside its own: at no moment is there no store. Its log goes first, so that it
/// never lies beside another database.
fn set_aside(path: &Path, present: &Present, directory: &Path, now: Timestamp) -> Result<PathBuf, Failure> {
    let unwritable = |error: std::io::Error| cannot(directory, &error.to_string());
    if matches!(present, Present::Sound(_)) {
        // Takes the log into the file and removes it; refused while anybody else has the file open.
        let folded = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(|db| {
            db.busy_timeout(PATIENCE)?;
            db.pragma_update(None, "journal_mode", "DELETE")
        });
        match folded {
            Ok(()) => {}
            Err(error) if backup::is_busy(&error) => return Err(directory_lock::in_use(directory)),
            Err(error) => return Err(inspect::trouble(path, &error.into())),
        }
    }
    let kept = kept_name(path, now);
    fs::hard_link(path, &kept).map_err(unwritable)?;
    move_log(path, &kept).map_err(unwritable)?;
    backup::sync_directory(directory).map_err(unwritable)?;
    Ok(kept)
}

/// A log whose database is gone is kept too: it may have what nothing else has.
fn set_aside_log(path: &Path, now: Timestamp) -> std::io::Result<Option<PathBuf>> {
    move_log(path, &kept_name(path, now))
}

fn move_log(path: &Path, kept: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut moved = None;
    for end in ["-wal", "-shm"] {
        let log = with_end(path, end);
        if log.exists() {
            fs::rename(&log, with_end(kept, end))?;
            moved = moved.or(Some(with_end(kept, end)));
        }
    }
    Ok(moved)
}

/// A name that nothing has yet.
fn kept_name(path: &Path, now: Timestamp) -> PathBuf {
    let dated = with_end(path, &format!(".replaced-{}", backup::stamp(now)));
    let free = |name: &PathBuf| !name.exists() && !with_end(name, "-wal").exists();
    (2..1000)
        .map(|number| with_end(&dated, &format!("-{number}")))
        .fold(Some(dated.clone()).filter(free), |found, next| found.or(Some(next).filter(free)))
        .unwrap_or(dated)
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
