//! Both modes may bring one sample: JHE gets at most one observation of a patient, a code, an instant and a provider.
//!
//! Of two such observations the one that is not for JHE stands in `left_out`, from the transaction on that keeps it.
//! Which of the two goes is decided by a setting; what has been sent, or may have been, stays decided.

use rusqlite::{Connection, OptionalExtension, params};

use super::commit::{Owner, StreamKey};
use super::{StoreError, queue, setting};
use crate::settings::Snapshot;
use crate::time::Timestamp;

/// Whether the other system has an observation of the same sample that is for JHE. `own` is the stream, `at` the
/// instant.
const HAS_TWIN: &str = "EXISTS (
    SELECT 1 FROM stream AS other JOIN observation AS twin ON twin.stream = other.id AND twin.instant = at
    WHERE other.patient = own.patient AND other.code = own.code AND other.series_type = own.series_type
      AND other.provider = own.provider AND other.daily_total = own.daily_total AND other.system <> own.system AND other.set_aside = 0
      AND NOT EXISTS (SELECT 1 FROM left_out AS out WHERE out.stream = twin.stream AND out.instant = twin.instant))";

/// What has to be looked at before an observation is queued.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gate {
    /// Whether the system is the one that goes to JHE.
    is_sent: bool,
}

/// The system whose observations go to JHE, as the settings say now.
///
/// # Errors
/// Where they cannot be read.
pub fn exported(db: &Connection) -> Result<&'static str, StoreError> {
    let mut rows = Vec::new();
    for key in ["ow.export_system", "ow.ingest_mode"] {
        rows.extend(setting::get(db, key)?.map(|value| (key.to_owned(), value)));
    }
    Ok(Snapshot::new(rows).export_system())
}

/// What has to be looked at for a stream; none where only one system has ever brought anything, which is the one
/// that goes to JHE.
pub(super) fn gate(
    db: &Connection,
    owner: &Owner,
    key: &StreamKey,
    code: i64,
) -> Result<Option<Gate>, StoreError> {
    // What the outbox stands for, until it is put right: what is kept meanwhile is then moved with the rest.
    let system = settled(db)?.map_or_else(|| exported(db).map(str::to_owned), Ok)?;
    let is_sent = system == owner.system;
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM stream WHERE patient = ? AND code = ? AND provider = ? AND system <> ?)",
    )?;
    let has_other: bool =
        query.query_row(params![owner.patient, code, key.provider, owner.system], |row| row.get(0))?;
    Ok((has_other || !is_sent).then_some(Gate { is_sent }))
}

/// Whether a new observation is for JHE; notes where it is not.
pub(super) fn admits(
    db: &Connection,
    gate: Gate,
    stream: i64,
    instant: Timestamp,
) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {HAS_TWIN} FROM (SELECT stream.*, ?2 AS at FROM stream WHERE id = ?1) AS own"
    ))?;
    let is_left_out = !gate.is_sent || query.query_row(params![stream, instant], |row| row.get(0))?;
    if is_left_out {
        db.prepare_cached("INSERT INTO left_out (stream, instant) VALUES (?, ?) ON CONFLICT DO NOTHING")?
            .execute(params![stream, instant])?;
    }
    Ok(!is_left_out)
}

/// Whether an observation is not for JHE.
pub(super) fn is_left_out(db: &Connection, stream: i64, instant: Timestamp) -> Result<bool, StoreError> {
    let mut query =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM left_out WHERE stream = ? AND instant = ?)")?;
    Ok(query.query_row(params![stream, instant], |row| row.get(0))?)
}

/// Whether the outbox stands as another system's than the settings say.
///
/// # Errors
/// Where the tables cannot be read.
pub fn is_to_settle(db: &Connection) -> Result<bool, StoreError> {
    Ok(settled(db)?.as_deref() != Some(exported(db)?))
}

/// The system that the outbox was last put right for.
fn settled(db: &Connection) -> Result<Option<String>, StoreError> {
    let mut query = db.prepare_cached("SELECT system FROM exported_system")?;
    Ok(query.query_row([], |row| row.get(0)).optional()?)
}

/// Puts the outbox right after the system that goes to JHE has changed. What waits of the other system, has surely not
/// arrived, and is here from this one too, gives way; what was left out of this one is queued, where JHE has not got the other's and gets it no
/// more.
///
/// # Errors
/// Where the tables cannot be written.
pub fn settle(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    if !is_to_settle(db)? {
        return Ok(());
    }
    let system = exported(db)?;
    db.execute(
        "INSERT INTO left_out (stream, instant)
         SELECT outbox.stream, outbox.instant FROM outbox JOIN stream ON stream.id = outbox.stream
         WHERE system <> ?1 AND EXISTS
             (SELECT 1 FROM stream AS other JOIN observation AS twin ON twin.stream = other.id
              WHERE other.patient = stream.patient AND other.code = stream.code AND other.provider = stream.provider
                AND other.daily_total = stream.daily_total AND other.system = ?1 AND other.set_aside = 0
                AND twin.instant = outbox.instant)
         GROUP BY outbox.stream, outbox.instant
         HAVING max(ambiguous) = 0 AND max(repeated) = 0 AND NOT EXISTS
             (SELECT 1 FROM revision WHERE revision.stream = outbox.stream AND revision.instant = outbox.instant
              AND unsent <> 1)
         ON CONFLICT DO NOTHING",
        [system],
    )?;
    db.execute(
        "DELETE FROM outbox WHERE ambiguous = 0 AND repeated = 0 AND EXISTS
             (SELECT 1 FROM left_out JOIN stream ON stream.id = left_out.stream AND system <> ?1
              WHERE left_out.stream = outbox.stream AND left_out.instant = outbox.instant)",
        [system],
    )?;
    let due = format!(
        "FROM (SELECT left_out.instant AS at, stream.* FROM left_out JOIN stream ON stream.id = left_out.stream
               WHERE system = ?1) AS own WHERE NOT {HAS_TWIN}"
    );
    let mut query = db.prepare(&format!("SELECT own.id, at {due}"))?;
    let admitted: Vec<(i64, Timestamp)> =
        query.query_map([system], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut admit = db.prepare_cached("DELETE FROM left_out WHERE stream = ? AND instant = ?")?;
    for (stream, instant) in admitted {
        admit.execute(params![stream, instant])?;
        queue::after_all(db, stream, instant, now)?;
    }
    db.execute(
        "INSERT INTO exported_system (id, system) VALUES (1, ?) ON CONFLICT DO UPDATE SET system = excluded.system",
        [system],
    )?;
    Ok(())
}

/// Whether a patient has observations of both systems.
///
/// # Errors
/// Where the table cannot be read.
pub fn has_both(db: &Connection, patient: crate::patient::PatientId) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT count(DISTINCT system) > 1 FROM stream WHERE patient = ? AND set_aside = 0",
    )?;
    Ok(query.query_row([patient], |row| row.get(0))?)
}

/// How many patients have observations of both systems.
///
/// # Errors
/// Where the table cannot be read.
pub fn with_both(db: &Connection) -> Result<i64, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM (SELECT patient FROM stream WHERE set_aside = 0 GROUP BY patient
                               HAVING count(DISTINCT system) > 1)",
    )?;
    Ok(query.query_row([], |row| row.get(0))?)
}
