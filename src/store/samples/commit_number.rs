//! Commit numbers: one for each transaction that changes samples.
//!
//! Observations and revisions carry the number of the transaction that last changed them, so that a reader
//! who remembers a number finds everything that changed since.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::store::error::StoreResult;

/// Gap that a restore leaves. It exceeds the commits between two backups, so that no number of a lost commit
/// is used again.
const SKIPPED_BY_RESTORE: i64 = 1_000_000;

/// Creates the table that holds the number of the open transaction. A temporary table rolls back with the
/// savepoint of a job, which a variable would not.
pub(crate) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("CREATE TEMP TABLE open_commit (number INTEGER NOT NULL)")
}

/// Forgets the number of the previous transaction.
pub(crate) fn begin_transaction(db: &Connection) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM temp.open_commit")?.execute([]).map(drop)
}

/// Returns the number of the open transaction; the first call inserts its row. `run` is the run that changes
/// the samples. A transaction has at most one run: a run takes the lock before its first samples, and after
/// that the run before it cannot commit.
pub(crate) fn assign(db: &Connection, run: Option<i64>, now: Timestamp) -> StoreResult<i64> {
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

/// Inserts a commit whose number is above all numbers of the replaced database.
pub(crate) fn skip_after_restore(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let insert = "INSERT INTO commits (number, instant) SELECT coalesce(max(number), 0) + ?, ? FROM commits";
    db.execute(insert, params![SKIPPED_BY_RESTORE, now])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    /// Opens a transaction as the writer does.
    fn begin(db: &Connection) {
        db.execute_batch("BEGIN IMMEDIATE").unwrap();
        begin_transaction(db).unwrap();
    }

    fn rows(db: &Connection) -> Vec<(i64, Option<i64>)> {
        let mut query = db.prepare("SELECT number, run_id FROM commits ORDER BY number").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn a_transaction_has_one_number_and_the_next_one_a_higher_one() {
        let db = in_memory();
        begin(&db);
        assert_eq!(
            (assign(&db, None, Timestamp::MIN).unwrap(), assign(&db, Some(4), Timestamp::MIN).unwrap()),
            (1, 1)
        );
        db.execute_batch("COMMIT").unwrap();
        begin(&db);
        db.execute_batch("COMMIT").unwrap();
        begin(&db);
        assert_eq!(
            (assign(&db, Some(5), Timestamp::MIN).unwrap(), assign(&db, None, Timestamp::MIN).unwrap()),
            (2, 2)
        );
        db.execute_batch("COMMIT").unwrap();
        assert_eq!(rows(&db), [(1, Some(4)), (2, Some(5))], "a transaction without samples has no row");
    }

    #[test]
    fn a_number_is_not_given_again_after_its_row_is_gone() {
        let db = in_memory();
        begin(&db);
        assign(&db, None, Timestamp::MIN).unwrap();
        db.execute_batch("COMMIT; DELETE FROM commits").unwrap();
        begin(&db);
        assert_eq!(assign(&db, None, Timestamp::MIN).unwrap(), 2);
        db.execute_batch("COMMIT").unwrap();
        skip_after_restore(&db, Timestamp::MIN).unwrap();
        begin(&db);
        assert_eq!(assign(&db, None, Timestamp::MIN).unwrap(), 2 + SKIPPED_BY_RESTORE + 1);
    }

    #[test]
    fn a_job_that_is_rolled_back_leaves_no_number_to_the_next_job_of_the_transaction() {
        let db = in_memory();
        begin(&db);
        db.execute_batch("SAVEPOINT job").unwrap();
        assign(&db, Some(4), Timestamp::MIN).unwrap();
        db.execute_batch("ROLLBACK TO job; RELEASE job").unwrap();
        assert_eq!(rows(&db), []);
        let number = assign(&db, None, Timestamp::MIN).unwrap();
        assert_eq!(rows(&db), [(number, None)]);
    }
}
