//! The append-only record of who did what. It names patients by number and holds no health data.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::account::{Actor, Reach};
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::people::visibility;
use crate::store::privacy::audit_chain;
use crate::store::privacy::audit_entry::{Entry, from_row};

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
    let (id, before) = audit_chain::end(db)?;
    let entry = Entry {
        id: id + 1,
        at,
        actor: actor.to_string(),
        action: action.to_owned(),
        patient,
        detail: detail.to_owned(),
    };
    let hash = audit_chain::link(&before, &entry);
    db.prepare_cached(
        "INSERT INTO audit_entries (id, recorded_at, actor, action, patient_id, detail, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![entry.id, at, entry.actor, action, patient, detail, hash])?;
    audit_chain::set_end(db, entry.id, &hash)
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
        visibility::of_patients("patient_id", 4)
    ))?;
    let entries = query.query_map(params![patient, before, limit, reach], from_row)?;
    Ok(entries.collect::<Result<_, _>>()?)
}
