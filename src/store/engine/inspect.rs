use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::common::failure::Failure;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::error::StoreError;

pub(crate) mod embedded {
    refinery::embed_migrations!("src/store/migrations");
}

/// One step of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Its number, from 1.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// When it was applied (RFC 3339), where it was.
    pub applied: Option<String>,
}

/// A read-only connection to a file that [`open`] has opened.
pub(crate) fn reader(path: &Path) -> Result<Connection, StoreError> {
    // SQLite's own mutexes are left out: only one thread at a time uses a connection.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// The steps of the schema that this program knows, and which of them the store in `directory` has.
/// Changes nothing.
///
/// # Errors
/// Where the file is not ours or cannot be read.
pub fn migrations(directory: &Path) -> Result<Vec<Migration>, Failure> {
    let path = directory.join(FILE_NAME);
    let applied = if path.exists() { inspect(&path)? } else { Vec::new() };
    let mut all: Vec<Migration> = known()
        .into_iter()
        .map(|(version, name)| {
            let applied = applied.iter().find(|have| have.version == version).and_then(|m| m.applied.clone());
            Migration { version, name, applied }
        })
        .collect();
    all.sort_by_key(|migration| migration.version);
    Ok(all)
}

pub(crate) fn known() -> Vec<(i64, String)> {
    let runner = embedded::migrations::runner();
    runner.get_migrations().iter().map(|m| (i64::from(m.version()), m.name().to_owned())).collect()
}

/// The schema of this program.
pub(crate) fn newest() -> i64 {
    known().iter().map(|(version, _)| *version).max().unwrap_or(0)
}

/// Looks at a file without changing it: refuses what is not ours or newer than this program, and
/// answers which migrations it has.
pub(crate) fn inspect(path: &Path) -> Result<Vec<Migration>, Failure> {
    if !has_magic(path)? {
        return Err(foreign(path, "is not a SQLite database"));
    }
    let told = |error: rusqlite::Error| trouble(path, &error.into());
    let connection = inspector(path).map_err(told)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(told)?;
    inspect_open(&connection, path)
}

/// As [`inspect`], of a file that SQLite has open already. A process that has a store open must not open its file by
/// other means: closing that would take away SQLite's locks.
pub(crate) fn inspect_open(connection: &Connection, path: &Path) -> Result<Vec<Migration>, Failure> {
    let told = |error: rusqlite::Error| trouble(path, &error.into());
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(told)?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(told)?;
    match id {
        APPLICATION_ID => {}
        0 if tables == 0 => return Ok(Vec::new()),
        _ => return Err(foreign(path, ANOTHER_PROGRAM)),
    }
    let applied = applied(connection).map_err(told)?;
    if is_of_development(connection, &applied).map_err(told)? {
        let next = "begin with an empty data directory (--data-dir or JHE_OW_DATA_DIR), or move this file and its \
                    -wal file away; it was not touched";
        return Err(Failure::failed(format!("{} {DEVELOPMENT}", path.display()), next));
    }
    let newest = newest();
    match applied.iter().find(|migration| migration.version > newest) {
        None => Ok(applied),
        Some(newer) => Err(Failure::failed(
            format!("{} {NEWER} (schema {}, this program knows {newest})", path.display(), newer.version),
            "use that newer version; nothing was changed",
        )),
    }
}

pub(crate) fn applied(connection: &Connection) -> rusqlite::Result<Vec<Migration>> {
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

/// Whether the file begins as SQLite files do; an empty one is about to.
pub(crate) fn has_magic(path: &Path) -> Result<bool, Failure> {
    let mut start = Vec::with_capacity(MAGIC.len());
    File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start)).map_err(
        |error| {
            let next = "make the file readable for this user, or name another data directory";
            Failure::failed(format!("{} cannot be read: {error}", path.display()), next)
        },
    )?;
    Ok(start.is_empty() || start == MAGIC)
}

pub(crate) fn foreign(path: &Path, why: &str) -> Failure {
    let next = "name another data directory with --data-dir or JHE_OW_DATA_DIR; this file was not touched";
    Failure::failed(format!("{} {why}", path.display()), next)
}

pub(crate) fn trouble(path: &Path, error: &StoreError) -> Failure {
    let mut failure = Failure::from(error.clone());
    failure.what = format!("{}: {}", path.display(), failure.what);
    failure
}

/// How long SQLite waits for another process's write before it gives up.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// "JHOW" in SQLite's header: says that a file is ours.
pub(crate) const APPLICATION_ID: i32 = 0x4A48_4F57;

/// The first bytes of every SQLite file.
pub(crate) const MAGIC: &[u8] = b"SQLite format 3\0";

/// Page cache of a connection in KiB, negative as SQLite wants it: enough for the hot end of a hundred
/// patients' streams, small beside the memory the daemon is allowed.
pub(crate) const CACHE_KIB: i32 = -4096;

/// Why a file is refused, after its path.
pub(crate) const ANOTHER_PROGRAM: &str = "is a database of another program";

pub(crate) const NEWER: &str = "was written by a newer jhe-ow";

pub(crate) const DEVELOPMENT: &str =
    "was written by a development version of jhe-ow, before the first release, and cannot be upgraded";

pub(crate) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// Opens a file to read its schema. SQLite puts a log and an index beside a file that it opens in WAL mode, and a
/// read-only connection leaves them there. Without a log the file is complete and is opened as immutable.
pub(crate) fn inspector(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    match path.to_str() {
        Some(path) if !log_of(Path::new(path)).exists() => {
            let path = path.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
            let uri = format!("file:{path}?immutable=1");
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => Connection::open_with_flags(path, flags),
    }
}

/// Returns true if a migration was applied in another wording than this program's. Migrations have not changed since
/// the first release.
pub(crate) fn is_of_development(connection: &Connection, applied: &[Migration]) -> rusqlite::Result<bool> {
    for migration in embedded::migrations::runner().get_migrations() {
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

/// Returns true for a failure about a file that this program refuses because of who wrote it.
pub(crate) fn is_foreign(failure: &Failure) -> bool {
    [ANOTHER_PROGRAM, NEWER, DEVELOPMENT].iter().any(|why| failure.what.contains(why))
}
