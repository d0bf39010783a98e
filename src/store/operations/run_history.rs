//! The history of ticks, of polls of some patients, and of backfills.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::commit_counts::Tally;
use crate::store::error::StoreError;
use crate::store::operations::tick_lock;
use crate::store::operations::tick_lock::Kind;

/// How long the history reaches back.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// A poll that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// When it began.
    pub started: Timestamp,
    /// When it ended; none while it runs or where it was killed.
    pub ended: Option<Timestamp>,
    /// How it ended, in the words that a command-line poll prints.
    pub outcome: Option<String>,
    /// Patients that were read.
    pub patients: i64,
    /// Of them, those in error.
    pub failed: i64,
    /// New observations.
    pub created: i64,
}

/// Inserts a run of the lock's owner and returns its number.
///
/// # Errors
/// Where the row cannot be written.
pub fn begin(db: &Connection, kind: Kind, mode: &str, now: Timestamp) -> Result<i64, StoreError> {
    db.execute("DELETE FROM runs WHERE started_at < ?", [now.minus(KEPT)])?;
    db.execute(
        "INSERT INTO runs (kind, mode, started_at) VALUES (?, ?, ?)",
        params![kind.as_str(), mode, now],
    )?;
    let run = db.last_insert_rowid();
    tick_lock::set_run(db, run)?;
    Ok(run)
}

/// Notes how a poll ended.
///
/// # Errors
/// Where the row cannot be written.
pub fn end(
    db: &Connection,
    run: i64,
    outcome: &str,
    patients: u64,
    failed: u64,
    tally: &Tally,
    now: Timestamp,
) -> Result<(), StoreError> {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    db.execute(
        "UPDATE runs SET ended_at = ?2, outcome = ?3, patients = ?4, failed_patients = ?5, created = ?6, revised = ?7,
                        rejected = ?8 WHERE id = ?1",
        params![
            run,
            now,
            outcome,
            number(patients),
            number(failed),
            number(tally.created),
            number(tally.revised),
            number(tally.rejected)
        ],
    )?;
    Ok(())
}

/// The last tick that ended, where there is one. Neither a backfill nor a poll of some patients tells how the ticks are.
///
/// # Errors
/// Where the table cannot be read.
pub fn last(db: &Connection) -> Result<Option<Run>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT started_at, ended_at, outcome, patients, failed_patients, created FROM runs
         WHERE ended_at IS NOT NULL AND kind = ? ORDER BY id DESC LIMIT 1",
    )?;
    let run = query.query_row([Kind::Tick.as_str()], |row| {
        Ok(Run {
            started: row.get(0)?,
            ended: row.get(1)?,
            outcome: row.get(2)?,
            patients: row.get(3)?,
            failed: row.get(4)?,
            created: row.get(5)?,
        })
    });
    Ok(run.optional()?)
}
