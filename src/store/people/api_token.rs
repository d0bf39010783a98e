//! Bearer tokens of programs.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::{account::AccountId, patient::PatientId};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreResult;

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

/// Lists all tokens ever made for a patient, newest first.
pub fn list(db: &Connection, patient: PatientId) -> StoreResult<Vec<ApiToken>> {
    let mut query = db.prepare_cached(
        "SELECT id, token_hash, name, created_at, expires_at, last_used_at, revoked_at FROM api_tokens
         WHERE patient_id = ? ORDER BY id DESC",
    )?;
    let tokens = query.query_map([patient], |row| {
        let (id, hash, name, created, expires, last_used, revoked) = row.try_into()?;
        Ok(ApiToken { id, hash, name, created, expires, last_used, revoked })
    })?;
    Ok(tokens.collect::<Result<_, _>>()?)
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
