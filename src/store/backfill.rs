//! Reads of the past that somebody asked for: how far each came, so that one that was killed goes on.

use rusqlite::{Connection, OptionalExtension, params};

use super::StoreError;
use crate::intervals::Interval;
use crate::patient::PatientId;
use crate::time::Timestamp;

/// A backfill that began and did not end is taken up again by the same question within this time; after
/// it, "90 days" means other days.
const RESUMED_WITHIN: std::time::Duration = std::time::Duration::from_hours(24);

/// What is left to read of a patient's backfill, which begins here where it did not before.
///
/// # Errors
/// Where the table cannot be read or written.
pub fn begin(
    db: &Connection,
    patient: PatientId,
    asked: &str,
    range: Interval,
    now: Timestamp,
) -> Result<Interval, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT position, until FROM backfill WHERE patient = ? AND asked = ? AND started_at >= ?",
    )?;
    let unfinished = query
        .query_row(params![patient, asked, now.minus(RESUMED_WITHIN)], |row| {
            Ok(Interval { from: row.get(0)?, until: row.get(1)? })
        })
        .optional()?;
    if let Some(rest) = unfinished {
        return Ok(rest);
    }
    db.execute(
        "INSERT OR REPLACE INTO backfill (patient, asked, since, until, position, started_at)
         VALUES (?1, ?2, ?3, ?4, ?3, ?5)",
        params![patient, asked, range.from, range.until, now],
    )?;
    Ok(range)
}

/// Notes that a backfill has come to `position`; one that has come to its end is forgotten.
///
/// # Errors
/// Where the table cannot be written.
pub fn advance(
    db: &Connection,
    patient: PatientId,
    asked: &str,
    position: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE backfill SET position = max(position, ?3) WHERE patient = ?1 AND asked = ?2")?
        .execute(params![patient, asked, position])?;
    db.prepare_cached("DELETE FROM backfill WHERE patient = ?1 AND asked = ?2 AND position >= until")?
        .execute(params![patient, asked])?;
    Ok(())
}
