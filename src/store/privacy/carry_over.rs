//! Carries over from a replaced store to a restored one what a restore must not undo: withdrawals, erasures,
//! disabled accounts, and links that were removed.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::store::error::StoreResult;
use crate::store::privacy::{audit_chain, erasure};

/// The relation of the replaced store to the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lineage {
    /// The replaced store went on from the backup: it knows everything since.
    Continues,
    /// The backup is newer than the replaced store, which has nothing to add.
    Older,
    /// Both went on from a common past, as after an earlier restore. The replaced store knows a part.
    Diverged,
    /// Two stores without a common past.
    Unrelated,
}

/// Consents of the replaced store that the backup does not have, or has as active. Rows are the same if patient,
/// code, study and time of the grant are.
const CONSENTS: &[&str] = &[
    "INSERT INTO consent_texts SELECT * FROM replaced.consent_texts WHERE true ON CONFLICT DO NOTHING",
    "UPDATE consents SET withdrawn_at = theirs.withdrawn_at, withdrawal_seen_at = theirs.withdrawal_seen_at
     FROM replaced.consents AS theirs JOIN replaced.patients AS people ON people.id = theirs.patient_id
     JOIN patients AS ours ON ours.id = people.id AND ours.external_id = people.external_id
     WHERE consents.withdrawn_at IS NULL AND theirs.withdrawn_at IS NOT NULL
       AND theirs.patient_id = consents.patient_id AND theirs.code_id = consents.code_id
       AND theirs.study_id IS consents.study_id AND theirs.granted_at = consents.granted_at",
    "INSERT INTO consents (patient_id, code_id, study_id, granted_at, withdrawn_at, text_hash, jhe_confirmed_at,
                           withdrawal_seen_at, data_erased_at, covers_from)
     SELECT theirs.patient_id, theirs.code_id, theirs.study_id, theirs.granted_at, theirs.withdrawn_at,
            theirs.text_hash, theirs.jhe_confirmed_at, theirs.withdrawal_seen_at, theirs.data_erased_at, theirs.covers_from
     FROM replaced.consents AS theirs JOIN replaced.patients AS people ON people.id = theirs.patient_id
     JOIN patients AS ours ON ours.id = people.id AND ours.external_id = people.external_id
     JOIN replaced.codes AS coded ON coded.id = theirs.code_id
     JOIN codes ON codes.id = coded.id AND codes.code = coded.code
     LEFT JOIN replaced.studies AS asked ON asked.id = theirs.study_id
     WHERE (theirs.study_id IS NULL OR EXISTS (SELECT 1 FROM studies WHERE studies.id = asked.id
                                                 AND studies.name = asked.name))
       AND NOT EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = theirs.patient_id
                         AND consents.code_id = theirs.code_id AND consents.study_id IS theirs.study_id
                         AND consents.granted_at = theirs.granted_at)
     ON CONFLICT DO NOTHING",
];

/// Links and streams that turned out to be somebody else's, and accounts that were disabled.
const OTHERS: &[&str] = &[
    "UPDATE links SET state = 'unlinked', unlinked_at = theirs.unlinked_at FROM replaced.links AS theirs
     WHERE theirs.id = links.id AND theirs.ow_user_id = links.ow_user_id AND theirs.state = 'unlinked'
       AND links.state <> 'unlinked'",
    "UPDATE streams SET entered_in_error = 1 FROM replaced.streams AS theirs
     WHERE theirs.id = streams.id AND theirs.patient_id = streams.patient_id AND theirs.subject = streams.subject
       AND theirs.entered_in_error = 1",
    "UPDATE accounts SET disabled = 1 FROM replaced.accounts AS theirs
     WHERE theirs.id = accounts.id AND theirs.name = accounts.name AND theirs.disabled = 1",
];

/// Passwords and roles that were changed since the backup.
const ACCOUNTS: &str = "
    UPDATE accounts SET role = theirs.role, password_hash = theirs.password_hash
    FROM replaced.accounts AS theirs WHERE theirs.id = accounts.id AND theirs.name = accounts.name";

/// Carries over from the store `replaced` to `db`, and returns how the two are related.
///
/// # Errors
/// If the replaced store cannot be read, or is older than this program's first schema.
pub(crate) fn carry_over(db: &Connection, replaced: &Path, now: Timestamp) -> StoreResult<Lineage> {
    let path = replaced.to_string_lossy();
    db.execute("ATTACH DATABASE ? AS replaced", [&path])?;
    let result = carry_over_attached(db, now);
    db.execute_batch("DETACH DATABASE replaced")?;
    result
}

fn carry_over_attached(db: &Connection, now: Timestamp) -> StoreResult<Lineage> {
    let lineage = find_lineage(db)?;
    if matches!(lineage, Lineage::Older | Lineage::Unrelated) {
        return Ok(lineage);
    }
    let transaction = db.unchecked_transaction()?;
    let is_older_schema = !has_suspended_column(db)?;
    for statement in CONSENTS.iter().chain(OTHERS) {
        // A store of an older schema did not record how far back a grant reaches.
        let statement = statement
            .replace("theirs.covers_from", if is_older_schema { "NULL" } else { "theirs.covers_from" });
        transaction.execute(&statement, [])?;
    }
    if lineage == Lineage::Continues {
        transaction.execute(ACCOUNTS, [])?;
    }
    transaction.commit()?;
    let erased = if lineage == Lineage::Continues { erase_again(db, now)? } else { 0 };
    if erased > 0 {
        db.execute_batch("VACUUM main")?;
        erasure::record_vacuum(db, now)?;
    }
    Ok(if has_suspended(db)? { Lineage::Diverged } else { lineage })
}

/// Returns true if the replaced store has consents that a restore of its own has suspended: it is not known whether
/// they are withdrawn.
fn has_suspended(db: &Connection) -> StoreResult<bool> {
    let has_rows = "SELECT EXISTS (SELECT 1 FROM replaced.consents WHERE suspended = 1)";
    Ok(has_suspended_column(db)? && db.query_row(has_rows, [], |row| row.get(0))?)
}

fn has_suspended_column(db: &Connection) -> StoreResult<bool> {
    let select =
        "SELECT EXISTS (SELECT 1 FROM pragma_table_info('consents', 'replaced') WHERE name = 'suspended')";
    Ok(db.query_row(select, [], |row| row.get(0))?)
}

/// Compares the audits: each entry's hash covers all entries before it.
fn find_lineage(db: &Connection) -> StoreResult<Lineage> {
    let head = |schema: &str| {
        let select = format!("SELECT last_entry_id, hash FROM {schema}.audit_chain_head");
        db.query_row(&select, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()
    };
    let has = |schema: &str, entry: Option<(i64, audit_chain::EntryHash)>| {
        let Some((id, hash)) = entry else { return Ok(false) };
        let select =
            format!("SELECT EXISTS (SELECT 1 FROM {schema}.audit_entries WHERE id = ? AND hash = ?)");
        db.query_row(&select, rusqlite::params![id, hash], |row| row.get::<_, bool>(0))
    };
    let first = "SELECT id, hash FROM main.audit_entries ORDER BY id LIMIT 1";
    let first = db.query_row(first, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(if has("replaced", head("main")?)? {
        Lineage::Continues
    } else if has("main", head("replaced")?)? {
        Lineage::Older
    } else if has("replaced", first)? {
        Lineage::Diverged
    } else {
        Lineage::Unrelated
    })
}

/// Erases the patients whom the replaced store has erased; returns their number. The hashes of their identifiers
/// come along.
fn erase_again(db: &Connection, now: Timestamp) -> StoreResult<usize> {
    let select = "SELECT patient_id FROM replaced.erasures WHERE patient_id IN (SELECT id FROM patients)";
    let erased =
        db.prepare(select)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<PatientId>, _>>()?;
    let transaction = db.unchecked_transaction()?;
    for patient in &erased {
        erasure::begin(db, *patient, now)?;
        while erasure::delete_batch(db, *patient, now)? {}
        erasure::finish(db, *patient, now)?;
    }
    db.execute_batch(
        "INSERT INTO erasures SELECT * FROM replaced.erasures WHERE true ON CONFLICT DO NOTHING;
         DELETE FROM erased_identifiers;
         INSERT INTO erased_identifiers (patient_id, kind, salt, hash)
         SELECT patient_id, kind, salt, hash FROM replaced.erased_identifiers;",
    )?;
    transaction.commit()?;
    Ok(erased.len())
}
