//! Erases one patient: ends everything that reads or shows data, deletes the rows, and removes their remains
//! from the file. Each step can be repeated after an interruption.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use crate::common::{failpoint, time::Timestamp};
use crate::model::account::Actor;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::store::engine::{backup::TEMPORARY_PREFIX, data_directory::FILE_NAME};
use crate::store::engine::{directory_lock, inspect::BUSY_TIMEOUT};
use crate::store::error::{StoreError, StoreResult};
use crate::store::privacy::audit;
use crate::store::privacy::erased_identifiers::{self, IdentifierKind, find_erasure};
use crate::store::privacy::patient_tables::{LINK_TABLES, OBSERVATION_TABLES, PATIENT_TABLES, STREAM_TABLES};
use crate::store::{people::patient, samples::commit_number};

/// Observations deleted in one transaction: some tens of milliseconds, so that no other write waits long.
const BATCH: i64 = 5000;
/// Time to wait for readers of the log, which keep it from being truncated.
const PATIENCE: Duration = Duration::from_secs(15);
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Locked while the file is rewritten.
const VACUUM_LOCK: &str = "vacuum.lock";
/// Replaces the name until the row is deleted.
const ERASED_NAME: &str = "(being erased)";
/// Tables that give access to the patient's data or request more of them.
const ACCESS_TABLES: &[&str] = &[
    "sessions",
    "api_tokens",
    "jhe_tokens",
    "authorizations",
    "invitations",
    "backfills",
    "historical_reads",
];

/// Returns the id of an existing patient, or of one whose erasure has begun.
pub fn resolve(db: &Connection, who: PatientRef) -> StoreResult<PatientId> {
    let erased = match who {
        PatientRef::Own(id) => find_erasure(db, id)?.map(|_| id),
        PatientRef::Jhe(jhe_id) => {
            erased_identifiers::find_patient(db, IdentifierKind::Jhe, &jhe_id.to_string())?.map(|(id, _)| id)
        }
    };
    match (patient::find(db, who), erased) {
        (Ok(patient), _) => Ok(patient.id),
        (Err(StoreError::Refused(_)), Some(id)) => Ok(id),
        (Err(error), _) => Err(error),
    }
}

/// Returns the OW user of the patient's current link.
pub fn find_linked_user(db: &Connection, id: PatientId) -> StoreResult<Option<OwUser>> {
    let mut query =
        db.prepare_cached("SELECT ow_user_id FROM links WHERE patient_id = ? AND state <> 'unlinked'")?;
    Ok(query.query_row([id], |row| row.get(0)).optional()?)
}

/// Ends reading, export and access, and deletes the names. A running tick finds no link when it commits.
pub fn begin(db: &Connection, id: PatientId, now: Timestamp) -> StoreResult<()> {
    if find_erasure(db, id)?.is_some() {
        return Ok(());
    }
    db.execute("INSERT INTO erasures (patient_id, started_at) VALUES (?, ?)", params![id, now])?;
    let one = patient::find(db, PatientRef::Own(id))?;
    if let Some(jhe_id) = one.jhe_id {
        erased_identifiers::insert(db, id, IdentifierKind::Jhe, &jhe_id.to_string())?;
    }
    let linked = one.link.map(|link| link.ow_user.as_str().to_owned());
    for user in linked.iter().chain(one.subject.iter().filter(|subject| linked.as_ref() != Some(subject))) {
        // A user whom another patient is linked to by now is that patient's, who stays.
        if !is_linked_to_another(db, id, user)? {
            erased_identifiers::insert(db, id, IdentifierKind::Ow, user)?;
        }
    }
    patient::unlink(db, id, now)?;
    for table in ACCESS_TABLES {
        db.execute(&format!("DELETE FROM {table} WHERE patient_id = ?"), [id])?;
    }
    // The export sends nothing of a patient without JHE's id.
    db.execute(
        "UPDATE patients SET name = ?2, email = NULL, jhe_patient_id = NULL WHERE id = ?1",
        params![id, ERASED_NAME],
    )?;
    failpoint::at("erase.begun");
    Ok(())
}

fn is_linked_to_another(db: &Connection, id: PatientId, user: &str) -> StoreResult<bool> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM links
                        WHERE ow_user_id = ? AND patient_id <> ? AND state <> 'unlinked')",
    )?;
    Ok(query.query_row(params![user, id], |row| row.get(0))?)
}

/// Deletes one batch of a patient's observations; returns false once there are none.
pub fn delete_batch(db: &Connection, id: PatientId, now: Timestamp) -> StoreResult<bool> {
    let mut query = db.prepare_cached("SELECT id FROM streams WHERE patient_id = ?")?;
    let streams: Vec<i64> = query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for stream in streams {
        if delete_observations(db, stream, Timestamp::MAX, now)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes the oldest observations of a stream before `until`, at most [`BATCH`], with their revisions,
/// outbox rows and events; returns false if there were none. The deleted bytes are overwritten in the file.
pub(crate) fn delete_observations(
    db: &Connection,
    stream: i64,
    until: Timestamp,
    now: Timestamp,
) -> StoreResult<bool> {
    let mut query = db.prepare_cached(
        "SELECT max(instant) FROM (SELECT instant FROM observations WHERE stream_id = ? AND instant < ?
                                   ORDER BY instant LIMIT ?)",
    )?;
    let last: Option<Timestamp> = query.query_row(params![stream, until, BATCH], |row| row.get(0))?;
    let Some(last) = last else { return Ok(false) };
    // No row is left to carry the number, but readers of the commits see that samples have changed.
    commit_number::assign(db, None, now)?;
    with_secure_delete(db, || {
        for table in OBSERVATION_TABLES {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE stream_id = ? AND instant <= ?"))?
                .execute(params![stream, last])?;
            failpoint::at("erase.some");
        }
        Ok(true)
    })
}

/// Runs `work` so that SQLite overwrites the bytes that it deletes.
pub(crate) fn with_secure_delete<T>(
    db: &Connection,
    work: impl FnOnce() -> StoreResult<T>,
) -> StoreResult<T> {
    db.execute_batch("PRAGMA secure_delete = ON")?;
    let result = work();
    db.execute_batch("PRAGMA secure_delete = OFF")?;
    result
}

/// Deletes all other rows of a patient, the patient last, and records the erasure in the audit by id alone.
pub fn finish(db: &Connection, id: PatientId, now: Timestamp) -> StoreResult<()> {
    if find_erasure(db, id)?.is_none_or(|erasure| erasure.rows_deleted.is_some()) {
        return Ok(());
    }
    with_secure_delete(db, || {
        for (tables, key, parent) in [
            (OBSERVATION_TABLES, "stream_id", "streams"),
            (STREAM_TABLES, "stream_id", "streams"),
            (LINK_TABLES, "link_id", "links"),
        ] {
            for table in tables {
                let delete = format!(
                    "DELETE FROM {table} WHERE {key} IN (SELECT id FROM {parent} WHERE patient_id = ?)"
                );
                db.execute(&delete, [id])?;
            }
        }
        for table in PATIENT_TABLES {
            db.execute(&format!("DELETE FROM {table} WHERE patient_id = ?"), [id])?;
        }
        db.execute("DELETE FROM patients WHERE id = ?", [id])?;
        Ok(())
    })?;
    failpoint::at("erase.rows");
    db.execute("UPDATE erasures SET rows_deleted_at = ?2 WHERE patient_id = ?1", params![id, now])?;
    audit::record(db, now, Actor::CommandLine, "patient.erase", Some(id), "")
}

/// Rewrites the file of the store in `directory` without the deleted rows, and truncates its log. Other
/// processes may have it open; their writes wait up to [`BUSY_TIMEOUT`]. Returns false if a permanent reader,
/// such as Litestream, keeps the log from being truncated; later writes overwrite it.
pub fn vacuum(directory: &Path) -> StoreResult<bool> {
    // Tells the writers of all processes that they have to wait, for as long as this process lives.
    let lock = directory_lock::open_lock(directory, VACUUM_LOCK)
        .map_err(|failure| StoreError::Other(failure.message))?;
    lock.lock().map_err(|error| StoreError::Other(error.to_string()))?;
    let db = Connection::open_with_flags(directory.join(FILE_NAME), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.execute_batch("VACUUM")?;
    let began = Instant::now();
    loop {
        let is_busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        match is_busy {
            false => return Ok(true),
            true if began.elapsed() > PATIENCE => return Ok(false),
            true => std::thread::sleep(RETRY_PAUSE),
        }
    }
}

/// Returns true while a process rewrites the file after an erasure.
pub(crate) fn is_vacuuming(directory: &Path) -> bool {
    let file = fs::File::open(directory.join(VACUUM_LOCK));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// Records that the file was rewritten.
pub fn record_vacuum(db: &Connection, now: Timestamp) -> StoreResult<()> {
    db.execute(
        "UPDATE erasures SET vacuumed_at = ? WHERE rows_deleted_at IS NOT NULL AND vacuumed_at IS NULL",
        [now],
    )?;
    Ok(())
}

/// A copy of the store that has, or may have, an erased patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientCopy {
    pub path: PathBuf,
    /// False if the copy could not be opened, so that it only may have the patient.
    pub is_readable: bool,
}

/// Finds the copies of the store in these directories that have a patient of this id or cannot be read, also
/// the ones that a killed backup or restore has left unfinished.
pub fn find_copies(directories: &[PathBuf], id: PatientId) -> Vec<PatientCopy> {
    let mut copies = Vec::new();
    for path in directories.iter().flat_map(|directory| list_directory(directory)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_copy = name.ends_with(".sqlite3") || name.contains(".sqlite3.replaced-");
        let files = match () {
            () if name.starts_with(TEMPORARY_PREFIX) => list_directory(&path),
            () if is_copy && name != FILE_NAME => vec![path],
            () => continue,
        };
        for path in files.into_iter().filter(|path| !is_sidecar(path)) {
            match has_patient(&path, id) {
                Ok(false) => {}
                found => copies.push(PatientCopy { path, is_readable: found.is_ok() }),
            }
        }
    }
    copies.sort_by(|one, other| one.path.cmp(&other.path));
    copies.dedup();
    copies
}

fn list_directory(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Returns true for a file that SQLite keeps beside a database.
fn is_sidecar(path: &Path) -> bool {
    let name = path.to_string_lossy();
    ["-wal", "-shm", "-journal"].iter().any(|suffix| name.ends_with(suffix))
}

fn has_patient(path: &Path, id: PatientId) -> rusqlite::Result<bool> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.query_row("SELECT EXISTS (SELECT 1 FROM patients WHERE id = ?)", [id], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::engine::open::in_memory;

    /// Returns the tables that refer to `patients`, directly or through others.
    fn referring(db: &Connection) -> BTreeSet<String> {
        let tables = "SELECT name FROM sqlite_schema WHERE type = 'table'";
        let mut query = db.prepare(tables).unwrap();
        let tables: Vec<String> =
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let refers = |table: &str, to: &BTreeSet<String>| {
            let mut query = db.prepare("SELECT \"table\" FROM pragma_foreign_key_list(?)").unwrap();
            let targets = query.query_map([table], |row| row.get::<_, String>(0)).unwrap();
            targets.map(Result::unwrap).any(|target| to.contains(&target))
        };
        let mut found = BTreeSet::from(["patients".to_owned()]);
        loop {
            let more: Vec<String> = tables
                .iter()
                .filter(|table| !found.contains(*table) && refers(table, &found))
                .cloned()
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }

    #[test]
    fn every_table_with_rows_of_a_patient_is_cleared() {
        let db = in_memory();
        let mut cleared: BTreeSet<String> = BTreeSet::from(["patients".to_owned()]);
        let lists: [&[&str]; 4] = [OBSERVATION_TABLES, STREAM_TABLES, LINK_TABLES, PATIENT_TABLES];
        cleared.extend(lists.concat().into_iter().map(str::to_owned));
        assert_eq!(referring(&db), cleared);
        // Tables that name a patient without a foreign key: the audit, which holds ids only, and the
        // erasures.
        let mut query = db
            .prepare(
                "SELECT s.name FROM sqlite_schema AS s JOIN pragma_table_info(s.name) AS c
                 WHERE s.type = 'table' AND c.name IN ('patient_id', 'stream_id', 'link_id')",
            )
            .unwrap();
        let named: BTreeSet<String> =
            query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let others: Vec<&String> = named.difference(&cleared).collect();
        assert_eq!(others, ["audit_entries", "erased_identifiers", "erasures"]);
    }
}
