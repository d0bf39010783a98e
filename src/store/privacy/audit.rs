//! The append-only record of all actions. It names patients by id and holds no health data.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::account::{Actor, Role, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::PatientId;
use crate::store::privacy::audit_chain;
use crate::store::privacy::audit_entry::{AuditEntry, from_row};
use crate::store::{error::StoreResult, people::visibility};

/// Appends an entry. The types allow fixed words, numbers and opaque ids only.
pub fn record(
    db: &Connection,
    at: Timestamp,
    actor: Actor,
    action: &'static str,
    patient: Option<PatientId>,
    detail: impl Into<AuditDetail>,
) -> StoreResult<()> {
    let (last, previous_hash) = audit_chain::find_last(db)?;
    let detail: AuditDetail = detail.into();
    let (actor, action, detail) = (actor.to_string(), action.to_owned(), detail.as_str().to_owned());
    let entry = AuditEntry { id: last + 1, at, actor, action, patient, detail };
    let hash = audit_chain::hash_entry(&previous_hash, &entry);
    db.prepare_cached(
        "INSERT INTO audit_entries (id, recorded_at, actor, action, patient_id, detail, hash)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![entry.id, at, entry.actor, entry.action, patient, entry.detail, hash])?;
    audit_chain::save_head(db, entry.id, &hash)
}

/// The entries that a list shows; each field narrows it down.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    pub patient: Option<PatientId>,
    /// As the entry names the person: `account 3`.
    pub actor: Option<String>,
    /// An action, or its first word: `consent` stands for `consent.grant` and `consent.withdraw`.
    pub action: Option<String>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Entries before this one.
    pub before: Option<i64>,
}

/// Lists entries, newest first, at most `limit`; of visible patients, studies and codes only.
pub fn list(
    db: &Connection,
    visible: VisibleTo,
    filter: &AuditFilter,
    limit: u32,
) -> StoreResult<Vec<AuditEntry>> {
    let AuditFilter { patient, actor, action, from, until, before } = filter;
    // Two statements: only the one with `=` can use the index of patients.
    let of_patient = if patient.is_some() { "patient_id = ?1" } else { "?1 IS NULL" };
    let mut query = db.prepare_cached(&format!(
        "SELECT id, recorded_at, actor, action, patient_id, detail FROM audit_entries
         WHERE {of_patient} AND id < coalesce(?2, 9223372036854775807) AND {} AND {}
           AND (?5 IS NULL OR actor = ?5)
           AND (?6 IS NULL OR action = ?6 OR substr(action, 1, length(?6) + 1) = ?6 || '.')
           AND (?7 IS NULL OR recorded_at >= ?7) AND (?8 IS NULL OR recorded_at < ?8)
         ORDER BY id DESC LIMIT ?3",
        visibility::patient_condition("patient_id", 4, Role::Coordinator),
        visibility::audit_condition("audit_entries.patient_id", 4)
    ))?;
    let entries =
        query.query_map(params![patient, before, limit, visible, actor, action, from, until], from_row)?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// Newest entries of all patients among which downloads of a study are looked for: entries about a study have no index.
const RECENT: u32 = 10_000;

/// Lists the newest entries about a patient with one of these actions, at most `limit`: those that name the patient,
/// and recent ones that name a study of the patient.
pub fn list_history(
    db: &Connection,
    visible: VisibleTo,
    patient: PatientId,
    actions: &[&str],
    limit: u32,
) -> StoreResult<Vec<AuditEntry>> {
    let columns = "id, recorded_at, actor, action, patient_id, detail";
    let mut query = db.prepare_cached(&format!(
        "SELECT {columns} FROM audit_entries
         WHERE patient_id = ?1 AND action IN (SELECT value FROM json_each(?2)) AND {visible}
         UNION ALL
         SELECT {columns} FROM (SELECT * FROM audit_entries ORDER BY id DESC LIMIT {RECENT})
         WHERE patient_id IS NULL AND action IN (SELECT value FROM json_each(?2)) AND {visible}
           AND EXISTS (SELECT 1 FROM enrolments WHERE patient_id = ?1 AND enrolled_at <= recorded_at
                       AND (detail || ' ') LIKE 'study ' || study_id || ' %')
         ORDER BY id DESC LIMIT ?3",
        visible = format_args!(
            "{} AND {}",
            visibility::patient_condition("?1", 4, Role::Coordinator),
            visibility::audit_condition("?1", 4)
        )
    ))?;
    let actions = serde_json::Value::from(actions).to_string();
    let entries = query.query_map(params![patient, actions, limit, visible], from_row)?;
    Ok(entries.collect::<Result<_, _>>()?)
}
