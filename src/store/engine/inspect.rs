//! Reads a database file without changing it: its origin, its schema version and its integrity.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use refinery_core::Runner;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::common::failure::Failure;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::error::{StoreError, StoreResult};

/// The steps of the schema: name and SQL. A released step never changes.
const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__schema", include_str!("../migrations/V1__schema.sql")),
    ("V2__suspect", include_str!("../migrations/V2__suspect.sql")),
    ("V3__restores", include_str!("../migrations/V3__restores.sql")),
    ("V4__dataset", include_str!("../migrations/V4__dataset.sql")),
    ("V5__sign_in", include_str!("../migrations/V5__sign_in.sql")),
    ("V6__roles", include_str!("../migrations/V6__roles.sql")),
    ("V7__collection_window", include_str!("../migrations/V7__collection_window.sql")),
    ("V8__mails", include_str!("../migrations/V8__mails.sql")),
    ("V9__languages", include_str!("../migrations/V9__languages.sql")),
    ("V10__study_pages", include_str!("../migrations/V10__study_pages.sql")),
    ("V11__reading", include_str!("../migrations/V11__reading.sql")),
];

/// Time that SQLite waits for another process's write before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// "JHOW" in SQLite's header marks our files.
pub(crate) const APPLICATION_ID: i32 = 0x4A48_4F57;
/// Page cache of a connection: 4 MiB, which holds the newest pages of a hundred patients' streams. SQLite
/// takes a negative number as KiB.
pub(crate) const CACHE_KIB: i32 = -4096;
/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";

// Reasons to refuse a file. Each follows its path.
const ANOTHER_PROGRAM: &str = "is a database of another program";
const NEWER: &str = "was written by a newer jhe-ow";
const DEVELOPMENT: &str =
    "was written by a development version of jhe-ow, before the first release, and cannot be upgraded";

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// From 1.
    pub version: i64,
    pub name: String,
    /// RFC 3339; none if it was not applied yet.
    pub applied: Option<String>,
}

/// Opens a read-only connection to a file that the writer has opened before.
pub(crate) fn open_reader(path: &Path) -> StoreResult<Connection> {
    // SQLite's own mutexes are left out: only one thread at a time uses a connection.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// Lists this program's migrations, each with the time at which it was applied to the store in `directory`.
pub fn list_migrations(directory: &Path) -> Result<Vec<Migration>, Failure> {
    let path = directory.join(FILE_NAME);
    let applied = if path.exists() { inspect(&path)? } else { Vec::new() };
    let with_time = |(version, name)| {
        let applied = applied.iter().find(|one| one.version == version).and_then(|one| one.applied.clone());
        Migration { version, name, applied }
    };
    let mut all: Vec<Migration> = embedded_migrations().into_iter().map(with_time).collect();
    all.sort_by_key(|migration| migration.version);
    Ok(all)
}

/// Returns what brings a schema up to date.
pub(crate) fn runner() -> Runner {
    let parse = |(name, sql): &(&str, &str)| refinery_core::Migration::unapplied(name, sql);
    let migrations: Result<Vec<_>, _> = MIGRATIONS.iter().map(parse).collect();
    Runner::new(&migrations.expect("each name is V, a number, two underscores and a word"))
}

pub(crate) fn embedded_migrations() -> Vec<(i64, String)> {
    let runner = runner();
    runner.get_migrations().iter().map(|m| (i64::from(m.version()), m.name().to_owned())).collect()
}

pub(crate) fn newest_version() -> i64 {
    embedded_migrations().iter().map(|(version, _)| *version).max().unwrap_or(0)
}

/// Returns the applied migrations of a file; fails if another program or a newer version wrote it. Changes
/// nothing.
pub(crate) fn inspect(path: &Path) -> Result<Vec<Migration>, Failure> {
    if !has_magic(path)? {
        return Err(foreign_file(path, "is not a SQLite database"));
    }
    let failure = |error: rusqlite::Error| failure_for(path, &error.into());
    let connection = open_for_inspection(path).map_err(failure)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failure)?;
    inspect_open(&connection, path)
}

/// Does the same as [`inspect`] on an open connection. A process that has a store open must not open the file
/// in another way: closing that descriptor would release SQLite's POSIX locks.
pub(crate) fn inspect_open(connection: &Connection, path: &Path) -> Result<Vec<Migration>, Failure> {
    let failure = |error: rusqlite::Error| failure_for(path, &error.into());
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failure)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failure)?;
    match id {
        APPLICATION_ID => {}
        0 if tables == 0 => return Ok(Vec::new()),
        _ => return Err(foreign_file(path, ANOTHER_PROGRAM)),
    }
    let applied = list_applied(connection).map_err(failure)?;
    if is_development_version(connection, &applied).map_err(failure)? {
        return Err(Failure::failed(
            format!("{} {DEVELOPMENT}", path.display()),
            "begin with an empty data directory (--data-dir or JHE_OW_DATA_DIR), or move this file and its \
             -wal file away; it was not touched",
        ));
    }
    let newest = newest_version();
    match applied.iter().find(|migration| migration.version > newest) {
        None => Ok(applied),
        Some(newer) => Err(Failure::failed(
            format!("{} {NEWER} (schema {}, this program knows {newest})", path.display(), newer.version),
            "use that newer version; nothing was changed",
        )),
    }
}

/// Checks the whole file and its indexes; returns the first defect.
pub(crate) fn check_integrity(db: &Connection) -> StoreResult<Option<String>> {
    let found: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

fn list_applied(connection: &Connection) -> rusqlite::Result<Vec<Migration>> {
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    if connection.query_row(table, [], |_| Ok(())).optional()?.is_none() {
        return Ok(Vec::new());
    }
    let mut query = connection
        .prepare("SELECT version, name, applied_on FROM refinery_schema_history ORDER BY version")?;
    let rows = query.query_map([], |row| {
        Ok(Migration { version: row.get(0)?, name: row.get(1)?, applied: row.get(2)? })
    })?;
    rows.collect()
}

/// Returns true for a SQLite file, and for an empty one, which SQLite may still fill.
fn has_magic(path: &Path) -> Result<bool, Failure> {
    let mut start = Vec::with_capacity(MAGIC.len());
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start));
    read.map_err(|error| {
        Failure::failed(
            format!("{} cannot be read: {error}", path.display()),
            "make the file readable for this user, or name another data directory",
        )
    })?;
    Ok(start.is_empty() || start == MAGIC)
}

fn foreign_file(path: &Path, reason: &str) -> Failure {
    Failure::failed(
        format!("{} {reason}", path.display()),
        "name another data directory with --data-dir or JHE_OW_DATA_DIR; this file was not touched",
    )
}

/// Converts a store error to a failure that names the file.
pub(crate) fn failure_for(path: &Path, error: &StoreError) -> Failure {
    let mut failure = Failure::from(error.clone());
    failure.message = format!("{}: {}", path.display(), failure.message);
    failure
}

/// Returns the path of a database's write-ahead log.
pub(crate) fn wal_path(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Opens a file to read its schema. SQLite puts a log and an index beside a file that it opens in WAL mode,
/// and a read-only connection leaves them there. Without a log the file is complete and is opened as
/// immutable.
fn open_for_inspection(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    match path.to_str() {
        Some(text) if !wal_path(path).exists() => {
            let text = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let uri = format!("file:{text}?immutable=1");
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => Connection::open_with_flags(path, flags),
    }
}

/// Returns true if the text of an applied migration differs from this program's. Released migrations never
/// change.
fn is_development_version(connection: &Connection, applied: &[Migration]) -> rusqlite::Result<bool> {
    for migration in runner().get_migrations() {
        let version = i64::from(migration.version());
        if applied.iter().all(|applied| applied.version != version) {
            continue;
        }
        let query = "SELECT checksum FROM refinery_schema_history WHERE version = ?";
        let checksum: String = connection.query_row(query, [version], |row| row.get(0))?;
        if checksum != migration.checksum().to_string() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns true for a failure about a file that another program or another version wrote.
pub(crate) fn is_foreign(failure: &Failure) -> bool {
    [ANOTHER_PROGRAM, NEWER, DEVELOPMENT].iter().any(|reason| failure.message.contains(reason))
}

/// Returns true for a failure about a file that a newer version wrote.
pub(crate) fn is_newer(failure: &Failure) -> bool {
    failure.message.contains(NEWER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_migrations_is_applied() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
        let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<String> =
            files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort_by_key(|name| name[1..name.find('_').unwrap()].parse::<u32>().unwrap());
        assert_eq!(names, MIGRATIONS.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
