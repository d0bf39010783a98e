use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::outbox::enqueue;

/// Remembers what JHE has of a patient and a code, and takes out of the outbox what need not be sent any more;
/// answers how many rows that were.
///
/// # Errors
/// Where the tables cannot be written.
pub fn keep(
    db: &Connection,
    patient: PatientId,
    code: i64,
    values: &[(Timestamp, f64)],
) -> Result<usize, StoreError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO delivered_elsewhere (patient_id, code_id, instant, value) VALUES (?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
    )?;
    for (instant, value) in values {
        insert.execute(params![patient, code, instant, value])?;
    }
    let mut streams = db.prepare_cached("SELECT id FROM streams WHERE patient_id = ? AND code_id = ?")?;
    let streams: Vec<i64> =
        streams.query_map(params![patient, code], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut taken_out = 0;
    for stream in streams {
        for (instant, value) in values {
            taken_out += enqueue::take_out(db, stream, *instant, *value)?;
        }
    }
    Ok(taken_out)
}

/// How many rows of the outbox [`keep`] would take out. Corrections are not counted: what they follow decides.
///
/// # Errors
/// Where the tables cannot be read.
pub fn waiting(
    db: &Connection,
    patient: PatientId,
    code: i64,
    values: &[(Timestamp, f64)],
) -> Result<usize, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT 1 FROM streams JOIN outbox ON outbox.stream_id = streams.id
         WHERE patient_id = ? AND code_id = ? AND instant = ? AND value = ? AND revision = 0 AND ambiguous = 0",
    )?;
    let mut waiting = 0;
    for (instant, value) in values {
        waiting += query.query_map(params![patient, code, instant, value], |_| Ok(()))?.count();
    }
    Ok(waiting)
}
