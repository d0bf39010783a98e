//! The history of runs: ticks, polls of some patients, and backfills.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::commit_counts::CommitCounts;
use crate::store::error::StoreResult;
use crate::store::operations::tick_lock::{self, RunKind};

const RETENTION: Duration = Duration::from_hours(90 * 24);

/// A recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollRun {
    pub started: Timestamp,
    /// None while it runs, or if it was killed.
    pub ended: Option<Timestamp>,
    /// The sentence that `jhe-ow poll` prints.
    pub outcome: Option<String>,
    pub patients: i64,
    pub failed: i64,
    pub created: i64,
}

/// Inserts a run of the lock's owner and returns its id.
pub fn insert(db: &Connection, kind: RunKind, mode: &str, now: Timestamp) -> StoreResult<i64> {
    db.execute("DELETE FROM runs WHERE started_at < ?", [now.minus(RETENTION)])?;
    db.execute(
        "INSERT INTO runs (kind, mode, started_at) VALUES (?, ?, ?)",
        params![kind.as_str(), mode, now],
    )?;
    let run = db.last_insert_rowid();
    tick_lock::set_run(db, run)?;
    Ok(run)
}

/// Records the end of a run.
pub fn finish(
    db: &Connection,
    run: i64,
    outcome: &str,
    patients: u64,
    failed: u64,
    counts: &CommitCounts,
    now: Timestamp,
) -> StoreResult<()> {
    let integer = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let [patients, failed, created, revised, rejected] =
        [patients, failed, counts.created, counts.revised, counts.rejected].map(integer);
    db.execute(
        "UPDATE runs SET ended_at = ?2, outcome = ?3, patients = ?4, failed_patients = ?5, created = ?6,
                         revised = ?7, rejected = ?8 WHERE id = ?1",
        params![run, now, outcome, patients, failed, created, revised, rejected],
    )?;
    Ok(())
}

/// Returns the last tick that ended. Backfills and polls of some patients say nothing about the ticks.
pub fn find_last_tick(db: &Connection) -> StoreResult<Option<PollRun>> {
    let mut query = db.prepare_cached(
        "SELECT started_at, ended_at, outcome, patients, failed_patients, created FROM runs
         WHERE ended_at IS NOT NULL AND kind = ? ORDER BY id DESC LIMIT 1",
    )?;
    let run = query.query_row([RunKind::Tick.as_str()], |row| {
        Ok(PollRun {
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
