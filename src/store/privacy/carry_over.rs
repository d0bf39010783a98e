//! Carries over from a replaced store to a restored one what a restore must not undo: withdrawals, erasures,
//! disabled accounts, and links that were removed. Stores without a common past have nothing in common to carry.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::store::error::StoreResult;
use crate::store::privacy::erased_identifiers::{self, IdentifierKind};
use crate::store::privacy::{audit_chain, erasure, withdrawal};

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
     WHERE consents.withdrawn_at IS NULL AND theirs.withdrawn_at IS NOT NULL AND theirs.suspended = 0
       AND theirs.patient_id = consents.patient_id AND theirs.code_id = consents.code_id
       AND theirs.study_id IS consents.study_id AND theirs.granted_at = consents.granted_at",
    "INSERT INTO consents (patient_id, code_id, study_id, granted_at, withdrawn_at, text_hash, jhe_confirmed_at,
                           withdrawal_seen_at, data_erased_at, covers_from, suspended)
     SELECT theirs.patient_id, theirs.code_id, theirs.study_id, theirs.granted_at, theirs.withdrawn_at,
            theirs.text_hash, theirs.jhe_confirmed_at, theirs.withdrawal_seen_at, theirs.data_erased_at, theirs.covers_from, theirs.suspended
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

/// Schema 4 split the code of heart rate variability; a replaced store of before has the common one, which is SDNN's now.
const SPLIT_CODE: &str = "
    UPDATE consents SET withdrawn_at = sdnn.withdrawn_at, withdrawal_seen_at = sdnn.withdrawal_seen_at,
                        data_erased_at = coalesce(sdnn.data_erased_at, consents.data_erased_at)
    FROM consents AS sdnn, codes AS one, codes AS other
    WHERE one.code = 'local:heart_rate_variability_sdnn:1.0' AND other.code = 'local:heart_rate_variability_rmssd:1.0'
      AND sdnn.code_id = one.id AND consents.code_id = other.id AND consents.patient_id = sdnn.patient_id
      AND consents.study_id IS sdnn.study_id AND consents.granted_at = sdnn.granted_at
      AND sdnn.withdrawn_at IS NOT NULL
      AND EXISTS (SELECT 1 FROM replaced.codes WHERE code = 'local:heart-rate-variability:1.0')";

/// Study numbers that were given since the backup are not given again.
const STUDY_NUMBERS: &str = "
    UPDATE studies SET next_participant = max(studies.next_participant, theirs.next_participant)
    FROM replaced.studies AS theirs WHERE theirs.id = studies.id AND theirs.created_at = studies.created_at";

/// Reminders that patients have stopped since the backup.
const REMINDERS: &str = "
    UPDATE enrolments SET reminders_agreed_at = NULL FROM replaced.enrolments AS theirs
    JOIN replaced.patients AS people ON people.id = theirs.patient_id
    JOIN patients AS ours ON ours.id = people.id AND ours.external_id = people.external_id
    WHERE theirs.study_id = enrolments.study_id AND theirs.patient_id = enrolments.patient_id
      AND theirs.reminders_agreed_at IS NULL";

/// Links and streams that turned out to be somebody else's, and accounts that were disabled.
const OTHERS: &[&str] = &[
    "UPDATE links SET state = 'unlinked', unlinked_at = theirs.unlinked_at FROM replaced.links AS theirs
     WHERE theirs.id = links.id AND theirs.ow_user_id = links.ow_user_id AND theirs.state = 'unlinked'
       AND links.state <> 'unlinked'",
    // The hours of a stream that is marked now are somebody else's.
    "DELETE FROM data_hours WHERE patient_id IN
        (SELECT streams.patient_id FROM streams JOIN replaced.streams AS theirs
           ON theirs.id = streams.id AND theirs.patient_id = streams.patient_id AND theirs.subject = streams.subject
         WHERE theirs.entered_in_error = 1 AND streams.entered_in_error = 0)",
    "UPDATE streams SET entered_in_error = 1 FROM replaced.streams AS theirs
     WHERE theirs.id = streams.id AND theirs.patient_id = streams.patient_id AND theirs.subject = streams.subject
       AND theirs.entered_in_error = 1",
    "UPDATE accounts SET disabled = 1 FROM replaced.accounts AS theirs
     WHERE theirs.id = accounts.id AND theirs.name = accounts.name AND theirs.disabled = 1",
];

/// Passwords and roles that were changed since the backup.
const ACCOUNTS: &str = "
    UPDATE accounts SET role = iif(theirs.role = 'operator', 'operator', 'viewer'), password_hash = theirs.password_hash
    FROM replaced.accounts AS theirs WHERE theirs.id = accounts.id AND theirs.name = accounts.name";

/// Roles in studies as they are in the replaced store.
const STUDY_ROLES: &str = "
    DELETE FROM study_roles WHERE account_id IN
        (SELECT accounts.id FROM accounts JOIN replaced.accounts USING (id, name));
    INSERT INTO study_roles (account_id, study_id, role)
    SELECT theirs.account_id, theirs.study_id, theirs.role FROM replaced.study_roles AS theirs
    JOIN accounts ON accounts.id = theirs.account_id
    JOIN replaced.accounts AS people ON people.id = accounts.id AND people.name = accounts.name
    JOIN studies ON studies.id = theirs.study_id
    JOIN replaced.studies AS known ON known.id = studies.id AND known.created_at = studies.created_at";

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

/// Second factors as they are now: one that was removed with a lost device stays removed, a used code stays used.
const SECOND_FACTORS: &[&str] = &[
    "UPDATE accounts SET totp_secret = theirs.totp_secret, totp_last_step = theirs.totp_last_step, email = theirs.email
     FROM replaced.accounts AS theirs WHERE theirs.id = accounts.id AND theirs.name = accounts.name",
    "DELETE FROM recovery_codes",
    "INSERT INTO recovery_codes SELECT account_id, code_hash FROM replaced.recovery_codes
     JOIN replaced.accounts AS theirs ON theirs.id = account_id
     JOIN accounts ON accounts.id = theirs.id AND accounts.name = theirs.name",
];

fn carry_over_attached(db: &Connection, now: Timestamp) -> StoreResult<Lineage> {
    let lineage = find_lineage(db)?;
    if matches!(lineage, Lineage::Older | Lineage::Unrelated) {
        return Ok(lineage);
    }
    let transaction = db.unchecked_transaction()?;
    erase_withdrawn(db)?;
    let is_older_schema = !has_column(db, "consents", "suspended")?;
    for statement in CONSENTS.iter().chain(OTHERS) {
        let mut statement = (*statement).to_owned();
        if is_older_schema {
            // Such a store has neither column.
            statement = statement.replace("theirs.covers_from", "NULL").replace("theirs.suspended", "0");
        }
        transaction.execute(&statement, [])?;
    }
    transaction.execute(SPLIT_CODE, [])?;
    if has_column(db, "studies", "next_participant")? {
        transaction.execute(STUDY_NUMBERS, [])?;
    }
    if has_column(db, "enrolments", "reminders_agreed_at")? {
        transaction.execute(REMINDERS, [])?;
    }
    if lineage == Lineage::Continues {
        transaction.execute(ACCOUNTS, [])?;
        if has_column(db, "accounts", "totp_secret")? {
            SECOND_FACTORS.iter().try_for_each(|statement| transaction.execute(statement, []).map(drop))?;
        }
        if has_column(db, "study_roles", "role")? {
            transaction.execute_batch(STUDY_ROLES)?;
        }
    }
    transaction.commit()?;
    let erased = erase_again(db, lineage, now)?;
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
    Ok(has_column(db, "consents", "suspended")? && db.query_row(has_rows, [], |row| row.get(0))?)
}

/// Returns true if the replaced store has a column: its schema may be older.
fn has_column(db: &Connection, table: &str, column: &str) -> StoreResult<bool> {
    let select = "SELECT EXISTS (SELECT 1 FROM pragma_table_info(?, 'replaced') WHERE name = ?)";
    Ok(db.query_row(select, [table, column], |row| row.get(0))?)
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

/// Marks withdrawn data as erased that the replaced store has erased: the daemon deletes the observations.
fn erase_withdrawn(db: &Connection) -> StoreResult<()> {
    let select = "SELECT DISTINCT ours.patient_id, ours.code_id, codes.code FROM consents AS ours
         JOIN replaced.consents AS theirs USING (patient_id, code_id, granted_at)
         JOIN patients ON patients.id = ours.patient_id
         JOIN replaced.patients AS people ON people.id = patients.id AND people.external_id = patients.external_id
         JOIN codes ON codes.id = ours.code_id
         WHERE theirs.study_id IS ours.study_id AND theirs.data_erased_at > coalesce(ours.data_erased_at, 0)";
    let rows = db
        .prepare(select)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<Vec<(PatientId, i64, String)>, _>>()?;
    for (patient, code_id, code) in rows {
        db.execute(
            "UPDATE consents SET data_erased_at = theirs.data_erased_at FROM replaced.consents AS theirs
             WHERE consents.patient_id = ?1 AND consents.code_id = ?2 AND theirs.patient_id = ?1
               AND theirs.code_id = ?2 AND theirs.granted_at = consents.granted_at
               AND theirs.study_id IS consents.study_id AND theirs.data_erased_at IS NOT NULL",
            rusqlite::params![patient, code_id],
        )?;
        withdrawal::delete_derived_rows(db, patient, code_id, &code)?;
    }
    Ok(())
}

/// Erases the patients whom the replaced store has erased; returns their number. The hashes of their identifiers
/// come along. Where the stores diverged, a number may be another person's, and only the hashes tell.
fn erase_again(db: &Connection, lineage: Lineage, now: Timestamp) -> StoreResult<usize> {
    let erased = if lineage == Lineage::Continues {
        let select = "SELECT patient_id FROM replaced.erasures WHERE patient_id IN (SELECT id FROM patients)";
        db.prepare(select)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<PatientId>, _>>()?
    } else {
        find_by_identifiers(db)?
    };
    let transaction = db.unchecked_transaction()?;
    for patient in &erased {
        erasure::begin(db, *patient, now)?;
        while erasure::delete_batch(db, *patient, now)? {}
        erasure::finish(db, *patient, now)?;
    }
    db.execute_batch(
        "INSERT INTO erasures SELECT * FROM replaced.erasures WHERE patient_id NOT IN (SELECT id FROM patients)
         ON CONFLICT DO NOTHING;
         INSERT INTO erased_identifiers (patient_id, kind, salt, hash)
         SELECT patient_id, kind, salt, hash FROM replaced.erased_identifiers
         WHERE patient_id IN (SELECT patient_id FROM erasures) ON CONFLICT DO NOTHING;",
    )?;
    transaction.commit()?;
    Ok(erased.len())
}

/// Finds the patients of the backup whose identifiers at JHE or OW the replaced store has erased.
fn find_by_identifiers(db: &Connection) -> StoreResult<Vec<PatientId>> {
    let select = "SELECT id, 'jhe', jhe_patient_id FROM patients WHERE jhe_patient_id IS NOT NULL
         UNION SELECT id, 'ow', subject FROM patients WHERE subject IS NOT NULL
         UNION SELECT patient_id, 'ow', ow_user_id FROM links WHERE state <> 'unlinked'";
    let mut query = db.prepare(select)?;
    let mut rows = query.query([])?;
    let mut found = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let kind = if row.get_ref(1)?.as_str().unwrap_or_default() == "jhe" {
            IdentifierKind::Jhe
        } else {
            IdentifierKind::Ow
        };
        let identifier = match row.get_ref(2)? {
            ValueRef::Integer(number) => number.to_string(),
            text => text.as_str().unwrap_or_default().to_owned(),
        };
        if erased_identifiers::is_erased_in(db, "replaced", kind, &identifier)? {
            found.insert(row.get(0)?);
        }
    }
    Ok(found.into_iter().collect())
}
