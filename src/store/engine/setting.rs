//! The settings that an operator flips at run time, as rows.

use rusqlite::{Connection, OptionalExtension, params};

use crate::config::settings::Snapshot;
use crate::store::error::StoreError;

/// Reads the settings as they are now.
///
/// # Errors
/// Where the table cannot be read.
pub fn all(db: &Connection) -> Result<Snapshot, StoreError> {
    let mut query = db.prepare_cached("SELECT key, value FROM settings")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Snapshot::new(rows.collect::<Result<Vec<_>, _>>()?))
}

/// The value of one setting, where it was set.
///
/// # Errors
/// Where the table cannot be read.
pub fn get(db: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    let mut query = db.prepare_cached("SELECT value FROM settings WHERE key = ?")?;
    Ok(query.query_row([key], |row| row.get(0)).optional()?)
}

/// Sets one setting.
///
/// # Errors
/// Where it cannot be written.
pub fn set(db: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute(params![key, value])?;
    Ok(())
}

/// Puts one setting back to its default; answers whether it was set.
///
/// # Errors
/// Where it cannot be written.
pub fn unset(db: &Connection, key: &str) -> Result<bool, StoreError> {
    Ok(db.execute("DELETE FROM settings WHERE key = ?", [key])? > 0)
}
