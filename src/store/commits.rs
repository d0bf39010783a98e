//! Commit numbers: one for each transaction that changes samples.
//!
//! Observations and revisions carry the number of the transaction that last changed them, so that a reader who
//! remembers a number finds everything that changed since.

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use crate::time::Timestamp;

/// Numbers that a restore skips: more than a store gives between two backups, so that no number of what is lost is
/// given again.
const SKIPPED_BY_RESTORE: i64 = 1_000_000;

/// Creates the table that holds the number of the open transaction. It is a temporary table, since a number has to be
/// forgotten when the savepoint that drew it is rolled back.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("CREATE TEMP TABLE open_commit (number INTEGER NOT NULL)")
}

/// Forgets the number of the transaction before this one.
pub(super) fn begin_transaction(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM temp.open_commit")?.execute([]).map(drop)
}

/// Returns the number of the open transaction; the first call inserts its row. `run` is the run that changes the
/// samples. There is at most one per transaction: a run takes the lock in a transaction before its first samples, and
/// the run before cannot commit after that.
pub(super) fn number(db: &Connection, run: Option<i64>, now: Timestamp) -> Result<i64, StoreError> {
    let mut open = db.prepare_cached("SELECT number FROM temp.open_commit")?;
    if let Some(number) = open.query_row([], |row| row.get(0)).optional()? {
        if run.is_some() {
            // An erasure may have drawn the number in the same transaction.
            db.prepare_cached("UPDATE commits SET run_id = ?2 WHERE number = ?1 AND run_id IS NULL")?
                .execute(params![number, run])?;
        }
        return Ok(number);
    }
    let number = db
        .prepare_cached("INSERT INTO commits (instant, run_id) VALUES (?, ?)")?
        .insert(params![now, run])?;
    db.prepare_cached("INSERT INTO temp.open_commit (number) VALUES (?)")?.execute([number])?;
    Ok(number)
}

/// Inserts a commit for a restore, whose number is above all that the replaced store gave.
pub(super) fn restored(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO commits (number, instant) SELECT coalesce(max(number), 0) + ?, ? FROM commits",
        params![SKIPPED_BY_RESTORE, now],
    )?;
    Ok(())
}
