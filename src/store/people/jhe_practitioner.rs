//! Accounts of practitioners who sign in through JHE: who they are there, and where they belong.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::account::{AccountId, Actor, Role};
use crate::model::jhe_practitioner::Practitioner;
use crate::model::patient::parse_name;
use crate::store::error::StoreError;
use crate::store::people::account::Account;
use crate::store::people::session::Holder;
use crate::store::people::{account, session};
use crate::store::privacy::audit;

/// The account of a user of JHE's, where there is one.
///
/// # Errors
/// Where the table cannot be read.
pub fn find(db: &Connection, user: i64) -> Result<Option<Account>, StoreError> {
    let id: Option<AccountId> = db
        .prepare_cached("SELECT id FROM accounts WHERE jhe_user_id = ?")?
        .query_row([user], |row| row.get(0))
        .optional()?;
    id.map_or(Ok(None), |id| account::find(db, id))
}

/// Takes over what JHE says of a practitioner, in an account that is made where there is none yet. A local account
/// that has the name already is another one and stays so.
///
/// # Errors
/// Where the tables cannot be read or written.
pub fn take_over(
    db: &Connection,
    who: &Practitioner,
    role: Role,
    now: Timestamp,
) -> Result<AccountId, StoreError> {
    let known = find(db, who.user)?;
    let name = free_name(db, who)?;
    let id = if let Some(known) = &known {
        db.execute("UPDATE accounts SET name = ?, role = ? WHERE id = ?", params![name, role, known.id])?;
        known.id
    } else {
        db.execute(
            "INSERT INTO accounts (name, role, created_at, jhe_user_id) VALUES (?, ?, ?, ?)",
            params![name, role, now, who.user],
        )?;
        AccountId(db.last_insert_rowid())
    };
    let action = match known {
        None => Some("account.add"),
        Some(known) => (known.role != role).then_some("account.change"),
    };
    if let Some(action) = action {
        audit::record(db, now, Actor::Account(id), action, None, &format!("account {id} {role} by JHE"))?;
    }
    belong(db, id, who)?;
    Ok(id)
}

/// A practitioner who belongs nowhere any more: whoever is signed in as such no longer is.
///
/// # Errors
/// Where the tables cannot be read or written.
pub fn let_go(db: &Connection, who: &Practitioner) -> Result<(), StoreError> {
    if let Some(known) = find(db, who.user)? {
        belong(db, known.id, who)?;
        session::end_all(db, Holder::Account(known.id))?;
    }
    Ok(())
}

fn belong(db: &Connection, id: AccountId, who: &Practitioner) -> Result<(), StoreError> {
    db.execute("DELETE FROM account_organizations WHERE account_id = ?", [id])?;
    let mut add = db.prepare_cached(
        "INSERT INTO account_organizations (account_id, jhe_organization_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
    )?;
    for one in &who.memberships {
        add.execute(params![id, one.organization])?;
    }
    Ok(())
}

/// The e-mail address, or what is nearest to it and nobody else's.
fn free_name(db: &Connection, who: &Practitioner) -> Result<String, StoreError> {
    let email = who.email.as_deref().and_then(|email| parse_name(email).ok());
    let wanted = email.unwrap_or_else(|| format!("JHE user {}", who.user));
    let mut name = wanted.clone();
    for number in 1.. {
        if account::find_name(db, &name)?.is_none_or(|other| other.jhe_user == Some(who.user)) {
            break;
        }
        name = if number == 1 { format!("{wanted} (JHE)") } else { format!("{wanted} (JHE {number})") };
    }
    Ok(name)
}
