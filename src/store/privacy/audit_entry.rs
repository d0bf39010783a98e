//! One entry of the audit.

use rusqlite::Row;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Grows with each entry.
    pub id: i64,
    pub at: Timestamp,
    /// An opaque id, such as an account's.
    pub actor: String,
    pub action: String,
    pub patient: Option<PatientId>,
    pub detail: String,
}

/// Reads an entry from a row that begins with its columns.
pub(crate) fn from_row(row: &Row) -> rusqlite::Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.get(0)?,
        at: row.get(1)?,
        actor: row.get(2)?,
        action: row.get(3)?,
        patient: row.get(4)?,
        detail: row.get(5)?,
    })
}
