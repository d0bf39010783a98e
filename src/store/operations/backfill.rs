//! Reads of the past that somebody asked for: how far each came, so that one that was killed goes on.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::consent_intervals::Interval;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;

/// A backfill that began and did not end is taken up again by the same question within this time; after
/// it, "90 days" means other days.
const RESUMED_WITHIN: std::time::Duration = std::time::Duration::from_hours(24);

/// From which end a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The oldest first.
    Oldest,
    /// The newest first.
    Newest,
}

/// What is left to read of a patient's backfill, which begins here where it did not before.
///
/// # Errors
/// Where the table cannot be read or written.
pub fn begin(
    db: &Connection,
    patient: PatientId,
    asked: &str,
    range: Interval,
    from: From,
    now: Timestamp,
) -> Result<Interval, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT since, read_until, until FROM backfills WHERE patient_id = ? AND request = ? AND started_at >= ?",
    )?;
    let unfinished = query
        .query_row(params![patient, asked, now.minus(RESUMED_WITHIN)], |row| match from {
            From::Oldest => Ok(Interval { from: row.get(1)?, until: row.get(2)? }),
            From::Newest => Ok(Interval { from: row.get(0)?, until: row.get(1)? }),
        })
        .optional()?;
    if let Some(rest) = unfinished {
        return Ok(rest);
    }
    let position = match from {
        From::Oldest => range.from,
        From::Newest => range.until,
    };
    db.execute(
        "INSERT OR REPLACE INTO backfills (patient_id, request, since, until, read_until, started_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![patient, asked, range.from, range.until, position, now],
    )?;
    Ok(range)
}

/// Notes what is left of a backfill; one of which nothing is left is forgotten.
///
/// # Errors
/// Where the table cannot be written.
pub fn advance(
    db: &Connection,
    patient: PatientId,
    asked: &str,
    rest: Interval,
    from: From,
) -> Result<(), StoreError> {
    if rest.from >= rest.until {
        db.prepare_cached("DELETE FROM backfills WHERE patient_id = ? AND request = ?")?
            .execute(params![patient, asked])?;
        return Ok(());
    }
    let position = match from {
        From::Oldest => rest.from,
        From::Newest => rest.until,
    };
    db.prepare_cached("UPDATE backfills SET read_until = ? WHERE patient_id = ? AND request = ?")?
        .execute(params![position, patient, asked])?;
    Ok(())
}
