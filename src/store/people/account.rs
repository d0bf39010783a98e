//! Accounts of practitioners and operators, and the links that sign one in once.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::{AccountId, Reach, Role};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreError;

/// An account as the store holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub id: AccountId,
    /// The name to sign in with.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Whether it may no longer sign in.
    pub disabled: bool,
    /// Whether a password was set.
    pub has_password: bool,
    /// JHE's number of the user, where the account is JHE's: then it has no password here.
    pub jhe_user: Option<i64>,
}

impl Account {
    /// Whether it signs in through JHE.
    pub fn is_of_jhe(&self) -> bool {
        self.jhe_user.is_some()
    }

    /// Whether its holder could come back: a local account has to choose a password first.
    pub fn is_set_up(&self) -> bool {
        self.has_password || self.is_of_jhe()
    }

    /// Whose data it may see and touch.
    pub fn reach(&self) -> Reach {
        if self.is_of_jhe() { Reach::Shared(self.id) } else { Reach::Everybody }
    }
}

/// The name of the account that a first start makes.
pub const FIRST: &str = "operator";

const SELECT: &str = "SELECT id, name, role, disabled, password_hash IS NOT NULL, jhe_user_id FROM accounts";

/// Keeps a new account, which has no password yet.
///
/// # Errors
/// A sentence where the name is taken.
pub fn add(db: &Connection, name: &str, role: Role, now: Timestamp) -> Result<AccountId, StoreError> {
    if find_name(db, name)?.is_some() {
        return Err(StoreError::Refused(format!("there is an account '{name}' already")));
    }
    db.execute("INSERT INTO accounts (name, role, created_at) VALUES (?, ?, ?)", params![name, role, now])?;
    Ok(AccountId(db.last_insert_rowid()))
}

/// Every account, by name.
///
/// # Errors
/// Where the table cannot be read.
pub fn list(db: &Connection) -> Result<Vec<Account>, StoreError> {
    let mut query = db.prepare_cached(&format!("{SELECT} ORDER BY name"))?;
    Ok(query.query_map([], from_row)?.collect::<Result<_, _>>()?)
}

/// The account of this number, where there is one.
///
/// # Errors
/// Where the table cannot be read.
pub fn find(db: &Connection, id: AccountId) -> Result<Option<Account>, StoreError> {
    let mut query = db.prepare_cached(&format!("{SELECT} WHERE id = ?"))?;
    Ok(query.query_row([id], from_row).optional()?)
}

/// The account of this name, where there is one.
///
/// # Errors
/// Where the table cannot be read.
pub fn find_name(db: &Connection, name: &str) -> Result<Option<Account>, StoreError> {
    let mut query = db.prepare_cached(&format!("{SELECT} WHERE name = ?"))?;
    Ok(query.query_row([name], from_row).optional()?)
}

/// The hash of an account's password, where it has one and may sign in.
///
/// # Errors
/// Where the table cannot be read.
pub fn password(db: &Connection, name: &str) -> Result<Option<(Account, String)>, StoreError> {
    let Some(account) = find_name(db, name)?.filter(|account| !account.disabled) else { return Ok(None) };
    let hash: Option<String> =
        db.query_row("SELECT password_hash FROM accounts WHERE id = ?", [account.id], |row| row.get(0))?;
    Ok(hash.map(|hash| (account, hash)))
}

/// Sets the hash of a password; whoever was signed in with the old one no longer is, but for `keep`.
///
/// # Errors
/// A sentence where the account is JHE's.
pub fn set_password(
    db: &Connection,
    id: AccountId,
    hash: &str,
    keep: Option<TokenHash>,
) -> Result<(), StoreError> {
    refuse_of_jhe(db, id)?;
    db.execute("UPDATE accounts SET password_hash = ? WHERE id = ?", params![hash, id])?;
    db.execute("DELETE FROM sign_in_links WHERE account_id = ?", [id])?;
    db.execute("DELETE FROM sessions WHERE account_id = ?1 AND token_hash IS NOT ?2", params![id, keep])?;
    Ok(())
}

/// Changes what an account may do, or whether it may sign in at all.
///
/// # Errors
/// A sentence where that would leave nobody to run the place, or the role is JHE's to give.
pub fn change(db: &Connection, id: AccountId, role: Role, disabled: bool) -> Result<(), StoreError> {
    if find(db, id)?.is_some_and(|one| one.is_of_jhe() && one.role != role) {
        return Err(StoreError::Refused(
            "the role of this account comes from JHE: change it there".to_owned(),
        ));
    }
    db.execute("UPDATE accounts SET role = ?, disabled = ? WHERE id = ?", params![role, disabled, id])?;
    if disabled {
        db.execute("DELETE FROM sessions WHERE account_id = ?", [id])?;
        db.execute("DELETE FROM sign_in_links WHERE account_id = ?", [id])?;
    }
    let operators: i64 =
        db.query_row("SELECT count(*) FROM accounts WHERE role = 'operator' AND disabled = 0", [], |row| {
            row.get(0)
        })?;
    if operators == 0 {
        let why = "one operator has to stay: make another account an operator first";
        return Err(StoreError::Refused(why.to_owned()));
    }
    Ok(())
}

/// The account that stands in for the first operator: made where nobody could sign in otherwise; none where
/// an operator has a password.
///
/// # Errors
/// Where the tables cannot be read or written.
pub fn first_operator(db: &Connection, now: Timestamp) -> Result<Option<Account>, StoreError> {
    let operators: Vec<Account> =
        list(db)?.into_iter().filter(|one| one.role == Role::Operator && !one.disabled).collect();
    if operators.iter().any(|account| account.has_password) {
        return Ok(None);
    }
    if let Some(waiting) = operators.into_iter().next() {
        return Ok(Some(waiting));
    }
    let mut name = FIRST.to_owned();
    for number in 2.. {
        if find_name(db, &name)?.is_none() {
            break;
        }
        name = format!("{FIRST}-{number}");
    }
    let id = add(db, &name, Role::Operator, now)?;
    find(db, id)
}

/// Who made a sign-in link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkOrigin {
    /// The daemon, which prints one at each start while nobody can sign in.
    Start,
    /// Somebody, for somebody.
    Person,
}

/// Keeps a link that signs an account in once; an earlier one of the same origin ends.
///
/// # Errors
/// A sentence where the account is JHE's.
pub fn keep_link(
    db: &Connection,
    id: AccountId,
    hash: TokenHash,
    origin: LinkOrigin,
    expires: Timestamp,
) -> Result<(), StoreError> {
    refuse_of_jhe(db, id)?;
    let at_start = origin == LinkOrigin::Start;
    db.execute(
        "DELETE FROM sign_in_links WHERE account_id = ? AND made_at_startup = ?",
        params![id, at_start],
    )?;
    db.execute(
        "INSERT INTO sign_in_links (token_hash, account_id, made_at_startup, expires_at) VALUES (?, ?, ?, ?)",
        params![hash, id, at_start, expires],
    )?;
    Ok(())
}

/// The account that a sign-in link is for, where the link is good.
///
/// # Errors
/// Where the table cannot be read.
pub fn of_link(db: &Connection, hash: TokenHash, now: Timestamp) -> Result<Option<Account>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT account_id FROM sign_in_links WHERE token_hash = ? AND expires_at > ?")?;
    let id: Option<AccountId> = query.query_row(params![hash, now], |row| row.get(0)).optional()?;
    match id {
        Some(id) => Ok(find(db, id)?.filter(|account| !account.disabled)),
        None => Ok(None),
    }
}

/// Uses a sign-in link up. Whoever needs one has no password, or has forgotten it: it is to be chosen anew, and
/// who was signed in no longer is.
///
/// # Errors
/// Where the tables cannot be written.
pub fn use_link(db: &Connection, id: AccountId, hash: TokenHash) -> Result<(), StoreError> {
    db.execute("DELETE FROM sign_in_links WHERE token_hash = ?", [hash])?;
    db.execute("UPDATE accounts SET password_hash = NULL WHERE id = ?", [id])?;
    db.execute("DELETE FROM sessions WHERE account_id = ?", [id])?;
    Ok(())
}

/// Nobody but JHE lets an account of JHE's in.
fn refuse_of_jhe(db: &Connection, id: AccountId) -> Result<(), StoreError> {
    match find(db, id)? {
        Some(one) if one.is_of_jhe() => Err(StoreError::Refused(format!(
            "'{}' signs in through JHE and has no password here; it is changed there",
            one.name
        ))),
        _ => Ok(()),
    }
}

fn from_row(row: &Row) -> rusqlite::Result<Account> {
    Ok(Account {
        id: row.get(0)?,
        name: row.get(1)?,
        role: row.get(2)?,
        disabled: row.get(3)?,
        has_password: row.get(4)?,
        jhe_user: row.get(5)?,
    })
}
