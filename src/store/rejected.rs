//! Samples that could not be converted: kept with their text and the reason, so that nothing vanishes.

use rusqlite::{Connection, params};

use super::{StoreError, reach};
use crate::account::Reach;
use crate::patient::PatientId;
use crate::time::Timestamp;

/// How many rejected samples are kept of one patient; the oldest give way. Enough to see a pattern, and
/// a broken provider cannot fill the disk.
pub const KEPT_PER_PATIENT: i64 = 1000;

/// A sample that could not be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// OW's series type that was asked for.
    pub series_type: String,
    /// Why.
    pub reason: String,
    /// The sample as it came, cut where it is very long.
    pub sample: String,
}

/// A rejected sample as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number; later ones are higher.
    pub id: i64,
    /// Whose.
    pub patient: PatientId,
    /// What was rejected, and why.
    pub rejected: Rejected,
    /// When it was first met.
    pub first_seen: Timestamp,
    /// When it was last met.
    pub last_seen: Timestamp,
}

/// Keeps a rejected sample; answers whether it had not been met before.
///
/// # Errors
/// Where it cannot be written.
pub fn keep(
    db: &Connection,
    patient: PatientId,
    system: &str,
    rejected: &Rejected,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let known = db
        .prepare_cached(
            "UPDATE rejected SET last_seen = max(last_seen, ?5), reason = ?6
             WHERE patient = ?1 AND system = ?2 AND series_type = ?3 AND sample = ?4",
        )?
        .execute(params![patient, system, rejected.series_type, rejected.sample, now, rejected.reason])?;
    if known > 0 {
        return Ok(false);
    }
    db.prepare_cached(
        "INSERT INTO rejected (patient, system, series_type, reason, sample, first_seen, last_seen)
         VALUES (?, ?, ?, ?, ?, ?6, ?6)",
    )?
    .execute(params![patient, system, rejected.series_type, rejected.reason, rejected.sample, now])?;
    Ok(true)
}

/// Lets the oldest rejected samples of a patient go, past [`KEPT_PER_PATIENT`].
///
/// # Errors
/// Where the table cannot be written.
pub fn trim(db: &Connection, patient: PatientId) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM rejected WHERE id IN
         (SELECT id FROM rejected WHERE patient = ? ORDER BY last_seen DESC, id DESC LIMIT -1 OFFSET ?)",
    )?
    .execute(params![patient, KEPT_PER_PATIENT])?;
    Ok(())
}

/// The rejected samples of one patient or of all within reach before the number `before`, newest first.
///
/// # Errors
/// Where the table cannot be read.
pub fn page(
    db: &Connection,
    reach: Reach,
    patient: Option<PatientId>,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Entry>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT id, patient, series_type, reason, sample, first_seen, last_seen FROM rejected
         WHERE (?1 IS NULL OR patient = ?1) AND id < coalesce(?2, 9223372036854775807) AND {}
         ORDER BY id DESC LIMIT ?3",
        reach::of_patients("patient", 4)
    ))?;
    let entries = query.query_map(params![patient, before, limit, reach], |row| {
        let rejected = Rejected { series_type: row.get(2)?, reason: row.get(3)?, sample: row.get(4)? };
        Ok(Entry {
            id: row.get(0)?,
            patient: row.get(1)?,
            rejected,
            first_seen: row.get(5)?,
            last_seen: row.get(6)?,
        })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}
