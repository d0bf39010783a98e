//! Signed-in browsers of accounts and patients.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::{account::AccountId, patient::PatientId};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreResult;
use crate::store::people::known_browser;

/// The account or patient that a session belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    Account(AccountId),
    Patient(PatientId),
}

/// A browser in which an account is or was signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffSession {
    pub id: i64,
    pub hash: TokenHash,
    pub account: AccountId,
    pub created: Timestamp,
    /// The absolute end.
    pub expires: Timestamp,
    /// As last written; the daemon may know a later use.
    pub last_active: Timestamp,
    /// The last time at which the person gave a password or a code.
    pub confirmed: Option<Timestamp>,
    /// Fixed words such as "Firefox on Android"; empty if unknown.
    pub browser: String,
    pub address: String,
}

/// A sign-in of an account.
#[derive(Debug, Clone)]
pub struct NewStaffSession {
    pub hash: TokenHash,
    pub expires: Timestamp,
    /// The cookie by which the account knows the browser from now on.
    pub known_as: TokenHash,
    pub browser: String,
    pub address: String,
    /// The session that the browser had before: a token that somebody planted is of no use afterwards.
    pub replaces: Option<TokenHash>,
    /// The person gave a password or a code just now.
    pub is_confirmed: bool,
}

/// Time for which an ended session stays known, so that a form sent after its end can be kept for its account.
pub const ENDED_FOR: Duration = Duration::from_hours(24);

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
    db.execute("DELETE FROM sessions WHERE expires_at <= ?", [now.minus(ENDED_FOR)])?;
    let insert =
        "INSERT INTO sessions (token_hash, account_id, patient_id, created_at, expires_at, last_active_at,
                                        confirmed_at, browser, address)
         VALUES (?1, ?2, ?3, ?4, ?5, ?4, ?4, '', '')";
    db.execute(insert, params![hash, account, patient, now, expires])?;
    Ok(())
}

/// Inserts the session of an account, in place of the one that the browser had. Returns true if the account knows
/// other browsers and not this one.
pub fn insert_staff(
    db: &Connection,
    account: AccountId,
    new: &NewStaffSession,
    now: Timestamp,
) -> StoreResult<bool> {
    if let Some(old) = new.replaces {
        delete(db, old)?;
    }
    insert(db, new.hash, Holder::Account(account), now, new.expires)?;
    let update = "UPDATE sessions SET browser = ?1, address = ?2, confirmed_at = iif(?3, confirmed_at, NULL)
         WHERE token_hash = ?4";
    db.execute(update, params![new.browser, new.address, new.is_confirmed, new.hash])?;
    known_browser::remember(db, account, new.known_as, now)
}

const SELECT_STAFF: &str =
    "SELECT id, token_hash, account_id, created_at, expires_at, last_active_at, confirmed_at,
     browser, address FROM sessions WHERE account_id IS NOT NULL";

/// Returns the session of an account, also one that has ended lately.
pub fn find_staff(db: &Connection, hash: TokenHash) -> StoreResult<Option<StaffSession>> {
    let mut query = db.prepare_cached(&format!("{SELECT_STAFF} AND token_hash = ?"))?;
    Ok(query.query_row([hash], staff_from_row).optional()?)
}

/// Lists the sessions of an account that have not expired, the newest first.
pub fn list_staff(db: &Connection, account: AccountId, now: Timestamp) -> StoreResult<Vec<StaffSession>> {
    let select = format!("{SELECT_STAFF} AND account_id = ? AND expires_at > ? ORDER BY id DESC");
    let mut query = db.prepare_cached(&select)?;
    Ok(query.query_map(params![account, now], staff_from_row)?.collect::<Result<_, _>>()?)
}

fn staff_from_row(row: &Row) -> rusqlite::Result<StaffSession> {
    let (id, hash, account, created, expires, last_active, confirmed, browser, address) = row.try_into()?;
    Ok(StaffSession { id, hash, account, created, expires, last_active, confirmed, browser, address })
}

/// Ends a session and keeps it known for a day.
pub fn expire(db: &Connection, hash: TokenHash, now: Timestamp) -> StoreResult<()> {
    db.execute(
        "UPDATE sessions SET expires_at = min(expires_at, ?) WHERE token_hash = ?",
        params![now, hash],
    )?;
    Ok(())
}

/// Goes on with a new token. `confirmed` is the time at which the person said who it is, if that was just now.
pub fn renew(
    db: &Connection,
    old: TokenHash,
    new: TokenHash,
    confirmed: Option<Timestamp>,
) -> StoreResult<()> {
    let update = "UPDATE sessions SET token_hash = ?1, confirmed_at = coalesce(?2, confirmed_at)
         WHERE token_hash = ?3";
    db.execute(update, params![new, confirmed, old])?;
    Ok(())
}

/// Records the last use of sessions. A later one that is recorded already stays.
pub fn record_use(db: &Connection, used: &[(TokenHash, Timestamp)]) -> StoreResult<()> {
    let update = "UPDATE sessions SET last_active_at = max(last_active_at, ?) WHERE token_hash = ?";
    let mut update = db.prepare_cached(update)?;
    used.iter().try_for_each(|(hash, at)| update.execute(params![at, hash]).map(drop))?;
    Ok(())
}

/// Returns the patient of a session, and whether the session may grant consents.
pub fn find_patient(
    db: &Connection,
    hash: TokenHash,
    now: Timestamp,
) -> StoreResult<Option<(PatientId, bool)>> {
    let mut query = db.prepare_cached(
        "SELECT patient_id, may_grant FROM sessions
         WHERE token_hash = ? AND expires_at > ? AND patient_id IS NOT NULL",
    )?;
    Ok(query.query_row(params![hash, now], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Limits a session that a used link has opened: it grants no consent.
pub fn forbid_grants(db: &Connection, hash: TokenHash) -> StoreResult<()> {
    db.execute("UPDATE sessions SET may_grant = 0 WHERE token_hash = ?", [hash])?;
    Ok(())
}

pub fn delete(db: &Connection, hash: TokenHash) -> StoreResult<()> {
    db.execute("DELETE FROM sessions WHERE token_hash = ?", [hash])?;
    Ok(())
}

/// Deletes one session of an account.
pub fn delete_one(db: &Connection, account: AccountId, id: i64) -> StoreResult<()> {
    db.execute("DELETE FROM sessions WHERE account_id = ? AND id = ?", params![account, id])?;
    Ok(())
}

/// Deletes all sessions of an account except one.
pub fn delete_others(db: &Connection, account: AccountId, keep: Option<TokenHash>) -> StoreResult<()> {
    let delete = "DELETE FROM sessions WHERE account_id = ? AND token_hash IS NOT ?";
    db.execute(delete, params![account, keep])?;
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
