//! Bearer tokens of programs.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::{AccountId, Actor, Role};
use crate::model::{patient::PatientId, study::StudyId};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreResult;
use crate::store::people::{account, visibility};

/// A token of a program, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: i64,
    pub hash: TokenHash,
    /// The program's name, as a person entered it.
    pub name: String,
    pub created: Timestamp,
    /// None works until it is revoked.
    pub expires: Option<Timestamp>,
    /// As last written; the daemon may know a later use.
    pub last_used: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    /// A token for reading shows the participants' names.
    pub shows_names: bool,
}

/// A token that acts for one patient.
#[derive(Debug, Clone)]
pub struct NewPatientToken {
    pub hash: TokenHash,
    pub patient: PatientId,
    pub name: String,
    pub created_by: AccountId,
    pub expires: Option<Timestamp>,
}

/// A token that reads the data of one study.
#[derive(Debug, Clone)]
pub struct NewStudyToken {
    pub hash: TokenHash,
    pub study: StudyId,
    pub name: String,
    /// None for the command line.
    pub created_by: Option<AccountId>,
    pub expires: Timestamp,
    pub shows_names: bool,
}

/// A valid token for reading a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyToken {
    pub id: i64,
    pub name: String,
    pub study: StudyId,
    /// The account that made it, or the command line.
    pub made_by: Actor,
    pub shows_names: bool,
}

/// Inserts a token and returns its id.
pub fn insert(db: &Connection, new: &NewPatientToken, now: Timestamp) -> StoreResult<i64> {
    let insert =
        "INSERT INTO api_tokens (token_hash, scope, patient_id, name, created_by, created_at, expires_at)
         VALUES (?, 'patient', ?, ?, ?, ?, ?)";
    db.execute(insert, params![new.hash, new.patient, new.name, new.created_by, now, new.expires])?;
    Ok(db.last_insert_rowid())
}

/// Returns the patient for whom a token acts, unless it is revoked or has expired.
pub fn find_patient(db: &Connection, hash: TokenHash, now: Timestamp) -> StoreResult<Option<PatientId>> {
    let mut query = db.prepare_cached(
        "SELECT patient_id FROM api_tokens WHERE token_hash = ? AND scope = 'patient' AND revoked_at IS NULL
           AND (expires_at IS NULL OR expires_at > ?)",
    )?;
    Ok(query.query_row(params![hash, now], |row| row.get(0)).optional()?)
}

/// Inserts a token for reading a study and returns its id.
pub fn insert_of_study(db: &Connection, new: &NewStudyToken, now: Timestamp) -> StoreResult<i64> {
    let insert = "INSERT INTO api_tokens (token_hash, scope, study_id, name, created_by, created_at,
                                          expires_at, shows_names)
         VALUES (?, 'read', ?, ?, ?, ?, ?, ?)";
    let NewStudyToken { hash, study, name, created_by, expires, shows_names } = new;
    db.execute(insert, params![hash, study, name, created_by, now, expires, shows_names])?;
    Ok(db.last_insert_rowid())
}

/// Returns the token for reading with this hash, unless it is revoked or has expired, or the account that made it may
/// not download the study's data any more.
pub fn find_of_study(db: &Connection, hash: TokenHash, now: Timestamp) -> StoreResult<Option<StudyToken>> {
    let mut query = db.prepare_cached(
        "SELECT id, name, study_id, created_by, shows_names FROM api_tokens
         WHERE token_hash = ? AND scope = 'read' AND revoked_at IS NULL
           AND (expires_at IS NULL OR expires_at > ?)",
    )?;
    let found = query.query_row(params![hash, now], |row| row.try_into()).optional()?;
    let found: Option<(i64, String, StudyId, Option<AccountId>, bool)> = found;
    let Some((id, name, study, account, shows_names)) = found else { return Ok(None) };
    let Some(account) = account else {
        return Ok(Some(StudyToken { id, name, study, made_by: Actor::CommandLine, shows_names }));
    };
    let Some(maker) = account::find(db, account)?.filter(|maker| !maker.disabled) else { return Ok(None) };
    let role = visibility::find_study_role(db, maker.visible_to(), study)?;
    let token = StudyToken { id, name, study, made_by: Actor::Account(account), shows_names };
    Ok(Some(token).filter(|_| role >= Some(Role::DataManager)))
}

/// Lists all tokens ever made for a patient, newest first.
pub fn list(db: &Connection, patient: PatientId) -> StoreResult<Vec<ApiToken>> {
    list_where(db, "patient_id = ?", [patient])
}

/// Lists all tokens ever made for reading a study, newest first.
pub fn list_of_study(db: &Connection, study: StudyId) -> StoreResult<Vec<ApiToken>> {
    list_where(db, "study_id = ?", [study])
}

fn list_where(db: &Connection, condition: &str, values: impl Params) -> StoreResult<Vec<ApiToken>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT id, token_hash, name, created_at, expires_at, last_used_at, revoked_at, shows_names
         FROM api_tokens WHERE {condition} ORDER BY id DESC"
    ))?;
    Ok(query.query_map(values, from_row)?.collect::<Result<_, _>>()?)
}

fn from_row(row: &Row) -> rusqlite::Result<ApiToken> {
    let (id, hash, name, created, expires, last_used, revoked, shows_names) = row.try_into()?;
    Ok(ApiToken { id, hash, name, created, expires, last_used, revoked, shows_names })
}

/// Revokes a token for reading a study. Returns false if there is none that is not revoked.
pub fn revoke_of_study(db: &Connection, study: StudyId, id: i64, now: Timestamp) -> StoreResult<bool> {
    let update = "UPDATE api_tokens SET revoked_at = ? WHERE study_id = ? AND id = ? AND revoked_at IS NULL";
    Ok(db.execute(update, params![now, study, id])? > 0)
}

/// Revokes a patient's token. Returns false if there is none that is not revoked.
pub fn revoke(db: &Connection, patient: PatientId, id: i64, now: Timestamp) -> StoreResult<bool> {
    let update =
        "UPDATE api_tokens SET revoked_at = ? WHERE patient_id = ? AND id = ? AND revoked_at IS NULL";
    let revoked = db.execute(update, params![now, patient, id])?;
    Ok(revoked > 0)
}

/// Counts the tokens that an account has made and that still work.
pub fn count_made_by(db: &Connection, account: AccountId, now: Timestamp) -> StoreResult<i64> {
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM api_tokens
         WHERE created_by = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?)",
    )?;
    Ok(query.query_row(params![account, now], |row| row.get(0))?)
}

/// Revokes the tokens that an account has made, and returns their number.
pub fn revoke_made_by(db: &Connection, account: AccountId, now: Timestamp) -> StoreResult<usize> {
    let update = "UPDATE api_tokens SET revoked_at = ? WHERE created_by = ? AND revoked_at IS NULL";
    Ok(db.execute(update, params![now, account])?)
}

/// Records the last use of tokens. A later one that is recorded already stays.
pub fn record_use(db: &Connection, used: &[(TokenHash, Timestamp)]) -> StoreResult<()> {
    let update =
        "UPDATE api_tokens SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE token_hash = ?";
    let mut update = db.prepare_cached(update)?;
    used.iter().try_for_each(|(hash, at)| update.execute(params![at, hash]).map(drop))?;
    Ok(())
}
