//! Records observations that another client has delivered to JHE, and takes them out of the outbox.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::store::{error::StoreResult, outbox::enqueue};

/// Records values that JHE has of a patient and a code, and deletes their outbox rows. Returns the number of
/// deleted rows.
pub fn record(
    db: &Connection,
    patient: PatientId,
    code: i64,
    values: &[(Timestamp, f64)],
) -> StoreResult<usize> {
    let sql = "INSERT INTO delivered_elsewhere (patient_id, code_id, instant, value) VALUES (?, ?, ?, ?)
         ON CONFLICT DO NOTHING";
    let mut insert = db.prepare_cached(sql)?;
    for (instant, value) in values {
        insert.execute(params![patient, code, instant, value])?;
    }
    let mut streams = db.prepare_cached("SELECT id FROM streams WHERE patient_id = ? AND code_id = ?")?;
    let streams: Vec<i64> =
        streams.query_map(params![patient, code], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut deleted = 0;
    for stream in streams {
        for (instant, value) in values {
            deleted += enqueue::delete_delivered(db, stream, *instant, *value)?;
        }
    }
    Ok(deleted)
}

/// Counts the outbox rows that [`record`] would delete. Corrections are left out: whether they are sent
/// depends on the value before them.
pub fn count_pending(
    db: &Connection,
    patient: PatientId,
    code: i64,
    values: &[(Timestamp, f64)],
) -> StoreResult<usize> {
    let select = "SELECT 1 FROM streams JOIN outbox ON outbox.stream_id = streams.id
         WHERE patient_id = ? AND code_id = ? AND instant = ? AND value = ? AND revision = 0
         AND ambiguous = 0";
    let mut query = db.prepare_cached(select)?;
    let mut waiting = 0;
    for (instant, value) in values {
        waiting += query.query_map(params![patient, code, instant, value], |_| Ok(()))?.count();
    }
    Ok(waiting)
}
