//! The append-only record of who did what. It names patients by number and holds no health data.

use rusqlite::{Connection, Row, params};

use super::{StoreError, chain, reach};
use crate::account::{Actor, Reach};
use crate::patient::PatientId;
use crate::time::Timestamp;

/// Writes down that `actor` did `action`.
///
/// # Errors
/// Where the row cannot be written.
pub fn record(
    db: &Connection,
    at: Timestamp,
    actor: Actor,
    action: &str,
    patient: Option<PatientId>,
    detail: &str,
) -> Result<(), StoreError> {
    let (id, before) = chain::end(db)?;
    let entry = Entry {
        id: id + 1,
        at,
        actor: actor.to_string(),
        action: action.to_owned(),
        patient,
        detail: detail.to_owned(),
    };
    let hash = chain::link(&before, &entry);
    db.prepare_cached(
        "INSERT INTO audit_entries (id, recorded_at, actor, action, patient_id, detail, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![entry.id, at, entry.actor, action, patient, detail, hash])?;
    chain::set_end(db, entry.id, &hash)
}

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

/// The audit before the line `before`, newest first, at most `limit`; only of one patient where one is given, and
/// only of the patients within reach where not everybody is.
///
/// # Errors
/// Where the table cannot be read.
pub fn page(
    db: &Connection,
    reach: Reach,
    patient: Option<PatientId>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    // Two statements: only one of them can go by the index of patients.
    let whose = if patient.is_some() { "patient_id = ?1" } else { "?1 IS NULL" };
    let mut query = db.prepare_cached(&format!(
        "SELECT id, recorded_at, actor, action, patient_id, detail FROM audit_entries
         WHERE {whose} AND id < coalesce(?2, 9223372036854775807) AND {} ORDER BY id DESC LIMIT ?3",
        reach::of_patients("patient_id", 4)
    ))?;
    let entries = query.query_map(params![patient, before, limit, reach], from_row)?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// An entry of a row that begins with its columns.
pub(super) fn from_row(row: &Row) -> rusqlite::Result<Entry> {
    Ok(Entry {
        id: row.get(0)?,
        at: row.get(1)?,
        actor: row.get(2)?,
        action: row.get(3)?,
        patient: row.get(4)?,
        detail: row.get(5)?,
    })
}
