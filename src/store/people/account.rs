//! Accounts of practitioners and operators, and the links that sign one in once.

use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::{AccountId, Actor, NO_ROLE, Role, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::study::StudyId;
use crate::secrets::token::TokenHash;
use crate::store::error::{StoreError, StoreResult};
use crate::store::people::{known_browser, session, study};
use crate::store::privacy::audit;

/// One-time codes after the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactor {
    Off,
    On,
    /// Has to be set up before anything else.
    Lacking,
}

/// A practitioner's or operator's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
    /// Operator, or the highest role in any study or organization; viewer without any.
    pub role: Role,
    pub disabled: bool,
    pub has_password: bool,
    /// JHE's user id. Set for an account that signs in through JHE; it has no password here.
    pub jhe_user: Option<i64>,
    pub second_factor: SecondFactor,
    /// For notices about sign-ins; empty if none is given.
    pub email: String,
}

impl Account {
    pub fn is_of_jhe(&self) -> bool {
        self.jhe_user.is_some()
    }

    /// Returns true if the holder can sign in again: a local account has to set a password first, and a second
    /// factor where one is required.
    pub fn is_set_up(&self) -> bool {
        (self.has_password || self.is_of_jhe()) && self.second_factor != SecondFactor::Lacking
    }

    pub fn has_second_factor(&self) -> bool {
        self.second_factor == SecondFactor::On
    }

    /// Returns the patients and studies that the account may see.
    pub fn visible_to(&self) -> VisibleTo {
        if self.role == Role::Operator { VisibleTo::Everybody } else { VisibleTo::Account(self.id) }
    }
}

/// Name of the account that the first start creates.
pub const FIRST_OPERATOR_NAME: &str = "operator";

/// JHE authenticates the accounts that sign in there. Operators need a second factor once one of them has one.
const SELECT: &str = "SELECT accounts.id, name,
    iif(role = 'operator', role, coalesce(
        (SELECT role FROM (SELECT role FROM study_roles WHERE account_id = accounts.id
                           UNION ALL SELECT role FROM account_organizations WHERE account_id = accounts.id)
         ORDER BY role = 'data-manager' DESC, role = 'coordinator' DESC LIMIT 1), 'viewer')),
    disabled, password_hash IS NOT NULL, jhe_user_id, totp_secret IS NOT NULL,
    totp_secret IS NULL AND jhe_user_id IS NULL AND (
        EXISTS (SELECT 1 FROM settings WHERE key = 'sign_in.second_factor' AND value = 'everybody')
        OR (role = 'operator' AND EXISTS (
            SELECT 1 FROM accounts AS other
            WHERE other.role = 'operator' AND other.disabled = 0 AND other.totp_secret IS NOT NULL))
    ), email FROM accounts";

/// Inserts a local account without a password.
pub fn insert(db: &Connection, name: &str, is_operator: bool, now: Timestamp) -> StoreResult<AccountId> {
    if find_by_name(db, name)?.is_some() {
        return Err(StoreError::Refused(format!("there is an account '{name}' already")));
    }
    db.execute(
        "INSERT INTO accounts (name, role, created_at) VALUES (?, ?, ?)",
        params![name, own_role(is_operator), now],
    )?;
    Ok(AccountId(db.last_insert_rowid()))
}

pub fn list(db: &Connection) -> StoreResult<Vec<Account>> {
    let select = format!("{SELECT} ORDER BY name");
    Ok(db.prepare_cached(&select)?.query_map([], from_row)?.collect::<Result<_, _>>()?)
}

pub fn find(db: &Connection, id: AccountId) -> StoreResult<Option<Account>> {
    find_where(db, "WHERE id = ?", [id])
}

pub fn find_by_name(db: &Connection, name: &str) -> StoreResult<Option<Account>> {
    find_where(db, "WHERE name = ?", [name])
}

pub fn find_by_jhe_user(db: &Connection, user: i64) -> StoreResult<Option<Account>> {
    find_where(db, "WHERE jhe_user_id = ?", [user])
}

fn find_where(db: &Connection, condition: &str, values: impl Params) -> StoreResult<Option<Account>> {
    let select = format!("{SELECT} {condition}");
    Ok(db.prepare_cached(&select)?.query_row(values, from_row).optional()?)
}

/// Returns the account and its password hash, unless it has none or is disabled.
pub fn find_with_password_hash(db: &Connection, name: &str) -> StoreResult<Option<(Account, String)>> {
    let Some(account) = find_by_name(db, name)?.filter(|account| !account.disabled) else { return Ok(None) };
    let hash: Option<String> =
        db.query_row("SELECT password_hash FROM accounts WHERE id = ?", [account.id], |row| row.get(0))?;
    Ok(hash.map(|hash| (account, hash)))
}

/// Sets the password hash and ends all sessions of the account except `keep`.
pub fn set_password(db: &Connection, id: AccountId, hash: &str, keep: Option<TokenHash>) -> StoreResult<()> {
    check_is_local(db, id)?;
    db.execute("UPDATE accounts SET password_hash = ? WHERE id = ?", params![hash, id])?;
    // A link that is still open would let its holder set another password.
    db.execute("DELETE FROM sign_in_links WHERE account_id = ?", [id])?;
    session::delete_others(db, id, keep)?;
    known_browser::forget(db, id)
}

/// Sets the address for notices about sign-ins; empty takes it away.
pub fn set_email(db: &Connection, id: AccountId, email: &str) -> StoreResult<()> {
    db.execute("UPDATE accounts SET email = ? WHERE id = ?", params![email, id])?;
    Ok(())
}

/// The role in `accounts`; all other roles are per study.
fn own_role(is_operator: bool) -> Role {
    if is_operator { Role::Operator } else { Role::Viewer }
}

/// Makes an account an operator or not, and allows or blocks its sign-in. Refuses to make an account of JHE an operator,
/// and to leave no active operator.
pub fn update(db: &Connection, id: AccountId, is_operator: bool, disabled: bool) -> StoreResult<()> {
    if is_operator && find(db, id)?.is_some_and(|one| one.is_of_jhe()) {
        return Err(StoreError::Refused(
            "the role of this account comes from JHE: change it there".to_owned(),
        ));
    }
    db.execute(
        "UPDATE accounts SET role = ?, disabled = ? WHERE id = ?",
        params![own_role(is_operator), disabled, id],
    )?;
    if disabled {
        session::delete_others(db, id, None)?;
        known_browser::forget(db, id)?;
        db.execute("DELETE FROM sign_in_links WHERE account_id = ?", [id])?;
    }
    let operators: i64 =
        db.query_row("SELECT count(*) FROM accounts WHERE role = 'operator' AND disabled = 0", [], |row| {
            row.get(0)
        })?;
    if operators == 0 {
        // The caller's transaction rolls the update back.
        let why = "one operator has to stay: make another account an operator first";
        return Err(StoreError::Refused(why.to_owned()));
    }
    Ok(())
}

/// Lists the roles of an account in studies, by the names of the studies.
pub fn list_study_roles(db: &Connection, id: AccountId) -> StoreResult<Vec<(String, Role)>> {
    let mut query = db.prepare_cached(
        "SELECT studies.name, study_roles.role FROM study_roles JOIN studies ON studies.id = study_id
         WHERE account_id = ? ORDER BY studies.name",
    )?;
    Ok(query.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Gives a local account a role in a study, or takes it away, and records it.
pub fn set_study_role(
    db: &Connection,
    id: AccountId,
    study: StudyId,
    role: Option<Role>,
    who: Actor,
    now: Timestamp,
) -> StoreResult<()> {
    study::find(db, study)?;
    if role == Some(Role::Operator) {
        let why = "an operator is one in every study: make the account an operator instead".to_owned();
        return Err(StoreError::Refused(why));
    }
    check_is_local(db, id)?;
    db.execute("DELETE FROM study_roles WHERE account_id = ? AND study_id = ?", params![id, study])?;
    if let Some(role) = role {
        let insert = "INSERT INTO study_roles (account_id, study_id, role) VALUES (?, ?, ?)";
        db.execute(insert, params![id, study, role])?;
    }
    let role = role.map_or(NO_ROLE, Role::as_str);
    let detail = AuditDetail::from("account").with(id).with(role).with("study").with(study);
    audit::record(db, now, who, "account.role", None, detail)
}

/// Returns an operator who has no password yet and creates one if there is no operator. Returns none if any
/// operator has a password.
pub fn ensure_first_operator(db: &Connection, now: Timestamp) -> StoreResult<Option<Account>> {
    let operators: Vec<Account> =
        list(db)?.into_iter().filter(|one| one.role == Role::Operator && !one.disabled).collect();
    if operators.iter().any(|account| account.has_password) {
        return Ok(None);
    }
    if !operators.is_empty() {
        return Ok(operators.into_iter().next());
    }
    let mut name = FIRST_OPERATOR_NAME.to_owned();
    for number in 2.. {
        if find_by_name(db, &name)?.is_none() {
            break;
        }
        name = format!("{FIRST_OPERATOR_NAME}-{number}");
    }
    let id = insert(db, &name, true, now)?;
    find(db, id)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkOrigin {
    /// The daemon prints one at each start while nobody can sign in.
    Start,
    /// A person made it for another one.
    Person,
}

/// Inserts a link that signs an account in once. It replaces an earlier link of the same origin.
pub fn insert_sign_in_link(
    db: &Connection,
    id: AccountId,
    hash: TokenHash,
    origin: LinkOrigin,
    expires: Timestamp,
) -> StoreResult<()> {
    check_is_local(db, id)?;
    let at_start = origin == LinkOrigin::Start;
    let delete = "DELETE FROM sign_in_links WHERE account_id = ? AND made_at_startup = ?";
    db.execute(delete, params![id, at_start])?;
    let insert =
        "INSERT INTO sign_in_links (token_hash, account_id, made_at_startup, expires_at) VALUES (?, ?, ?, ?)";
    db.execute(insert, params![hash, id, at_start, expires])?;
    Ok(())
}

pub fn find_by_sign_in_link(
    db: &Connection,
    hash: TokenHash,
    now: Timestamp,
) -> StoreResult<Option<Account>> {
    let condition = "JOIN sign_in_links ON account_id = accounts.id
         WHERE token_hash = ? AND expires_at > ? AND disabled = 0";
    find_where(db, condition, params![hash, now])
}

/// Deletes a used sign-in link, the old password and all sessions: a link serves somebody who has no password
/// or has forgotten it.
pub fn consume_sign_in_link(db: &Connection, id: AccountId, hash: TokenHash) -> StoreResult<()> {
    db.execute("DELETE FROM sign_in_links WHERE token_hash = ?", [hash])?;
    db.execute("UPDATE accounts SET password_hash = NULL WHERE id = ?", [id])?;
    session::delete_others(db, id, None)?;
    known_browser::forget(db, id)
}

/// Refuses to set a password or a role, or make a link, for an account that signs in through JHE.
fn check_is_local(db: &Connection, id: AccountId) -> StoreResult<()> {
    match find(db, id)? {
        Some(one) if one.is_of_jhe() => Err(StoreError::Refused(format!(
            "'{}' signs in through JHE: its password and its roles are changed there",
            one.name
        ))),
        _ => Ok(()),
    }
}

fn from_row(row: &Row) -> rusqlite::Result<Account> {
    let (id, name, role, disabled, has_password, jhe_user, is_on, is_lacking, email) = row.try_into()?;
    let second_factor = match (is_on, is_lacking) {
        (true, _) => SecondFactor::On,
        (false, true) => SecondFactor::Lacking,
        (false, false) => SecondFactor::Off,
    };
    Ok(Account { id, name, role, disabled, has_password, jhe_user, second_factor, email })
}
