//! Opens the store's file for the writer and brings its schema up to date.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::common::{clock::Clock, failure::Failure};
use crate::store::engine::data_directory::{FILE_NAME, create_directory, create_file};
use crate::store::engine::inspect::{self, APPLICATION_ID, BUSY_TIMEOUT, CACHE_KIB, Migration, wal_path};
use crate::store::engine::restore_guard::{Position, RestoreGuard};
use crate::store::engine::{backup, backup::Contents, directory_lock};
use crate::store::privacy::restored::{self, LocalConsents};
use crate::store::samples::commit_number;

/// The first SQLite without the write-ahead-log bug that corrupts files, as `rusqlite::version_number`
/// counts.
const OLDEST_SQLITE: i32 = 3_051_003;
/// Locked during a migration, so that two processes do not migrate at once.
const MIGRATE_LOCK: &str = "migrate.lock";
/// Longest wait for another process that migrates, and the pause between two attempts. The upgrade of a gigabyte takes
/// seconds.
const MIGRATION_PATIENCE: Duration = BUSY_TIMEOUT;
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// Pages of write-ahead log before a checkpoint: 4 MiB.
const CHECKPOINT_PAGES: i32 = 1000;
/// Prepared statements that the writer's connection caches: more than it has.
const STATEMENTS: usize = 256;
/// A checkpoint cuts the log back to this many bytes, so that one large backfill does not leave a large file
/// behind.
const LOG_BYTES: i32 = 16 * 1024 * 1024;

/// An open file with an up-to-date schema.
pub(crate) struct OpenedFile {
    pub(crate) connection: Connection,
    pub(crate) guard: RestoreGuard,
    /// The shared lock on the directory; it lives as long as the connection.
    pub(crate) lock: File,
}

/// Opens the file and brings its schema up to date. Adapts a file that something else has restored.
pub(crate) fn open(directory: &Path) -> Result<OpenedFile, Failure> {
    refuse_old_sqlite()?;
    let path = directory.join(FILE_NAME);
    create_directory(directory)?;
    let lock = directory_lock::lock_shared(directory)?;
    refuse_lone_log(directory)?;
    let is_up_to_date = |applied: &[Migration]| applied.len() == inspect::embedded_migrations().len();
    let mut applied = if path.exists() { inspect::inspect(&path)? } else { Vec::new() };
    // Most opens find an up-to-date file and need no lock: a stopped process that holds it must not stop them.
    let _migrate_lock = if is_up_to_date(&applied) {
        None
    } else {
        let lock = lock_for_migration(directory)?;
        create_file(&path)?;
        applied = inspect::inspect(&path)?;
        Some(lock)
    };
    create_file(&path)?;
    let failure = |error: rusqlite::Error| inspect::failure_for(&path, &error.into());
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(&path, flags).map_err(failure)?;
    prepare_writer(&connection).map_err(failure)?;
    if !applied.is_empty() && !is_up_to_date(&applied) {
        let (newest, now) = (inspect::newest_version(), Clock::System.now());
        let copy = backup::copy_before_migration(&connection, directory, newest, now)?;
        tracing::info!("the schema will be upgraded; a copy of the store before that is {}", copy.display());
    }
    migrate(&mut connection, &path)?;
    commit_number::prepare(&connection).map_err(failure)?;
    let (mut guard, is_restored) = RestoreGuard::open(&connection, directory)?;
    if is_restored {
        let now = Clock::System.now();
        let as_of = Contents::of(&connection).map_err(failure)?.last.unwrap_or(now);
        restored::adapt(&connection, LocalConsents::Suspend { as_of }, now)
            .and_then(|()| Position::read(&connection))
            .map(|position| guard.save(position))
            .map_err(|error| inspect::failure_for(&path, &error))?;
        tracing::warn!(
            next = "confirm the consents that were recorded here, on the page /admin/restored or with jhe-ow restore \
                    --confirm-consents",
            "{} was restored from a copy of {as_of}: consents are suspended, and nobody is signed in",
            path.display()
        );
    }
    Ok(OpenedFile { connection, guard, lock })
}

/// Brings the schema of a store up to date.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), Failure> {
    inspect::runner().run(connection).map(drop).map_err(|error| {
        Failure::failed(
            format!("the schema of {} could not be brought up to date: {error}", path.display()),
            "nothing was changed; make room on the disk and see that this user may write there",
        )
    })
}

/// Refuses a log whose database is missing: it may hold data that exists nowhere else, and SQLite would
/// delete it beside a new file.
pub fn refuse_lone_log(directory: &Path) -> Result<(), Failure> {
    let path = directory.join(FILE_NAME);
    let log = wal_path(&path);
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    if bytes(&path) > 0 || bytes(&log) == 0 {
        return Ok(());
    }
    Err(Failure::failed(
        format!("{} is missing, and its log {} is there", path.display(), log.display()),
        "put the file back that the log belongs to, or restore a backup (jhe-ow restore FILE), which keeps \
         the log",
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

fn lock_for_migration(directory: &Path) -> Result<File, Failure> {
    let file = directory_lock::open_lock(directory, MIGRATE_LOCK)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < MIGRATION_PATIENCE => {
                std::thread::sleep(RETRY_PAUSE);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::failed(
                    format!(
                        "another process has been creating or upgrading the store in {} for more than {} s",
                        directory.display(),
                        MIGRATION_PATIENCE.as_secs()
                    ),
                    "wait until it has ended, or end it if it is stopped: fuser migrate.lock in that directory names it",
                ));
            }
            Err(TryLockError::Error(error)) => {
                return Err(directory_lock::unusable(&directory.join(MIGRATE_LOCK), &error));
            }
        }
    }
}

fn prepare_writer(connection: &Connection) -> rusqlite::Result<()> {
    // First, since the pragmas below may themselves have to wait for another process.
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
    // Written only once: it changes the file.
    if id == APPLICATION_ID {
        Ok(())
    } else {
        connection.pragma_update(None, "application_id", APPLICATION_ID)
    }
}

/// Opens a database in memory with the schema of this program.
#[cfg(test)]
pub(crate) fn in_memory() -> Connection {
    let mut db = Connection::open_in_memory().unwrap();
    inspect::runner().run(&mut db).unwrap();
    commit_number::prepare(&db).unwrap();
    db
}
