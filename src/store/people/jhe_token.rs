//! Patients' access tokens at JHE, encrypted.

use rusqlite::{Connection, OptionalExtension, params};

use crate::model::patient::PatientId;
use crate::store::error::StoreResult;

/// Replaces a patient's token, and deletes the tokens of patients who have no session.
pub fn save(db: &Connection, patient: PatientId, sealed: &[u8]) -> StoreResult<()> {
    // A token is of no use without a session and must not outlive it.
    let delete = "DELETE FROM jhe_tokens WHERE patient_id NOT IN (SELECT patient_id FROM sessions
         WHERE patient_id IS NOT NULL)";
    db.execute(delete, [])?;
    let insert = "INSERT OR REPLACE INTO jhe_tokens (patient_id, sealed_token) VALUES (?, ?)";
    db.execute(insert, params![patient, sealed])?;
    Ok(())
}

pub fn find(db: &Connection, patient: PatientId) -> StoreResult<Option<Vec<u8>>> {
    let mut query = db.prepare_cached("SELECT sealed_token FROM jhe_tokens WHERE patient_id = ?")?;
    Ok(query.query_row([patient], |row| row.get(0)).optional()?)
}

pub fn delete(db: &Connection, patient: PatientId) -> StoreResult<()> {
    db.execute("DELETE FROM jhe_tokens WHERE patient_id = ?", [patient])?;
    Ok(())
}
