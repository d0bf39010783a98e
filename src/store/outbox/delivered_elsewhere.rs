//! What another client of JHE's has delivered there: it is not sent again.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;

/// Whether there is anything of a patient.
///
/// # Errors
/// Where the table cannot be read.
pub fn any(db: &Connection, patient: PatientId) -> Result<bool, StoreError> {
    let mut query =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM delivered_elsewhere WHERE patient_id = ?)")?;
    Ok(query.query_row([patient], |row| row.get(0))?)
}

/// Whether this value of an instant is there. `code` is the row of the code.
///
/// # Errors
/// Where the table cannot be read.
pub fn has(
    db: &Connection,
    patient: PatientId,
    code: i64,
    instant: Timestamp,
    value: f64,
) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM delivered_elsewhere WHERE patient_id = ? AND code_id = ? AND instant = ?
         AND value = ?)",
    )?;
    Ok(query.query_row(params![patient, code, instant, value], |row| row.get(0))?)
}
