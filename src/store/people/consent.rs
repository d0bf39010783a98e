//! Which scopes a patient has agreed to, since when and until when.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::consent_intervals::{Allowed, Grant};
use crate::model::patient::PatientId;
use crate::model::study::{Scope, StudyId};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreError;
use crate::store::samples::code;

/// What a grant rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grounds {
    /// The study that asked; none where an operator noted the consent by hand.
    pub study: Option<StudyId>,
    /// The wording that was agreed to.
    pub wording: Option<TokenHash>,
}

/// A consent as its history shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// To what.
    pub scope: Scope,
    /// For which study: number and name.
    pub study: Option<(StudyId, String)>,
    /// From when to when.
    pub grant: Grant,
    /// Version, language and SHA-256 of the wording that was agreed to.
    pub wording: Option<(String, String, TokenHash)>,
}

/// Notes that a patient agrees to a scope from `at` on; answers whether that is news.
///
/// # Errors
/// Where the code is unknown, or the row cannot be written.
pub fn grant(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    grounds: Grounds,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let code = code::require(db, scope)?;
    let granted = db.execute(
        "INSERT INTO consents (patient_id, code_id, study_id, granted_at, text_hash) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING",
        params![patient, code, grounds.study, at, grounds.wording],
    )?;
    Ok(granted > 0)
}

/// From what a consent is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// From whoever asked for it.
    Everything,
    /// From one study; none stands for the consents that were noted by hand.
    Study(Option<StudyId>),
}

/// Notes that a patient withdraws a scope at `at`; answers whether there was a consent to withdraw.
///
/// # Errors
/// Where the code is unknown, or the row cannot be written.
pub fn withdraw(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    from: Extent,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let code = code::require(db, scope)?;
    let (from_all, study) = match from {
        Extent::Everything => (true, None),
        Extent::Study(study) => (false, study),
    };
    let changed = db.execute(
        "UPDATE consents SET withdrawn_at = max(granted_at, ?5)
         WHERE patient_id = ?1 AND code_id = ?2 AND (?3 OR study_id IS ?4) AND withdrawn_at IS NULL",
        params![patient, code, from_all, study, at],
    )?;
    Ok(changed > 0)
}

/// Keeps a wording, so that a hash can be told back into what was agreed to.
///
/// # Errors
/// Where the table cannot be written.
pub fn keep_wording(
    db: &Connection,
    hash: TokenHash,
    version: &str,
    language: &str,
    wording: &str,
) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO consent_texts (hash, version, language, text) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        params![hash, version, language, wording],
    )?;
    Ok(())
}

/// The wording of this hash, where anybody agreed to it.
///
/// # Errors
/// Where the table cannot be read.
pub fn wording(db: &Connection, hash: TokenHash) -> Result<Option<String>, StoreError> {
    let mut query = db.prepare_cached("SELECT text FROM consent_texts WHERE hash = ?")?;
    Ok(query.query_row([hash], |row| row.get(0)).optional()?)
}

/// Every consent that a patient ever gave, newest first.
///
/// # Errors
/// Where the tables cannot be read.
pub fn entries(db: &Connection, patient: PatientId) -> Result<Vec<Entry>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT codes.code, display, study_id, name, granted_at, withdrawn_at, consents.text_hash, version, language
         FROM consents JOIN codes ON codes.id = consents.code_id
         LEFT JOIN studies ON studies.id = study_id LEFT JOIN consent_texts ON hash = consents.text_hash
         WHERE patient_id = ? ORDER BY granted_at DESC, consents.id DESC",
    )?;
    let entries = query.query_map([patient], |row| {
        let study: Option<StudyId> = row.get(2)?;
        let hash: Option<TokenHash> = row.get(6)?;
        Ok(Entry {
            scope: Scope { code: row.get(0)?, display: row.get(1)? },
            study: study.map(|id| Ok::<_, rusqlite::Error>((id, row.get(3)?))).transpose()?,
            grant: Grant { granted: row.get(4)?, withdrawn: row.get(5)? },
            wording: hash
                .map(|hash| Ok::<_, rusqlite::Error>((row.get(7)?, row.get(8)?, hash)))
                .transpose()?,
        })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// Whether a device that the study takes delivers what a row of `consent` is about. A study that names no data source
/// takes any, as does a consent that names no study.
pub(crate) const IS_DELIVERED: &str = "EXISTS (
    SELECT 1 FROM data_source_codes AS delivers WHERE delivers.code_id = consents.code_id
      AND (NOT EXISTS (SELECT 1 FROM study_data_sources AS takes WHERE takes.study_id = consents.study_id)
           OR delivers.data_source_id IN (SELECT takes.data_source_id FROM study_data_sources AS takes
                                       WHERE takes.study_id = consents.study_id)))";

/// The consents of a patient that stand and that a device delivers for the study that asked: scope and study.
///
/// # Errors
/// Where the tables cannot be read.
pub fn delivered(db: &Connection, patient: PatientId) -> Result<Vec<(String, Option<StudyId>)>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT codes.code, study_id FROM consents JOIN codes ON codes.id = consents.code_id
         WHERE patient_id = ? AND withdrawn_at IS NULL AND {IS_DELIVERED}"
    ))?;
    let rows = query.query_map([patient], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether a patient agreed to something once that a device delivers, and to nothing such any more.
///
/// # Errors
/// Where the table cannot be read.
pub fn is_withdrawn(db: &Connection, patient: PatientId) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT count(*) > 0 AND count(*) = count(withdrawn_at) FROM consents WHERE patient_id = ? AND {IS_DELIVERED}"
    ))?;
    Ok(query.query_row([patient], |row| row.get(0))?)
}

/// How long a patient's intention waits for JHE to confirm it: an answer that was lost is seen with the next tick.
const INTENTION_AGE: Duration = Duration::from_hours(1);

/// Notes which words a patient of JHE's is about to agree to, before JHE is told: whatever happens then, the consent
/// that JHE has is kept with its words.
///
/// # Errors
/// Where the code is unknown, or the table cannot be written.
pub fn intend(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    study: StudyId,
    wording: TokenHash,
    now: Timestamp,
) -> Result<(), StoreError> {
    let code = code::require(db, scope)?;
    db.execute(
        "INSERT OR REPLACE INTO pending_consents (patient_id, study_id, code_id, text_hash, submitted_at)
         VALUES (?, ?, ?, ?, ?)",
        params![patient, study, code, wording, now],
    )?;
    Ok(())
}

/// Takes the words that a patient was about to agree to; none where that was long ago, or never.
///
/// # Errors
/// Where the table cannot be read or written.
pub fn take_intention(
    db: &Connection,
    patient: PatientId,
    study: StudyId,
    code: i64,
    now: Timestamp,
) -> Result<Option<TokenHash>, StoreError> {
    let mut query = db.prepare_cached(
        "DELETE FROM pending_consents WHERE patient_id = ? AND study_id = ? AND code_id = ?
         RETURNING text_hash, submitted_at",
    )?;
    let taken: Option<(TokenHash, Timestamp)> =
        query.query_row(params![patient, study, code], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(taken.filter(|(_, at)| now.since(*at) < INTENTION_AGE).map(|(wording, _)| wording))
}

/// What a patient's consents to one scope allow to be ingested: nothing of what was erased after a withdrawal.
///
/// # Errors
/// Where the table cannot be read.
pub fn allowed(db: &Connection, patient: PatientId, scope: &str) -> Result<Allowed, StoreError> {
    let allowed = Allowed::from_grants(&history(db, patient, scope)?);
    let mut query = db.prepare_cached(
        "SELECT max(data_erased_at) FROM consents JOIN codes ON codes.id = consents.code_id
         WHERE patient_id = ? AND codes.code = ?",
    )?;
    let erased: Option<Timestamp> = query.query_row(params![patient, scope], |row| row.get(0))?;
    Ok(erased.map_or_else(|| allowed.clone(), |until| allowed.since(until)))
}

/// Every grant of one scope by one patient, oldest first.
///
/// # Errors
/// Where the table cannot be read.
pub fn history(db: &Connection, patient: PatientId, scope: &str) -> Result<Vec<Grant>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT granted_at, withdrawn_at FROM consents JOIN codes ON codes.id = consents.code_id
         WHERE patient_id = ? AND codes.code = ? ORDER BY granted_at",
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
    scopes_in(db, patient, "TRUE")
}

/// Those of [`scopes`] that a device delivers: JHE's patients agree to others as well.
///
/// # Errors
/// Where the tables cannot be read.
pub fn deliverable_scopes(
    db: &Connection,
    patient: PatientId,
) -> Result<Vec<(String, Vec<Grant>)>, StoreError> {
    scopes_in(db, patient, IS_DELIVERED)
}

fn scopes_in(
    db: &Connection,
    patient: PatientId,
    condition: &str,
) -> Result<Vec<(String, Vec<Grant>)>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT DISTINCT codes.code FROM consents JOIN codes ON codes.id = consents.code_id
         WHERE patient_id = ? AND {condition} ORDER BY 1"
    ))?;
    let scopes = query.query_map([patient], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    scopes.into_iter().map(|scope| history(db, patient, &scope).map(|grants| (scope, grants))).collect()
}
