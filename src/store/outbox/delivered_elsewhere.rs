//! Observations that another client has delivered to JHE. They are not sent again.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::store::error::StoreResult;

pub fn has_any(db: &Connection, patient: PatientId) -> StoreResult<bool> {
    let mut query =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM delivered_elsewhere WHERE patient_id = ?)")?;
    Ok(query.query_row([patient], |row| row.get(0))?)
}

/// Returns true if JHE has this value of an instant from another client. `code` is the row id of the code.
pub fn contains(
    db: &Connection,
    patient: PatientId,
    code: i64,
    instant: Timestamp,
    value: f64,
) -> StoreResult<bool> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM delivered_elsewhere WHERE patient_id = ? AND code_id = ? AND instant = ?
         AND value = ?)",
    )?;
    Ok(query.query_row(params![patient, code, instant, value], |row| row.get(0))?)
}
