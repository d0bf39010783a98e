//! Patients' tokens at JHE, sealed.

use rusqlite::{Connection, OptionalExtension, params};

use crate::model::patient::PatientId;
use crate::store::error::StoreError;

/// Keeps a patient's token in place of an earlier one. Those of patients who are signed in nowhere any more go.
///
/// # Errors
/// Where the table cannot be written.
pub fn keep(db: &Connection, patient: PatientId, sealed: &[u8]) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM jhe_tokens WHERE patient_id NOT IN (SELECT patient_id FROM sessions
         WHERE patient_id IS NOT NULL)",
        [],
    )?;
    db.execute(
        "INSERT OR REPLACE INTO jhe_tokens (patient_id, sealed_token) VALUES (?, ?)",
        params![patient, sealed],
    )?;
    Ok(())
}

/// A patient's token, where one is kept.
///
/// # Errors
/// Where the table cannot be read.
pub fn find(db: &Connection, patient: PatientId) -> Result<Option<Vec<u8>>, StoreError> {
    let mut query = db.prepare_cached("SELECT sealed_token FROM jhe_tokens WHERE patient_id = ?")?;
    Ok(query.query_row([patient], |row| row.get(0)).optional()?)
}

/// Forgets a patient's token.
///
/// # Errors
/// Where the table cannot be written.
pub fn forget(db: &Connection, patient: PatientId) -> Result<(), StoreError> {
    db.execute("DELETE FROM jhe_tokens WHERE patient_id = ?", [patient])?;
    Ok(())
}
