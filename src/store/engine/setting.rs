//! The settings that an operator changes at run time, one row each.

use rusqlite::{Connection, OptionalExtension, params};

use crate::config::settings::Settings;
use crate::store::error::StoreResult;

pub fn read_all(db: &Connection) -> StoreResult<Settings> {
    let mut query = db.prepare_cached("SELECT key, value FROM settings")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Settings::new(rows.collect::<Result<Vec<_>, _>>()?))
}

/// Returns the stored value; none if the default applies.
pub fn get(db: &Connection, key: &str) -> StoreResult<Option<String>> {
    let mut query = db.prepare_cached("SELECT value FROM settings WHERE key = ?")?;
    Ok(query.query_row([key], |row| row.get(0)).optional()?)
}

pub fn set(db: &Connection, key: &str, value: &str) -> StoreResult<()> {
    db.prepare_cached(
        "INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
    )?
    .execute(params![key, value])?;
    Ok(())
}

/// Resets a setting to its default; returns true if it had another value.
pub fn unset(db: &Connection, key: &str) -> StoreResult<bool> {
    Ok(db.execute("DELETE FROM settings WHERE key = ?", [key])? > 0)
}
