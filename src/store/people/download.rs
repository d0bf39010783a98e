//! The data sets that people took from a study.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::study::StudyId;
use crate::store::error::StoreResult;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    pub at: Timestamp,
    /// The account's name; none for the command line.
    pub by: Option<String>,
    /// The commit that it begins after; none for everything.
    pub since: Option<i64>,
    pub last_commit: i64,
}

pub fn record(
    db: &Connection,
    study: StudyId,
    who: Actor,
    since: Option<i64>,
    last_commit: i64,
    now: Timestamp,
) -> StoreResult<()> {
    let account = if let Actor::Account(id) = who { Some(id) } else { None };
    let insert =
        "INSERT INTO study_downloads (study_id, account_id, downloaded_at, since_commit, last_commit)
         VALUES (?, ?, ?, ?, ?)";
    db.execute(insert, params![study, account, now, since, last_commit])?;
    Ok(())
}

/// Lists the last downloads of a study, the newest first.
pub fn list(db: &Connection, study: StudyId, limit: u32) -> StoreResult<Vec<Download>> {
    let mut query = db.prepare_cached(
        "SELECT downloaded_at, accounts.name, since_commit, last_commit FROM study_downloads
         LEFT JOIN accounts ON accounts.id = account_id WHERE study_id = ? ORDER BY study_downloads.id DESC LIMIT ?",
    )?;
    let rows = query.query_map(params![study, limit], |row| {
        Ok(Download { at: row.get(0)?, by: row.get(1)?, since: row.get(2)?, last_commit: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
