//! Opening the file: whose it is, whether this program may touch it, and its schema.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{BUSY_TIMEOUT, FILE_NAME, StoreError, backup, claim};
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
/// The log is cut back to this many bytes after a checkpoint, so that one big backfill does not leave
/// a big file behind.
const LOG_BYTES: i32 = 16 * 1024 * 1024;

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
    let mut connection =
        Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(told)?;
    prepare_writer(&connection).map_err(told)?;
    if !applied.is_empty() && applied.len() < known().len() {
        let kept = backup::before_migration(&connection, directory, newest(), Clock::System.now())?;
        tracing::info!("the schema is brought up to date; the store as it was is kept as {}", kept.display());
    }
    migrate(&mut connection, &path)?;
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
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
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

/// A log without its database may have what nothing else has, and SQLite would throw it away beside a new file.
fn refuse_lone_log(path: &Path) -> Result<(), Failure> {
    let bytes = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if bytes(path) > 0 || bytes(Path::new(&log)) == 0 {
        return Ok(());
    }
    Err(Failure::failed(
        format!("{} is missing, and its log {} is there", path.display(), Path::new(&log).display()),
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
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(told)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(told)?;
    inspect_open(&connection, path)
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
        _ => return Err(foreign(path, "is a database of another program")),
    }
    let applied = applied(connection).map_err(told)?;
    let newest = newest();
    match applied.iter().find(|migration| migration.version > newest) {
        None => Ok(applied),
        Some(newer) => Err(Failure::failed(
            format!(
                "{} was written by a newer jhe-ow (schema {}, this program knows {newest})",
                path.display(),
                newer.version
            ),
            "use that newer version; nothing was changed",
        )),
    }
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
    db
}

#[cfg(test)]
mod tests {
    use refinery::Target;

    use super::*;
    use crate::intervals::Grant;
    use crate::patient::PatientId;
    use crate::store::{code, consent, patient};
    use crate::time::Timestamp;

    #[test]
    fn what_was_kept_before_there_were_people_is_kept() {
        let mut db = Connection::open_in_memory().unwrap();
        embedded::migrations::runner().set_target(Target::Version(1)).run(&mut db).unwrap();
        code::seed(&db).unwrap();
        db.execute_batch(
            "INSERT INTO patient (id, name, time_zone, created_at) VALUES (1, 'A', 'UTC', 0), (2, 'B', 'UTC', 0);
             INSERT INTO consent (patient, code, granted_at, withdrawn_at)
             SELECT patient.id, code.id, 10 * patient.id, iif(patient.id = 1, 15, NULL) FROM patient, code
             WHERE code = 'omh:heart-rate:2.0';",
        )
        .unwrap();
        embedded::migrations::runner().run(&mut db).unwrap();
        let at = Timestamp::from_micros;
        let history = |id| consent::history(&db, PatientId::new(id), "omh:heart-rate:2.0").unwrap();
        assert_eq!(history(1), [Grant { granted: at(10), withdrawn: Some(at(15)) }]);
        assert_eq!(history(2), [Grant { granted: at(20), withdrawn: None }]);
        let external = |id| patient::external_id(&db, PatientId::new(id)).unwrap();
        assert_eq!((external(1).len(), external(1) == external(2)), (32, false));
    }
}
