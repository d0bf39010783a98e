//! Opening the file: whose it is, whether this program may touch it, and its schema.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::common::clock::Clock;
use crate::common::failure::Failure;
use crate::store::engine::data_directory::{FILE_MODE, FILE_NAME, make_directory, make_file};
use crate::store::engine::inspect::{
    APPLICATION_ID, BUSY_TIMEOUT, CACHE_KIB, embedded, inspect, known, log_of, newest, trouble,
};
use crate::store::engine::{backup, directory_lock};
use crate::store::samples::commit_number;

/// The first SQLite without the write-ahead-log bug that corrupts, as `rusqlite::version_number` counts.
const OLDEST_SQLITE: i32 = 3_051_003;
/// Held while the schema is brought up to date, so that two processes do not do it at once.
const MIGRATE_LOCK: &str = "migrate.lock";
/// Pages of write-ahead log before a checkpoint: 4 MiB.
const CHECKPOINT_PAGES: i32 = 1000;
/// Prepared statements that the writer's connection caches: more than it has.
const STATEMENTS: usize = 256;
/// The log is cut back to this many bytes after a checkpoint, so that one big backfill does not leave
/// a big file behind.
const LOG_BYTES: i32 = 16 * 1024 * 1024;

/// Opens the file for the writer, with its schema up to date; answers with the claim on the directory too, which has
/// to be kept for as long as the connection.
pub(crate) fn open(directory: &Path) -> Result<(Connection, File), Failure> {
    refuse_old_sqlite()?;
    let path = directory.join(FILE_NAME);
    make_directory(directory)?;
    let claim = directory_lock::share(directory)?;
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
    commit_number::prepare(&connection).map_err(told)?;
    Ok((connection, claim))
}

/// Brings the schema of a store up to date.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Failure> {
    let ran = embedded::migrations::runner().run(connection);
    ran.map(drop).map_err(|error| {
        let failed = &path.display();
        Failure::failed(
            format!("the schema of {failed} could not be brought up to date: {error}"),
            "nothing was changed; make room on the disk and see that this user may write there",
        )
    })
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

fn refuse_old_sqlite() -> Result<(), Failure> {
    if rusqlite::version_number() >= OLDEST_SQLITE {
        return Ok(());
    }
    Err(Failure::failed(
        format!("this program was built with SQLite {}, which can corrupt its files", rusqlite::version()),
        "build it with the SQLite that its Cargo.lock names (3.51.3 or newer)",
    ))
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

/// A database in memory with the schema of this program.
#[cfg(test)]
pub(crate) fn in_memory() -> Connection {
    let mut db = Connection::open_in_memory().unwrap();
    embedded::migrations::runner().run(&mut db).unwrap();
    commit_number::prepare(&db).unwrap();
    db
}
