//! The append-only record of who did what. It names patients by number and holds no health data.

use rusqlite::{Connection, params};

use super::StoreError;
use crate::patient::PatientId;
use crate::time::Timestamp;

/// Writes down that `actor` did `action`.
///
/// # Errors
/// Where the row cannot be written.
pub fn record(
    db: &Connection,
    at: Timestamp,
    actor: &str,
    action: &str,
    patient: Option<PatientId>,
    detail: &str,
) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO audit (at, actor, action, patient, detail) VALUES (?, ?, ?, ?, ?)")?
        .execute(params![at, actor, action, patient, detail])?;
    Ok(())
}
