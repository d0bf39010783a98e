//! Which scopes a patient has agreed to, since when and until when.

use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, code};
use crate::intervals::{Allowed, Grant};
use crate::patient::PatientId;
use crate::time::Timestamp;

/// Notes that a patient agrees to a scope from `at` on; answers whether that is news.
///
/// # Errors
/// Where the code is unknown, or the row cannot be written.
pub fn grant(db: &Connection, patient: PatientId, scope: &str, at: Timestamp) -> Result<bool, StoreError> {
    let code = code::require(db, scope)?;
    if stands(db, patient, code)? {
        return Ok(false);
    }
    // A grant in the very microsecond of the withdrawal before it takes that one back.
    db.execute(
        "INSERT INTO consent (patient, code, granted_at) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET withdrawn_at = NULL",
        params![patient, code, at],
    )?;
    Ok(true)
}

/// Notes that a patient withdraws a scope at `at`; answers whether there was a consent to withdraw.
///
/// # Errors
/// Where the code is unknown, or the row cannot be written.
pub fn withdraw(db: &Connection, patient: PatientId, scope: &str, at: Timestamp) -> Result<bool, StoreError> {
    let code = code::require(db, scope)?;
    let changed = db.execute(
        "UPDATE consent SET withdrawn_at = max(granted_at, ?3)
         WHERE patient = ?1 AND code = ?2 AND withdrawn_at IS NULL",
        params![patient, code, at],
    )?;
    Ok(changed > 0)
}

/// What a patient's consents to one scope allow to be ingested.
///
/// # Errors
/// Where the table cannot be read.
pub fn allowed(db: &Connection, patient: PatientId, scope: &str) -> Result<Allowed, StoreError> {
    Ok(Allowed::from_grants(&history(db, patient, scope)?))
}

/// Every grant of one scope by one patient, oldest first.
///
/// # Errors
/// Where the table cannot be read.
pub fn history(db: &Connection, patient: PatientId, scope: &str) -> Result<Vec<Grant>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT granted_at, withdrawn_at FROM consent JOIN code ON code.id = consent.code
         WHERE patient = ? AND code.code = ? ORDER BY granted_at",
    )?;
    let grants = query.query_map(params![patient, scope], |row| {
        Ok(Grant { granted: row.get(0)?, withdrawn: row.get(1)? })
    })?;
    Ok(grants.collect::<Result<_, _>>()?)
}

/// The scopes that a patient has ever granted, with their grants.
///
/// # Errors
/// Where the table cannot be read.
pub fn scopes(db: &Connection, patient: PatientId) -> Result<Vec<(String, Vec<Grant>)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT code.code FROM consent JOIN code ON code.id = consent.code WHERE patient = ? ORDER BY 1",
    )?;
    let scopes = query.query_map([patient], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    scopes.into_iter().map(|scope| history(db, patient, &scope).map(|grants| (scope, grants))).collect()
}

fn stands(db: &Connection, patient: PatientId, code: i64) -> Result<bool, StoreError> {
    let mut query =
        db.prepare_cached("SELECT 1 FROM consent WHERE patient = ? AND code = ? AND withdrawn_at IS NULL")?;
    Ok(query.query_row(params![patient, code], |_| Ok(())).optional()?.is_some())
}
