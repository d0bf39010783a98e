//! Accounts of practitioners who sign in through JHE, and their organizations there.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::account::{AccountId, Actor, Role};
use crate::model::audit_detail::AuditDetail;
use crate::model::{jhe_practitioner::Practitioner, patient::parse_name};
use crate::store::people::account;
use crate::store::people::session::{self, Holder};
use crate::store::{error::StoreResult, privacy::audit};

/// Creates or updates the account of a JHE practitioner. A local account of the same name stays separate.
pub fn upsert(db: &Connection, who: &Practitioner, now: Timestamp) -> StoreResult<AccountId> {
    let known = account::find_by_jhe_user(db, who.user)?;
    let name = choose_name(db, who)?;
    let id = if let Some(known) = &known {
        db.execute("UPDATE accounts SET name = ? WHERE id = ?", params![name, known.id])?;
        known.id
    } else {
        let insert = "INSERT INTO accounts (name, role, created_at, jhe_user_id) VALUES (?, 'viewer', ?, ?)";
        db.execute(insert, params![name, now, who.user])?;
        AccountId(db.last_insert_rowid())
    };
    replace_organizations(db, id, who)?;
    let role = who.memberships.iter().map(|one| one.role).max().unwrap_or(Role::Viewer);
    let action = match known {
        None => Some("account.add"),
        Some(known) => (known.role != role).then_some("account.change"),
    };
    if let Some(action) = action {
        audit::record(
            db,
            now,
            Actor::Account(id),
            action,
            None,
            AuditDetail::from("account").with(id).with(role).with("by JHE"),
        )?;
    }
    Ok(id)
}

/// Removes a practitioner who is in no organization any more from all organizations and ends the sessions.
pub fn revoke_access(db: &Connection, who: &Practitioner) -> StoreResult<()> {
    if let Some(known) = account::find_by_jhe_user(db, who.user)? {
        replace_organizations(db, known.id, who)?;
        session::delete_all(db, Holder::Account(known.id))?;
    }
    Ok(())
}

fn replace_organizations(db: &Connection, id: AccountId, who: &Practitioner) -> StoreResult<()> {
    db.execute("DELETE FROM account_organizations WHERE account_id = ?", [id])?;
    let insert = "INSERT INTO account_organizations (account_id, jhe_organization_id, role) VALUES (?, ?, ?)
         ON CONFLICT DO NOTHING";
    let mut add = db.prepare_cached(insert)?;
    for one in &who.memberships {
        add.execute(params![id, one.organization, one.role])?;
    }
    Ok(())
}

/// Returns the e-mail address, with a suffix if another account has that name.
fn choose_name(db: &Connection, who: &Practitioner) -> StoreResult<String> {
    let email = who.email.as_deref().and_then(|email| parse_name(email).ok());
    let wanted = email.unwrap_or_else(|| format!("JHE user {}", who.user));
    let mut name = wanted.clone();
    for number in 1.. {
        if account::find_by_name(db, &name)?.is_none_or(|other| other.jhe_user == Some(who.user)) {
            break;
        }
        name = if number == 1 { format!("{wanted} (JHE)") } else { format!("{wanted} (JHE {number})") };
    }
    Ok(name)
}
