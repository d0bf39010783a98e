//! Counters over the whole life of the store, by name.

use rusqlite::{Connection, OptionalExtension, params};

use crate::store::error::StoreResult;

pub(crate) fn add(db: &Connection, name: &str, by: u64) -> StoreResult<()> {
    if by == 0 {
        return Ok(());
    }
    let by = i64::try_from(by).unwrap_or(i64::MAX);
    let insert = "INSERT INTO counters (name, value) VALUES (?, ?)
         ON CONFLICT DO UPDATE SET value = value + excluded.value";
    db.prepare_cached(insert)?.execute(params![name, by])?;
    Ok(())
}

pub(crate) fn set(db: &Connection, name: &str, value: i64) -> StoreResult<()> {
    let insert = "INSERT INTO counters (name, value) VALUES (?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value";
    db.prepare_cached(insert)?.execute(params![name, value])?;
    Ok(())
}

/// Returns a counter; none if nothing has set it.
pub(crate) fn find(db: &Connection, name: &str) -> StoreResult<Option<i64>> {
    let mut query = db.prepare_cached("SELECT value FROM counters WHERE name = ?")?;
    Ok(query.query_row([name], |row| row.get(0)).optional()?)
}
