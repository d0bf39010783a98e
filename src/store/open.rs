//! Opening the file: whose it is, whether this program may touch it, and its schema.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{BUSY_TIMEOUT, FILE_NAME, StoreError, backup, claim, commits};
use crate::clock::Clock;
use crate::failure::Failure;

mod embedded {
    refinery::embed_migrations!("src/store/migrations");
}

/// "JHOW" in SQLite's header: says that a file is ours.
const APPLICATION_ID: i32 = 0x4A48_4F57;
/// The first SQLite without the write-ahead-log bug that corrupts, as `rusqlite::version_number` counts.
const OLDEST_SQLITE: i32 = 3_051_003;
/// The first bytes of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Held while the schema is brought up to date, so that two processes do not do it at once.
const MIGRATE_LOCK: &str = "migrate.lock";
/// Only the owner reads patients' data.
pub(super) const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// Page cache of a connection in KiB, negative as SQLite wants it: enough for the hot end of a hundred
/// patients' streams, small beside the memory the daemon is allowed.
const CACHE_KIB: i32 = -4096;
/// Pages of write-ahead log before a checkpoint: 4 MiB.
const CHECKPOINT_PAGES: i32 = 1000;
/// Prepared statements that the writer's connection caches: more than it has.
const STATEMENTS: usize = 256;
/// The log is cut back to this many bytes after a checkpoint, so that one big backfill does not leave
/// a big file behind.
const LOG_BYTES: i32 = 16 * 1024 * 1024;

/// Why a file is refused, after its path.
const ANOTHER_PROGRAM: &str = "is a database of another program";
const NEWER: &str = "was written by a newer jhe-ow";
const DEVELOPMENT: &str =
    "was written by a development version of jhe-ow, before the first release, and cannot be upgraded";

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

/// Opens the file for the writer, with its schema up to date; answers with the claim on the directory too, which has
/// to be kept for as long as the connection.
pub(super) fn open(directory: &Path) -> Result<(Connection, File), Failure> {
    refuse_old_sqlite()?;
    let path = directory.join(FILE_NAME);
    make_directory(directory)?;
    let claim = claim::share(directory)?;
    let _one_at_a_time = migrate_lock(directory)?;
    refuse_lone_log(&path)?;
    make_file(&path)?;
    let applied = inspect(&path)?;
    let told = |error: rusqlite::Error| trouble(&path, &error.into());
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(told)?;
    prepare_writer(&connection).map_err(told)?;
    if !applied.is_empty() && applied.len() < known().len() {
        let kept = backup::before_migration(&connection, directory, newest(), Clock::System.now())?;
        tracing::info!("the schema is brought up to date; the store as it was is kept as {}", kept.display());
    }
    migrate(&mut connection, &path)?;
    commits::prepare(&connection).map_err(told)?;
    Ok((connection, claim))
}

/// Brings the schema of a store up to date.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Failure> {
    let ran = embedded::migrations::runner().run(connection);
    ran.map(drop).map_err(|error| {
        let failed = &path.display();
        Failure::failed(
            format!("the schema of {failed} could not be brought up to date: {error}"),
            "nothing was changed; make room on the disk and see that this user may write there",
        )
    })
}

/// A read-only connection to a file that [`open`] has opened.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
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

fn known() -> Vec<(i64, String)> {
    let runner = embedded::migrations::runner();
    runner.get_migrations().iter().map(|m| (i64::from(m.version()), m.name().to_owned())).collect()
}

/// The schema of this program.
fn newest() -> i64 {
    known().iter().map(|(version, _)| *version).max().unwrap_or(0)
}

/// Refuses a store of which only the log is there: see [`migrations`] for one of which nothing is.
///
/// # Errors
/// What to do about it, where that is so.
pub fn refuse_lost(directory: &Path) -> Result<(), Failure> {
    refuse_lone_log(&directory.join(FILE_NAME))
}

/// A log without its database may have what nothing else has, and SQLite would throw it away beside a new file.
fn refuse_lone_log(path: &Path) -> Result<(), Failure> {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let log = log_of(path);
    if bytes(path) > 0 || bytes(&log) == 0 {
        return Ok(());
    }
    Err(Failure::failed(
        format!("{} is missing, and its log {} is there", path.display(), log.display()),
        "put the file back that the log belongs to, or restore a backup (jhe-ow restore FILE), which keeps the log",
    ))
}

pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

fn refuse_old_sqlite() -> Result<(), Failure> {
    if rusqlite::version_number() >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(Failure::failed(
        format!("this program was built with SQLite {}, which can corrupt its files", rusqlite::version()),
        "build it with the SQLite that its Cargo.lock names (3.51.3 or newer)",
    ))
}

pub(super) fn make_directory(directory: &Path) -> Result<(), Failure> {
    let told = |what: &str, error: std::io::Error| {
        Failure::failed(
            format!("the data directory {} cannot be {what}: {error}", directory.display()),
            "name another with --data-dir or JHE_OW_DATA_DIR, or give this user the right to write there",
        )
    };
    if directory.is_dir() {
        return Ok(());
    }
    let made = fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
    made.map_err(|error| match fs::metadata(directory) {
        // A link to where this user may not look, such as what systemd makes, is there.
        Err(why) if error.kind() == ErrorKind::AlreadyExists => told("reached", why),
        _ => told("made", error),
    })
}

fn migrate_lock(directory: &Path) -> Result<File, Failure> {
    let path = directory.join(MIGRATE_LOCK);
    let told = |error: std::io::Error| {
        Failure::failed(
            format!("the data directory cannot be written: {}: {error}", path.display()),
            "make it and its files writable for this user, or name another with --data-dir",
        )
    };
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(told)?;
    file.lock().map_err(told)?;
    Ok(file)
}

/// Makes the file with its narrow rights before SQLite sees it: the log beside it inherits them.
fn make_file(path: &Path) -> Result<(), Failure> {
    let made = OpenOptions::new().create_new(true).write(true).mode(FILE_MODE).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => narrow_rights(path),
        Err(error) => Err(Failure::failed(
            format!("{} cannot be made: {error}", path.display()),
            "make the data directory writable for this user, or name another with --data-dir",
        )),
    }
}

fn narrow_rights(path: &Path) -> Result<(), Failure> {
    let told = |error: std::io::Error| {
        Failure::failed(format!("{}: {error}", path.display()), "make the file readable for this user")
    };
    let mut rights = fs::metadata(path).map_err(told)?.permissions();
    if rights.mode() & 0o077 != 0 {
        rights.set_mode(FILE_MODE);
        fs::set_permissions(path, rights).map_err(told)?;
    }
    Ok(())
}

/// Looks at a file without changing it: refuses what is not ours or newer than this program, and
/// answers which migrations it has.
pub(super) fn inspect(path: &Path) -> Result<Vec<Migration>, Failure> {
    if !has_magic(path)? {
        return Err(foreign(path, "is not a SQLite database"));
    }
    let told = |error: rusqlite::Error| trouble(path, &error.into());
    let connection = inspector(path).map_err(told)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(told)?;
    inspect_open(&connection, path)
}

/// Opens a file to read its schema. SQLite puts a log and an index beside a file that it opens in WAL mode, and a
/// read-only connection leaves them there. Without a log the file is complete and is opened as immutable.
fn inspector(path: &Path) -> rusqlite::Result<Connection> {
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

/// As [`inspect`], of a file that SQLite has open already. A process that has a store open must not open its file by
/// other means: closing that would take away SQLite's locks.
pub(super) fn inspect_open(connection: &Connection, path: &Path) -> Result<Vec<Migration>, Failure> {
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

/// Returns true if a migration was applied in another wording than this program's. Migrations have not changed since
/// the first release.
fn is_of_development(connection: &Connection, applied: &[Migration]) -> rusqlite::Result<bool> {
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
pub(super) fn is_foreign(failure: &Failure) -> bool {
    [ANOTHER_PROGRAM, NEWER, DEVELOPMENT].iter().any(|why| failure.what.contains(why))
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<Migration>> {
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
fn has_magic(path: &Path) -> Result<bool, Failure> {
    let mut start = Vec::with_capacity(MAGIC.len());
    File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut start)).map_err(
        |error| {
            let next = "make the file readable for this user, or name another data directory";
            Failure::failed(format!("{} cannot be read: {error}", path.display()), next)
        },
    )?;
    Ok(start.is_empty() || start == MAGIC)
}

/// `busy_timeout` comes first: the other pragmas may have to wait for another process themselves.
fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Plans do not depend on bound values, so that binding other values never prepares a statement again.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id == APPLICATION_ID {
        Ok(())
    } else {
        connection.pragma_update(None, "application_id", APPLICATION_ID)
    }
}

fn foreign(path: &Path, why: &str) -> Failure {
    let next = "name another data directory with --data-dir or JHE_OW_DATA_DIR; this file was not touched";
    Failure::failed(format!("{} {why}", path.display()), next)
}

pub(super) fn trouble(path: &Path, error: &StoreError) -> Failure {
    let mut failure = Failure::from(error.clone());
    failure.what = format!("{}: {}", path.display(), failure.what);
    failure
}

/// A database in memory with the schema of this program.
#[cfg(test)]
pub(crate) fn in_memory() -> Connection {
    let mut db = Connection::open_in_memory().unwrap();
    embedded::migrations::runner().run(&mut db).unwrap();
    commits::prepare(&db).unwrap();
    db
}
