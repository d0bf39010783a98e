//! Grants and withdrawals of each patient's consent, the texts they agreed to, and consents that wait for
//! JHE's confirmation.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::VisibleTo;
use crate::model::consent_intervals::{ConsentIntervals, Grant};
use crate::model::consent_standing::ConsentStanding;
use crate::model::patient::PatientId;
use crate::model::study::{Scope, StudyId};
use crate::secrets::token::TokenHash;
use crate::store::people::collection_window::{self, CodeLimits};
use crate::store::people::{reminder, visibility};
use crate::store::{engine::setting, error::StoreResult, samples::code};

/// The study and the text that a patient agreed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GrantBasis {
    /// None if an operator recorded the consent.
    pub study: Option<StudyId>,
    /// SHA-256 of the text.
    pub text: Option<TokenHash>,
}

/// One grant in a patient's consent history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentEntry {
    pub scope: Scope,
    /// Id and name.
    pub study: Option<(StudyId, String)>,
    pub grant: Grant,
    /// Version, language and SHA-256 of the text that the patient agreed to.
    pub text: Option<(String, String, TokenHash)>,
}

/// SQL column of a row of `consents`: the earliest measurement that the patient agreed to. The limit holds for a grant
/// whose text named it. A grant that an operator recorded, or that JHE has from elsewhere, has a text that is not
/// known here.
pub(crate) const COVERS_FROM: &str = "iif(text_hash IS NULL, NULL, covers_from)";

/// Returns how far back a grant of this time reaches.
pub(crate) fn find_covers_from(db: &Connection, granted: Timestamp) -> StoreResult<Timestamp> {
    Ok(granted.minus(setting::read_all(db)?.first_connect_window()))
}

/// Returns the earliest measurement that is read without anybody asking for it: how far back the patient's active
/// grants reach; none if that was not recorded.
pub fn find_first_read(db: &Connection, patient: PatientId) -> StoreResult<Option<Timestamp>> {
    let select = "SELECT min(covers_from), count(*) = count(covers_from) FROM consents
         WHERE patient_id = ? AND withdrawn_at IS NULL";
    let mut query = db.prepare_cached(select)?;
    let (first, is_known): (Option<Timestamp>, bool) =
        query.query_row([patient], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(first.filter(|_| is_known))
}

/// Inserts a grant of a scope from `at` on. Returns false if the patient has already granted it to that
/// study.
pub fn grant(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    basis: GrantBasis,
    at: Timestamp,
) -> StoreResult<bool> {
    let code = code::require(db, scope)?;
    let insert = "INSERT INTO consents (patient_id, code_id, study_id, granted_at, text_hash, covers_from)
         VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let covers_from = find_covers_from(db, at)?;
    let granted = db.execute(insert, params![patient, code, basis.study, at, basis.text, covers_from])?;
    // A grant that a restore has suspended stays withdrawn: this one follows it.
    let update = "UPDATE consents SET suspended = 0 WHERE patient_id = ? AND code_id = ? AND study_id IS ?";
    db.execute(update, params![patient, code, basis.study])?;
    // Days of collection may count from this grant.
    collection_window::refresh(db, patient, at)?;
    Ok(granted > 0)
}

/// The grants that a withdrawal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithdrawFrom {
    /// Grants to all studies, and those that an operator recorded.
    Everything,
    /// Grants to one study; none selects those that an operator recorded.
    Study(Option<StudyId>),
}

/// Ends the grants of a scope at `at`. Returns false if there is none to end.
pub fn withdraw(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    from: WithdrawFrom,
    at: Timestamp,
) -> StoreResult<bool> {
    let code = code::require(db, scope)?;
    let (from_all, study) = match from {
        WithdrawFrom::Everything => (true, None),
        WithdrawFrom::Study(study) => (false, study),
    };
    // A withdrawal dated before the grant gives an empty interval, as if the patient had never consented.
    let update =
        "UPDATE consents SET withdrawn_at = coalesce(withdrawn_at, max(granted_at, ?5)), suspended = 0
         WHERE patient_id = ?1 AND code_id = ?2 AND (?3 OR study_id IS ?4)
           AND (withdrawn_at IS NULL OR suspended = 1)";
    let changed = db.execute(update, params![patient, code, from_all, study, at])?;
    reminder::stop_without_consent(db, patient, at)?;
    Ok(changed > 0)
}

/// Stores a consent text under its hash, so that each grant can be shown with its text.
pub fn insert_text(
    db: &Connection,
    hash: TokenHash,
    version: &str,
    language: &str,
    text: &str,
) -> StoreResult<()> {
    let insert = "INSERT INTO consent_texts (hash, version, language, text) VALUES (?, ?, ?, ?)
         ON CONFLICT DO NOTHING";
    db.execute(insert, params![hash, version, language, text])?;
    Ok(())
}

pub fn find_text(db: &Connection, hash: TokenHash) -> StoreResult<Option<String>> {
    let mut query = db.prepare_cached("SELECT text FROM consent_texts WHERE hash = ?")?;
    Ok(query.query_row([hash], |row| row.get(0)).optional()?)
}

/// Lists the grants of a patient that an account may see, newest first.
pub fn list(db: &Connection, viewer: VisibleTo, patient: PatientId) -> StoreResult<Vec<ConsentEntry>> {
    let select = format!(
        "SELECT codes.code, display, study_id, name, granted_at, withdrawn_at, consents.text_hash,
                version, consent_texts.language, covers_from
         FROM consents JOIN codes ON codes.id = consents.code_id
         LEFT JOIN studies ON studies.id = study_id LEFT JOIN consent_texts ON hash = consents.text_hash
         WHERE patient_id = ?1 AND {} ORDER BY granted_at DESC, consents.id DESC",
        visibility::consent_condition(2)
    );
    let mut query = db.prepare_cached(&select)?;
    let entries = query.query_map(params![patient, viewer], |row| {
        let hash: Option<TokenHash> = row.get(6)?;
        Ok(ConsentEntry {
            scope: Scope { code: row.get(0)?, display: row.get(1)? },
            study: Option::zip(row.get(2)?, row.get(3)?),
            grant: Grant { granted: row.get(4)?, withdrawn: row.get(5)?, covers_from: row.get(9)? },
            text: hash.map(|hash| Ok::<_, rusqlite::Error>((row.get(7)?, row.get(8)?, hash))).transpose()?,
        })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}

/// Returns a condition on a row of `table`, which names a study and a code: a data source that the study accepts delivers
/// the code. A study without data sources accepts all, and so does a consent without a study.
pub(crate) fn deliverable_condition(table: &str) -> String {
    format!(
        "EXISTS (SELECT 1 FROM data_source_codes AS delivers WHERE delivers.code_id = {table}.code_id
           AND (NOT EXISTS (SELECT 1 FROM study_data_sources AS takes WHERE takes.study_id = {table}.study_id)
                OR delivers.data_source_id IN (SELECT takes.data_source_id FROM study_data_sources AS takes
                                               WHERE takes.study_id = {table}.study_id)))"
    )
}

/// Lists scope and study of a patient's active grants that an accepted device can deliver.
pub fn list_active_deliverable(
    db: &Connection,
    patient: PatientId,
) -> StoreResult<Vec<(String, Option<StudyId>)>> {
    let select = format!(
        "SELECT codes.code, study_id FROM consents JOIN codes ON codes.id = consents.code_id
         WHERE patient_id = ? AND withdrawn_at IS NULL AND {}",
        deliverable_condition("consents")
    );
    let mut query = db.prepare_cached(&select)?;
    let rows = query.query_map([patient], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists the ids of a patient's active grants.
pub fn list_active_grants(db: &Connection, patient: PatientId) -> StoreResult<Vec<i64>> {
    let select = "SELECT id FROM consents WHERE patient_id = ? AND withdrawn_at IS NULL";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_map([patient], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Finds the state of a patient's consents to deliverable scopes.
pub fn find_standing(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<ConsentStanding> {
    let select = format!(
        "SELECT count(*), count(*) FILTER (WHERE withdrawn_at IS NULL AND {}), count(*) > count(withdrawn_at),
                ifnull(max(suspended), 0)
         FROM consents WHERE patient_id = ?1 AND {}",
        collection_window::reads_condition("?2"),
        deliverable_condition("consents")
    );
    let from_row = |row: &Row| {
        Ok(match (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?) {
            (0, ..) => ConsentStanding::NeverGiven,
            (_, 1.., ..) => ConsentStanding::Active,
            (_, _, true, _) => ConsentStanding::Completed,
            (_, _, _, true) => ConsentStanding::Suspended,
            _ => ConsentStanding::Withdrawn,
        })
    };
    Ok(db.prepare_cached(&select)?.query_row(params![patient, now], from_row)?)
}

/// Age up to which a pending consent is matched with JHE's answer. If JHE's reply was lost, the next tick
/// reads the stored consent from JHE.
const PENDING_AGE: Duration = Duration::from_hours(1);

/// Records which text a patient agrees to, before the consent is sent to JHE. If JHE stores it and its reply
/// is lost, the grant still gets its text.
pub fn insert_pending(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    study: StudyId,
    text: TokenHash,
    now: Timestamp,
) -> StoreResult<()> {
    let code = code::require(db, scope)?;
    let insert =
        "INSERT OR REPLACE INTO pending_consents (patient_id, study_id, code_id, text_hash, submitted_at)
         VALUES (?, ?, ?, ?, ?)";
    db.execute(insert, params![patient, study, code, text, now])?;
    Ok(())
}

/// Deletes a pending consent and returns the hash of its text, unless it is older than [`PENDING_AGE`].
pub fn take_pending(
    db: &Connection,
    patient: PatientId,
    study: StudyId,
    code: i64,
    now: Timestamp,
) -> StoreResult<Option<TokenHash>> {
    let delete = "DELETE FROM pending_consents WHERE patient_id = ? AND study_id = ? AND code_id = ?
         RETURNING text_hash, submitted_at";
    let mut query = db.prepare_cached(delete)?;
    let taken: Option<(TokenHash, Timestamp)> =
        query.query_row(params![patient, study, code], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(taken.filter(|(_, at)| now.since(*at) < PENDING_AGE).map(|(text, _)| text))
}

/// Returns the intervals whose samples may be stored: the consented ones, and all time before the first grant, within
/// the collection windows of the studies; none if no grant is active now. Times up to the last erasure of withdrawn
/// data are excluded, also after a new grant.
pub fn find_allowed(db: &Connection, patient: PatientId, scope: &str) -> StoreResult<ConsentIntervals> {
    find_within_windows(db, patient, scope, None)
}

/// Returns the intervals that may be read at `now`: those of [`find_allowed`], without the studies whose collection
/// window has not begun or is over, also for late data.
pub fn find_readable(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    now: Timestamp,
) -> StoreResult<ConsentIntervals> {
    find_within_windows(db, patient, scope, Some(now))
}

fn find_within_windows(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    now: Option<Timestamp>,
) -> StoreResult<ConsentIntervals> {
    let consented = find_consented(db, patient, scope)?;
    Ok(match find_windows(db, patient, scope, now)? {
        Some(windows) => consented.intersect(&windows),
        None => consented,
    })
}

/// Returns the intervals of a scope's grants within the collection windows of their studies, at `now` only of those that
/// are read; none if no study of the patient has a window.
pub(crate) fn find_windows(
    db: &Connection,
    patient: PatientId,
    scope: &str,
    now: Option<Timestamp>,
) -> StoreResult<Option<ConsentIntervals>> {
    let parts = collection_window::list_limits(db, patient, scope, now.unwrap_or(Timestamp::MIN))?;
    if parts.is_empty() {
        return Ok(None);
    }
    let mut grants: BTreeMap<Option<i64>, Vec<Grant>> = BTreeMap::new();
    for (study, grant) in list_study_grants(db, VisibleTo::Everybody, patient, scope)? {
        grants.entry(study.map(|study| study.0)).or_default().push(grant);
    }
    let mut allowed = Vec::new();
    for (study, grants) in grants {
        let all = ConsentIntervals::ever_allowed(&grants);
        let is_for = |part: &&CodeLimits| study.map_or(part.asks, |study| part.study.0 == study);
        let of_grant: Vec<&CodeLimits> = parts.iter().filter(is_for).collect();
        if of_grant.is_empty() {
            // A consent for no study that the patient is in: no window applies.
            allowed.push(all);
            continue;
        }
        let read = of_grant.into_iter().filter(|part| now.is_none() || part.is_read);
        allowed.extend(read.map(|part| all.within(part.limits)));
    }
    Ok(Some(ConsentIntervals::union(allowed)))
}

/// Returns the consented intervals, and all time before the first grant; none if no grant is active now.
fn find_consented(db: &Connection, patient: PatientId, scope: &str) -> StoreResult<ConsentIntervals> {
    let allowed = ConsentIntervals::from_grants(&list_grants(db, VisibleTo::Everybody, patient, scope)?);
    let select = "SELECT max(data_erased_at) FROM consents JOIN codes ON codes.id = consents.code_id
         WHERE patient_id = ? AND codes.code = ?";
    let mut query = db.prepare_cached(select)?;
    let erased: Option<Timestamp> = query.query_row(params![patient, scope], |row| row.get(0))?;
    Ok(erased.map_or_else(|| allowed.clone(), |until| allowed.since(until)))
}

/// Lists the visible grants of a scope, oldest first.
fn list_grants(
    db: &Connection,
    viewer: VisibleTo,
    patient: PatientId,
    scope: &str,
) -> StoreResult<Vec<Grant>> {
    Ok(list_study_grants(db, viewer, patient, scope)?.into_iter().map(|(_, grant)| grant).collect())
}

/// Lists the visible grants of a scope, oldest first, each with its study.
fn list_study_grants(
    db: &Connection,
    viewer: VisibleTo,
    patient: PatientId,
    scope: &str,
) -> StoreResult<Vec<(Option<StudyId>, Grant)>> {
    let select = format!(
        "SELECT granted_at, withdrawn_at, {COVERS_FROM}, study_id
         FROM consents JOIN codes ON codes.id = consents.code_id
         WHERE patient_id = ?1 AND codes.code = ?2 AND {} ORDER BY granted_at",
        visibility::consent_condition(3)
    );
    let mut query = db.prepare_cached(&select)?;
    let grants = query.query_map(params![patient, scope, viewer], |row| {
        let grant = Grant { granted: row.get(0)?, withdrawn: row.get(1)?, covers_from: row.get(2)? };
        Ok((row.get(3)?, grant))
    })?;
    Ok(grants.collect::<Result<_, _>>()?)
}

/// Lists the visible scopes that a patient has ever granted and an accepted device can deliver, with their grants.
/// JHE's patients also consent to scopes that no device delivers.
pub fn list_deliverable_scopes(
    db: &Connection,
    viewer: VisibleTo,
    patient: PatientId,
) -> StoreResult<Vec<(String, Vec<Grant>)>> {
    let select = format!(
        "SELECT DISTINCT codes.code FROM consents JOIN codes ON codes.id = consents.code_id
         WHERE patient_id = ?1 AND {} AND {} ORDER BY 1",
        deliverable_condition("consents"),
        visibility::consent_condition(2)
    );
    let mut query = db.prepare_cached(&select)?;
    let scopes =
        query.query_map(params![patient, viewer], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    scopes
        .into_iter()
        .map(|scope| list_grants(db, viewer, patient, &scope).map(|grants| (scope, grants)))
        .collect()
}
