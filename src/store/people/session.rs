//! Signed-in browsers of accounts and patients, and the tokens of API clients.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::{account::AccountId, patient::PatientId};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreResult;
use crate::store::people::account::{self, Account};

/// The account or patient that a session belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    Account(AccountId),
    Patient(PatientId),
}

/// A token of an API client, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    pub id: i64,
    /// The client's name, as the practitioner entered it.
    pub label: String,
    pub created: Timestamp,
    pub revoked: Option<Timestamp>,
}

/// Inserts a session and deletes all expired ones.
pub fn insert(
    db: &Connection,
    hash: TokenHash,
    holder: Holder,
    now: Timestamp,
    expires: Timestamp,
) -> StoreResult<()> {
    let (account, patient) = match holder {
        Holder::Account(id) => (Some(id), None),
        Holder::Patient(id) => (None, Some(id)),
    };
    db.execute("DELETE FROM sessions WHERE expires_at <= ?", [now])?;
    let insert = "INSERT INTO sessions (token_hash, account_id, patient_id, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?)";
    db.execute(insert, params![hash, account, patient, now, expires])?;
    Ok(())
}

pub fn find_account(db: &Connection, hash: TokenHash, now: Timestamp) -> StoreResult<Option<Account>> {
    account::find_by_session(db, hash, now)
}

pub fn find_patient(db: &Connection, hash: TokenHash, now: Timestamp) -> StoreResult<Option<PatientId>> {
    let mut query = db.prepare_cached(
        "SELECT patient_id FROM sessions WHERE token_hash = ? AND expires_at > ? AND patient_id IS NOT NULL",
    )?;
    Ok(query.query_row(params![hash, now], |row| row.get(0)).optional()?)
}

pub fn delete(db: &Connection, hash: TokenHash) -> StoreResult<()> {
    db.execute("DELETE FROM sessions WHERE token_hash = ?", [hash])?;
    Ok(())
}

/// Deletes all sessions of a holder and returns their number.
pub fn delete_all(db: &Connection, holder: Holder) -> StoreResult<usize> {
    Ok(match holder {
        Holder::Account(id) => db.execute("DELETE FROM sessions WHERE account_id = ?", [id])?,
        Holder::Patient(id) => db.execute("DELETE FROM sessions WHERE patient_id = ?", [id])?,
    })
}

/// Counts the sessions that have not expired.
pub fn count(db: &Connection, holder: Holder, now: Timestamp) -> StoreResult<i64> {
    let (column, id) = match holder {
        Holder::Account(id) => ("account_id", id.0),
        Holder::Patient(id) => ("patient_id", id.get()),
    };
    let select = format!("SELECT count(*) FROM sessions WHERE {column} = ? AND expires_at > ?");
    Ok(db.prepare_cached(&select)?.query_row(params![id, now], |row| row.get(0))?)
}

/// Inserts an API token for one patient's data and returns its id.
pub fn insert_api_token(
    db: &Connection,
    hash: TokenHash,
    patient: PatientId,
    label: &str,
    now: Timestamp,
) -> StoreResult<i64> {
    let insert = "INSERT INTO api_tokens (token_hash, patient_id, label, created_at) VALUES (?, ?, ?, ?)";
    db.execute(insert, params![hash, patient, label, now])?;
    Ok(db.last_insert_rowid())
}

/// Returns the patient of an API token that is not revoked.
pub fn find_api_patient(db: &Connection, hash: TokenHash) -> StoreResult<Option<PatientId>> {
    let mut query =
        db.prepare_cached("SELECT patient_id FROM api_tokens WHERE token_hash = ? AND revoked_at IS NULL")?;
    Ok(query.query_row([hash], |row| row.get(0)).optional()?)
}

/// Lists all tokens ever made for a patient, newest first.
pub fn list_api_tokens(db: &Connection, patient: PatientId) -> StoreResult<Vec<ApiToken>> {
    let mut query = db.prepare_cached(
        "SELECT id, label, created_at, revoked_at FROM api_tokens WHERE patient_id = ? ORDER BY id DESC",
    )?;
    let tokens = query.query_map([patient], |row| {
        Ok(ApiToken { id: row.get(0)?, label: row.get(1)?, created: row.get(2)?, revoked: row.get(3)? })
    })?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// Revokes a patient's token. Returns false if there is none that is not revoked.
pub fn revoke_api_token(db: &Connection, patient: PatientId, id: i64, now: Timestamp) -> StoreResult<bool> {
    let update =
        "UPDATE api_tokens SET revoked_at = ? WHERE patient_id = ? AND id = ? AND revoked_at IS NULL";
    let revoked = db.execute(update, params![now, patient, id])?;
    Ok(revoked > 0)
}
