//! The progress of backfills (requested reads of the past), so that an interrupted one resumes.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::{consent_intervals::Interval, patient::PatientId};
use crate::store::error::StoreResult;

/// A repeated request resumes an unfinished backfill within this time. Later, "90 days" means other days.
const RESUMED_WITHIN: Duration = Duration::from_hours(24);

/// The direction in which a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOrder {
    OldestFirst,
    NewestFirst,
}

impl ReadOrder {
    /// Returns the boundary between the read part and an unread range.
    fn read_until(self, unread: Interval) -> Timestamp {
        match self {
            Self::OldestFirst => unread.from,
            Self::NewestFirst => unread.until,
        }
    }
}

/// Starts or resumes a patient's backfill; returns the unread range.
pub fn start_or_resume(
    db: &Connection,
    patient: PatientId,
    request: &str,
    range: Interval,
    order: ReadOrder,
    now: Timestamp,
) -> StoreResult<Interval> {
    let mut query = db.prepare_cached(
        "SELECT since, read_until, until FROM backfills
         WHERE patient_id = ? AND request = ? AND started_at >= ?",
    )?;
    let unfinished = query
        .query_row(params![patient, request, now.minus(RESUMED_WITHIN)], |row| match order {
            ReadOrder::OldestFirst => Ok(Interval { from: row.get(1)?, until: row.get(2)? }),
            ReadOrder::NewestFirst => Ok(Interval { from: row.get(0)?, until: row.get(1)? }),
        })
        .optional()?;
    if let Some(rest) = unfinished {
        return Ok(rest);
    }
    db.execute(
        "INSERT OR REPLACE INTO backfills (patient_id, request, since, until, read_until, started_at)
         VALUES (?, ?, ?, ?, ?, ?)",
        params![patient, request, range.from, range.until, order.read_until(range), now],
    )?;
    Ok(range)
}

/// Records the unread rest of a backfill; deletes the backfill if nothing is left.
pub fn advance(
    db: &Connection,
    patient: PatientId,
    request: &str,
    rest: Interval,
    order: ReadOrder,
) -> StoreResult<()> {
    if rest.from >= rest.until {
        db.prepare_cached("DELETE FROM backfills WHERE patient_id = ? AND request = ?")?
            .execute(params![patient, request])?;
        return Ok(());
    }
    db.prepare_cached("UPDATE backfills SET read_until = ? WHERE patient_id = ? AND request = ?")?
        .execute(params![order.read_until(rest), patient, request])?;
    Ok(())
}
