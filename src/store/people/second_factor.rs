//! Second factors of accounts: the encrypted secret of one-time codes, and recovery codes.

use rusqlite::{Connection, OptionalExtension, params};

use crate::model::account::AccountId;
use crate::secrets::token::TokenHash;
use crate::store::error::StoreResult;

/// The encrypted secret, and the time step of the last code that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedTotp {
    pub secret: Vec<u8>,
    pub last_step: u64,
}

pub fn find(db: &Connection, account: AccountId) -> StoreResult<Option<SealedTotp>> {
    let select = "SELECT totp_secret, totp_last_step FROM accounts WHERE id = ? AND totp_secret IS NOT NULL";
    let mut query = db.prepare_cached(select)?;
    let found = query.query_row([account], |row| {
        Ok(SealedTotp {
            secret: row.get(0)?,
            last_step: row.get::<_, i64>(1)?.try_into().unwrap_or_default(),
        })
    });
    Ok(found.optional()?)
}

/// Sets the secret and replaces the recovery codes.
pub fn set(db: &Connection, account: AccountId, totp: &SealedTotp, codes: &[TokenHash]) -> StoreResult<()> {
    db.execute("UPDATE accounts SET totp_secret = ? WHERE id = ?", params![totp.secret, account])?;
    take_step(db, account, totp.last_step)?;
    replace_recovery_codes(db, account, codes)
}

/// Records that the code of a time step was used. Returns false if this or a later one was used before.
pub fn take_step(db: &Connection, account: AccountId, step: u64) -> StoreResult<bool> {
    let step = i64::try_from(step).unwrap_or_default();
    let update = "UPDATE accounts SET totp_last_step = ?1 WHERE id = ?2 AND totp_last_step < ?1";
    Ok(db.execute(update, params![step, account])? > 0)
}

pub fn replace_recovery_codes(db: &Connection, account: AccountId, codes: &[TokenHash]) -> StoreResult<()> {
    db.execute("DELETE FROM recovery_codes WHERE account_id = ?", [account])?;
    let mut insert = db.prepare_cached("INSERT INTO recovery_codes (account_id, code_hash) VALUES (?, ?)")?;
    codes.iter().try_for_each(|code| insert.execute(params![account, code]).map(drop))?;
    Ok(())
}

/// Uses a recovery code up. Returns false if there is none like it.
pub fn take_recovery_code(db: &Connection, account: AccountId, code: TokenHash) -> StoreResult<bool> {
    let delete = "DELETE FROM recovery_codes WHERE account_id = ? AND code_hash = ?";
    Ok(db.execute(delete, params![account, code])? > 0)
}

pub fn count_recovery_codes(db: &Connection, account: AccountId) -> StoreResult<i64> {
    let select = "SELECT count(*) FROM recovery_codes WHERE account_id = ?";
    Ok(db.query_row(select, [account], |row| row.get(0))?)
}

/// Removes the second factor. Returns false if there was none.
pub fn remove(db: &Connection, account: AccountId) -> StoreResult<bool> {
    replace_recovery_codes(db, account, &[])?;
    let update = "UPDATE accounts SET totp_secret = NULL WHERE id = ? AND totp_secret IS NOT NULL";
    Ok(db.execute(update, [account])? > 0)
}
