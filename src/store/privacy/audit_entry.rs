use rusqlite::Row;

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;

/// A line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number; later ones are higher.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// Who, by number.
    pub actor: String,
    /// What.
    pub action: String,
    /// Concerning whom.
    pub patient: Option<PatientId>,
    /// More about it.
    pub detail: String,
}

/// An entry of a row that begins with its columns.
pub(crate) fn from_row(row: &Row) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        at: row.get(1)?,
        actor: row.get(2)?,
        action: row.get(3)?,
        patient: row.get(4)?,
        detail: row.get(5)?,
    })
}
