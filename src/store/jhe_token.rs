//! Patients' tokens at JHE, sealed.

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use crate::patient::PatientId;

/// Keeps a patient's token in place of an earlier one. Those of patients who are signed in nowhere any more go.
///
/// # Errors
/// Where the table cannot be written.
pub fn keep(db: &Connection, patient: PatientId, sealed: &[u8]) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM jhe_token WHERE patient NOT IN (SELECT patient FROM session WHERE patient IS NOT NULL)",
        [],
    )?;
    db.execute("INSERT OR REPLACE INTO jhe_token (patient, sealed) VALUES (?, ?)", params![patient, sealed])?;
    Ok(())
}

/// A patient's token, where one is kept.
///
/// # Errors
/// Where the table cannot be read.
pub fn find(db: &Connection, patient: PatientId) -> Result<Option<Vec<u8>>, StoreError> {
    let mut query = db.prepare_cached("SELECT sealed FROM jhe_token WHERE patient = ?")?;
    Ok(query.query_row([patient], |row| row.get(0)).optional()?)
}

/// Forgets a patient's token.
///
/// # Errors
/// Where the table cannot be written.
pub fn forget(db: &Connection, patient: PatientId) -> Result<(), StoreError> {
    db.execute("DELETE FROM jhe_token WHERE patient = ?", [patient])?;
    Ok(())
}
