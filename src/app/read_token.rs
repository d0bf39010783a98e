//! Tokens with which a program reads one study.

use std::time::Duration;

use crate::common::{failure::Failure, time::Timestamp};
use crate::model::account::{AccountId, Actor};
use crate::model::audit_detail::AuditDetail;
use crate::model::study::StudyId;
use crate::secrets::token::Token;
use crate::store::engine::store::Store;
use crate::store::error::StoreResult;
use crate::store::people::api_token::{self, NewStudyToken};
use crate::store::privacy::audit;

/// The longest life of a token.
pub(crate) const LONGEST_LIFE: Duration = Duration::from_hours(24 * 366);

/// A token to make.
#[derive(Debug, Clone)]
pub(crate) struct ReadToken {
    pub(crate) study: StudyId,
    /// The program's name, as a person entered it.
    pub(crate) name: String,
    pub(crate) life: Duration,
    pub(crate) shows_names: bool,
}

/// Makes a token and returns it with its expiry. Only its hash is stored.
pub(crate) async fn make(
    store: &Store,
    wanted: ReadToken,
    actor: Actor,
    now: Timestamp,
) -> Result<(Token, Timestamp), Failure> {
    let ReadToken { study, name, life, shows_names } = wanted;
    let (token, expires) = (Token::generate()?, now.plus(life.min(LONGEST_LIFE)));
    let created_by: Option<AccountId> = match actor {
        Actor::Account(id) => Some(id),
        _ => None,
    };
    let new = NewStudyToken { hash: token.hash(), study, name, created_by, expires, shows_names };
    let write = move |db: &_| {
        let id = api_token::insert_of_study(db, &new, now)?;
        let names = if shows_names { "with names" } else { "without names" };
        let detail = AuditDetail::from("study").with(study).with("token").with(id).with(names);
        audit::record(db, now, actor, "read-token.make", None, detail)
    };
    store.write(write).await?;
    Ok((token, expires))
}

/// Revokes a token. Returns false if the study has no such token that works.
pub(crate) fn revoke(
    db: &rusqlite::Connection,
    study: StudyId,
    id: i64,
    actor: Actor,
    now: Timestamp,
) -> StoreResult<bool> {
    let is_revoked = api_token::revoke_of_study(db, study, id, now)?;
    if is_revoked {
        let detail = AuditDetail::from("study").with(study).with("token").with(id);
        audit::record(db, now, actor, "read-token.revoke", None, detail)?;
    }
    Ok(is_revoked)
}
