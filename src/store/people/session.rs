//! Who is signed in, in which browser; and the tokens of API clients.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::account::AccountId;
use crate::model::patient::PatientId;
use crate::secrets::token::TokenHash;
use crate::store::error::StoreError;
use crate::store::people::account;
use crate::store::people::account::Account;

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A practitioner's or operator's.
    Account(AccountId),
    /// A patient's.
    Patient(PatientId),
}

/// A token of an API client, without the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its number.
    pub id: i64,
    /// What it is for.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

/// Begins a session; those that have expired are cleared away.
///
/// # Errors
/// Where the table cannot be written.
pub fn begin(
    db: &Connection,
    hash: TokenHash,
    holder: Holder,
    now: Timestamp,
    expires: Timestamp,
) -> Result<(), StoreError> {
    let (account, patient) = match holder {
        Holder::Account(id) => (Some(id), None),
        Holder::Patient(id) => (None, Some(id)),
    };
    db.execute("DELETE FROM sessions WHERE expires_at <= ?", [now])?;
    db.execute(
        "INSERT INTO sessions (token_hash, account_id, patient_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        params![hash, account, patient, now, expires],
    )?;
    Ok(())
}

/// The account that is signed in with this session.
///
/// # Errors
/// Where the tables cannot be read.
pub fn account(db: &Connection, hash: TokenHash, now: Timestamp) -> Result<Option<Account>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT account_id FROM sessions WHERE token_hash = ? AND expires_at > ? AND account_id IS NOT NULL",
    )?;
    let id: Option<AccountId> = query.query_row(params![hash, now], |row| row.get(0)).optional()?;
    match id {
        Some(id) => Ok(account::find(db, id)?.filter(|account| !account.disabled)),
        None => Ok(None),
    }
}

/// The patient whose session this is.
///
/// # Errors
/// Where the table cannot be read.
pub fn patient(db: &Connection, hash: TokenHash, now: Timestamp) -> Result<Option<PatientId>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT patient_id FROM sessions WHERE token_hash = ? AND expires_at > ? AND patient_id IS NOT NULL",
    )?;
    Ok(query.query_row(params![hash, now], |row| row.get(0)).optional()?)
}

/// Ends one session.
///
/// # Errors
/// Where the table cannot be written.
pub fn end(db: &Connection, hash: TokenHash) -> Result<(), StoreError> {
    db.execute("DELETE FROM sessions WHERE token_hash = ?", [hash])?;
    Ok(())
}

/// Ends every session of somebody; answers how many there were.
///
/// # Errors
/// Where the table cannot be written.
pub fn end_all(db: &Connection, holder: Holder) -> Result<usize, StoreError> {
    Ok(match holder {
        Holder::Account(id) => db.execute("DELETE FROM sessions WHERE account_id = ?", [id])?,
        Holder::Patient(id) => db.execute("DELETE FROM sessions WHERE patient_id = ?", [id])?,
    })
}

/// How many sessions somebody has at the moment.
///
/// # Errors
/// Where the table cannot be read.
pub fn count(db: &Connection, holder: Holder, now: Timestamp) -> Result<i64, StoreError> {
    let (column, id) = match holder {
        Holder::Account(id) => ("account_id", id.0),
        Holder::Patient(id) => ("patient_id", id.get()),
    };
    let mut query =
        db.prepare_cached(&format!("SELECT count(*) FROM sessions WHERE {column} = ? AND expires_at > ?"))?;
    Ok(query.query_row(params![id, now], |row| row.get(0))?)
}

/// Keeps a token that an API client shows for a patient; answers its number.
///
/// # Errors
/// Where the table cannot be written.
pub fn keep_api_token(
    db: &Connection,
    hash: TokenHash,
    patient: PatientId,
    label: &str,
    now: Timestamp,
) -> Result<i64, StoreError> {
    db.execute(
        "INSERT INTO api_tokens (token_hash, patient_id, label, created_at) VALUES (?, ?, ?, ?)",
        params![hash, patient, label, now],
    )?;
    Ok(db.last_insert_rowid())
}

/// The patient for whom an API client shows this token.
///
/// # Errors
/// Where the table cannot be read.
pub fn api_patient(db: &Connection, hash: TokenHash) -> Result<Option<PatientId>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT patient_id FROM api_tokens WHERE token_hash = ? AND revoked_at IS NULL")?;
    Ok(query.query_row([hash], |row| row.get(0)).optional()?)
}

/// The tokens that were ever made for a patient, newest first.
///
/// # Errors
/// Where the table cannot be read.
pub fn api_tokens(db: &Connection, patient: PatientId) -> Result<Vec<ApiToken>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, label, created_at, revoked_at FROM api_tokens WHERE patient_id = ? ORDER BY id DESC",
    )?;
    let tokens = query.query_map([patient], |row| {
        Ok(ApiToken { id: row.get(0)?, label: row.get(1)?, created: row.get(2)?, revoked: row.get(3)? })
    })?;
    Ok(tokens.collect::<Result<_, _>>()?)
}

/// Revokes a patient's token; answers whether there was one to revoke.
///
/// # Errors
/// Where the table cannot be written.
pub fn revoke_api_token(
    db: &Connection,
    patient: PatientId,
    id: i64,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let revoked = db.execute(
        "UPDATE api_tokens SET revoked_at = ? WHERE patient_id = ? AND id = ? AND revoked_at IS NULL",
        params![now, patient, id],
    )?;
    Ok(revoked > 0)
}
