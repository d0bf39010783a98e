//! Browsers in which an account has signed in before, by the hash of their cookie.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::account::AccountId;
use crate::secrets::token::TokenHash;
use crate::store::error::StoreResult;

/// A browser is forgotten so long after its last sign-in. Its cookie lives as long.
pub const KNOWN_FOR: Duration = Duration::from_hours(180 * 24);

pub fn is_known(db: &Connection, account: AccountId, hash: TokenHash, now: Timestamp) -> StoreResult<bool> {
    let select = "SELECT EXISTS (SELECT 1 FROM known_browsers WHERE account_id = ? AND token_hash = ? AND seen_at > ?)";
    let values = params![account, hash, now.minus(KNOWN_FOR)];
    Ok(db.prepare_cached(select)?.query_row(values, |row| row.get(0))?)
}

/// Records a sign-in. Returns true if the account knows other browsers and not this one.
pub fn remember(db: &Connection, account: AccountId, hash: TokenHash, now: Timestamp) -> StoreResult<bool> {
    db.execute("DELETE FROM known_browsers WHERE seen_at <= ?", [now.minus(KNOWN_FOR)])?;
    let is_new = !is_known(db, account, hash, now)?;
    let select = "SELECT EXISTS (SELECT 1 FROM known_browsers WHERE account_id = ?)";
    let has_others: bool = db.query_row(select, [account], |row| row.get(0))?;
    let upsert = "INSERT INTO known_browsers (account_id, token_hash, seen_at) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at";
    db.execute(upsert, params![account, hash, now])?;
    Ok(is_new && has_others)
}

/// Forgets all browsers of an account.
pub fn forget(db: &Connection, account: AccountId) -> StoreResult<()> {
    db.execute("DELETE FROM known_browsers WHERE account_id = ?", [account])?;
    Ok(())
}
