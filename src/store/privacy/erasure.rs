//! Erasing one patient: the end of everything that brings data in or lets anybody see them, the rows, and what is left
//! of the rows in the file. Each step may be done twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use sha2::Digest;

use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::store::engine::backup::UNFINISHED;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::inspect::BUSY_TIMEOUT;
use crate::store::error::StoreError;
use crate::store::people::patient;
use crate::store::privacy::audit;
use crate::store::privacy::erased_identifiers::{Kind, find, hash, named};
use crate::store::privacy::patient_tables::{OF_LINK, OF_OBSERVATION, OF_PATIENT, OF_STREAM};
use crate::store::samples::commit_number;

/// Observations of one transaction: some tens of milliseconds, so that nobody waits long.
const CHUNK: i64 = 5000;
/// How long it is waited until nobody reads from the log any more, so that it can be cut off.
const PATIENCE: Duration = Duration::from_secs(15);
/// How soon it is tried again.
const PAUSE: Duration = Duration::from_millis(100);
/// What stands for the name until the row is gone.
const NAMELESS: &str = "(being erased)";

/// The number of a patient who is here, or whose erasure has begun.
///
/// # Errors
/// A sentence where there never was such a patient.
pub fn resolve(db: &Connection, who: PatientRef) -> Result<PatientId, StoreError> {
    let erased = match who {
        PatientRef::Own(id) => find(db, id)?.map(|_| id),
        PatientRef::Jhe(jhe_id) => named(db, Kind::Jhe, &jhe_id.to_string())?.map(|(id, _)| id),
    };
    match (patient::find(db, who), erased) {
        (Ok(patient), _) => Ok(patient.id),
        (Err(StoreError::Refused(_)), Some(id)) => Ok(id),
        (Err(error), _) => Err(error),
    }
}

/// When the erasure of a patient began; none where it has not.
///
/// # Errors
/// Where the table cannot be read.
pub fn began(db: &Connection, id: PatientId) -> Result<Option<Timestamp>, StoreError> {
    let mut query = db.prepare_cached("SELECT started_at FROM erasures WHERE patient_id = ?")?;
    Ok(query.query_row([id], |row| row.get(0)).optional()?)
}

/// The OW user of the link that stands, where one does.
///
/// # Errors
/// Where the table cannot be read.
pub fn linked_user(db: &Connection, id: PatientId) -> Result<Option<OwUser>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT ow_user_id FROM links WHERE patient_id = ? AND state <> 'unlinked'")?;
    Ok(query.query_row([id], |row| row.get(0)).optional()?)
}

/// Begins: nothing comes in, goes out, or is shown from here on, and the names are gone. A tick that is under way finds
/// no link when it wants to commit.
///
/// # Errors
/// Where the tables cannot be written.
pub fn begin(db: &Connection, id: PatientId, now: Timestamp) -> Result<(), StoreError> {
    if find(db, id)?.is_some() {
        return Ok(());
    }
    db.execute("INSERT INTO erasures (patient_id, started_at) VALUES (?, ?)", params![id, now])?;
    let one = patient::find(db, PatientRef::Own(id))?;
    if let Some(jhe_id) = one.jhe_id {
        remember(db, id, Kind::Jhe, &jhe_id.to_string())?;
    }
    let linked = one.link.map(|link| link.ow_user.as_str().to_owned());
    for user in linked.iter().chain(one.subject.iter().filter(|subject| linked.as_ref() != Some(subject))) {
        if !is_linked_to_another(db, id, user)? {
            remember(db, id, Kind::Ow, user)?;
        }
    }
    patient::end_link(db, id, now)?;
    for table in [
        "sessions",
        "api_tokens",
        "jhe_tokens",
        "authorizations",
        "invitations",
        "backfills",
        "historical_reads",
    ] {
        db.execute(&format!("DELETE FROM {table} WHERE patient_id = ?"), [id])?;
    }
    // Without its number at JHE nothing of the patient is sent any more.
    db.execute(
        "UPDATE patients SET name = ?2, email = NULL, jhe_patient_id = NULL WHERE id = ?1",
        params![id, NAMELESS],
    )?;
    failpoint::at("erase.begun");
    Ok(())
}

fn is_linked_to_another(db: &Connection, id: PatientId, user: &str) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM links WHERE ow_user_id = ? AND patient_id <> ? AND state <> 'unlinked')",
    )?;
    Ok(query.query_row(params![user, id], |row| row.get(0))?)
}

/// Deletes some of a patient's observations and what hangs on them; answers whether there were any.
///
/// # Errors
/// Where the tables cannot be written.
pub fn step(db: &Connection, id: PatientId, now: Timestamp) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached("SELECT id FROM streams WHERE patient_id = ?")?;
    let streams: Vec<i64> = query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for stream in streams {
        if delete_some(db, stream, Timestamp::MAX, now)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Deletes the oldest observations of a stream before `until`, at most [`CHUNK`], and what hangs on them; answers
/// whether there were any. What was deleted is overwritten in the file.
pub(crate) fn delete_some(
    db: &Connection,
    stream: i64,
    until: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT max(instant) FROM (SELECT instant FROM observations WHERE stream_id = ? AND instant < ?
                                   ORDER BY instant LIMIT ?)",
    )?;
    let last: Option<Timestamp> = query.query_row(params![stream, until, CHUNK], |row| row.get(0))?;
    let Some(last) = last else { return Ok(false) };
    // No row is left to carry the number; readers see that samples have changed.
    commit_number::number(db, None, now)?;
    overwriting(db, || {
        for &table in OF_OBSERVATION {
            db.prepare_cached(&format!("DELETE FROM {table} WHERE stream_id = ? AND instant <= ?"))?
                .execute(params![stream, last])?;
            failpoint::at("erase.some");
        }
        Ok(true)
    })
}

/// Does `work` so that what it deletes is overwritten, and not only left over.
pub(crate) fn overwriting<T>(
    db: &Connection,
    work: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    db.execute_batch("PRAGMA secure_delete = ON")?;
    let done = work();
    db.execute_batch("PRAGMA secure_delete = OFF")?;
    done
}

/// Deletes everything else of a patient, the row itself last, and notes it in the audit by the number alone.
///
/// # Errors
/// Where the tables cannot be written.
pub fn finish(db: &Connection, id: PatientId, now: Timestamp) -> Result<(), StoreError> {
    if find(db, id)?.is_none_or(|erasure| erasure.rows_gone.is_some()) {
        return Ok(());
    }
    overwriting(db, || {
        let hanging = |tables: &'static [&str], key: &'static str, of: &'static str| {
            tables.iter().map(move |table| (*table, key, of))
        };
        let all = hanging(&OF_OBSERVATION, "stream_id", "streams")
            .chain(hanging(&OF_STREAM, "stream_id", "streams"))
            .chain(hanging(&OF_LINK, "link_id", "links"));
        for (table, key, of) in all {
            let delete =
                format!("DELETE FROM {table} WHERE {key} IN (SELECT id FROM {of} WHERE patient_id = ?)");
            db.execute(&delete, [id])?;
        }
        for &table in OF_PATIENT {
            db.execute(&format!("DELETE FROM {table} WHERE patient_id = ?"), [id])?;
        }
        db.execute("DELETE FROM patients WHERE id = ?", [id])?;
        Ok(())
    })?;
    failpoint::at("erase.rows");
    db.execute("UPDATE erasures SET rows_deleted_at = ?2 WHERE patient_id = ?1", params![id, now])?;
    audit::record(db, now, Actor::CommandLine, "patient.erase", Some(id), "")
}

/// Rewrites the file of the store in `directory` without what was deleted, and cuts its log off. Others may have it
/// open; whoever writes waits, up to [`BUSY_TIMEOUT`]. Answers whether the log is cut off: where somebody reads for ever
/// (as Litestream does), it is written over later, by what is written then.
///
/// # Errors
/// [`StoreError::Busy`] where others write for too long; also where the disk has no room for a second copy.
pub fn vacuum(directory: &Path) -> Result<bool, StoreError> {
    let db = Connection::open_with_flags(directory.join(FILE_NAME), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    db.busy_timeout(BUSY_TIMEOUT)?;
    db.execute_batch("VACUUM")?;
    let began = Instant::now();
    loop {
        let is_busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        match is_busy {
            false => return Ok(true),
            true if began.elapsed() > PATIENCE => return Ok(false),
            true => std::thread::sleep(PAUSE),
        }
    }
}

/// Notes that the file was rewritten.
///
/// # Errors
/// Where the table cannot be written.
pub fn note_vacuumed(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    db.execute(
        "UPDATE erasures SET vacuumed_at = ? WHERE rows_deleted_at IS NOT NULL AND vacuumed_at IS NULL",
        [now],
    )?;
    Ok(())
}

/// Another file that may have a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it could be looked into: then it has the patient.
    pub is_read: bool,
}

/// The copies of the store in these directories that have a patient of this number, or cannot be read; also those that
/// a killed backup or restore has left unfinished.
pub fn copies(directories: &[PathBuf], id: PatientId) -> Vec<Copy> {
    let mut copies = Vec::new();
    for path in directories.iter().flat_map(|directory| entries(directory)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_copy = name.ends_with(".sqlite3") || name.contains(".sqlite3.replaced-");
        let files = match () {
            () if name.starts_with(UNFINISHED) => entries(&path),
            () if is_copy && name != FILE_NAME => vec![path],
            () => continue,
        };
        for path in files.into_iter().filter(|path| !is_beside(path)) {
            match has_patient(&path, id) {
                Ok(false) => {}
                Ok(true) => copies.push(Copy { path, is_read: true }),
                Err(_) => copies.push(Copy { path, is_read: false }),
            }
        }
    }
    copies.sort_by(|one, other| one.path.cmp(&other.path));
    copies.dedup();
    copies
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

/// Whether SQLite keeps it beside a database.
fn is_beside(path: &Path) -> bool {
    let name = path.to_string_lossy();
    ["-wal", "-shm", "-journal"].iter().any(|end| name.ends_with(end))
}

fn has_patient(path: &Path, id: PatientId) -> rusqlite::Result<bool> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    db.query_row("SELECT EXISTS (SELECT 1 FROM patients WHERE id = ?)", [id], |row| row.get(0))
}

/// Forgets what an erased patient was known by elsewhere, so that the person can come in again; answers whether there
/// was anything to forget.
///
/// # Errors
/// Where the table cannot be written.
pub fn readmit(db: &Connection, id: PatientId) -> Result<bool, StoreError> {
    Ok(db.execute("DELETE FROM erased_identifiers WHERE patient_id = ?", [id])? > 0)
}

fn remember(db: &Connection, id: PatientId, kind: Kind, name: &str) -> Result<(), StoreError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| StoreError::Other(format!("no randomness: {error}")))?;
    db.execute(
        "INSERT INTO erased_identifiers (patient_id, kind, salt, hash) VALUES (?, ?, ?, ?)",
        params![id, kind.as_str(), salt, hash(&salt, kind, name)],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::engine::open::in_memory;

    /// The tables that refer to one of these, directly or through others.
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
    fn every_table_that_has_anything_of_a_patient_is_cleared() {
        let db = in_memory();
        let mut cleared: BTreeSet<String> = BTreeSet::from(["patients".to_owned()]);
        let lists: [&[&str]; 4] = [&OF_OBSERVATION, &OF_STREAM, &OF_LINK, &OF_PATIENT];
        cleared.extend(lists.concat().into_iter().map(str::to_owned));
        assert_eq!(referring(&db), cleared);
        // What names a patient without a foreign key: the audit, which holds numbers only, and the erasures themselves.
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

    #[test]
    fn a_name_is_known_again_by_its_kind_and_tells_nothing_else() {
        let db = in_memory();
        db.execute("INSERT INTO erasures (patient_id, started_at) VALUES (7, 0)", []).unwrap();
        remember(&db, PatientId::new(7), Kind::Jhe, "40001").unwrap();
        let known = |kind, name| named(&db, kind, name).unwrap().map(|(id, _)| id.get());
        assert_eq!((known(Kind::Jhe, "40001"), known(Kind::Jhe, "40002")), (Some(7), None));
        assert_eq!(known(Kind::Ow, "40001"), None);
        assert!(readmit(&db, PatientId::new(7)).unwrap());
        assert_eq!(known(Kind::Jhe, "40001"), None);
    }
}
