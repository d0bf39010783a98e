//! Samples that could not be converted: kept with their text and the reason, so that nothing vanishes.

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::common::time::Timestamp;
use crate::model::account::Reach;
use crate::model::patient::PatientId;
use crate::model::sample::Sample;
use crate::model::stream_key::{Owner, StreamKey};
use crate::store::error::StoreError;
use crate::store::people::visibility;
use crate::store::privacy::withdrawal;

/// How many rejected samples are kept of one patient; the oldest give way. Enough to see a pattern, and
/// a broken provider cannot fill the disk.
pub const KEPT_PER_PATIENT: i64 = 1000;

/// How the reason ends where half of a sample waits for the other half: its entry goes once both are kept.
pub const WAITS: &str = "once that comes, both are kept";

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
            "UPDATE rejected_samples SET last_seen_at = max(last_seen_at, ?5), reason = ?6
             WHERE patient_id = ?1 AND system = ?2 AND series_type = ?3 AND sample = ?4",
        )?
        .execute(params![patient, system, rejected.series_type, rejected.sample, now, rejected.reason])?;
    if known > 0 {
        return Ok(false);
    }
    db.prepare_cached(
        "INSERT INTO rejected_samples (patient_id, system, series_type, reason, sample, first_seen_at, last_seen_at)
         VALUES (?, ?, ?, ?, ?, ?6, ?6)",
    )?
    .execute(params![patient, system, rejected.series_type, rejected.reason, rejected.sample, now])?;
    Ok(true)
}

/// Lets go of the halves that wait no longer: the samples that they are halves of are kept now. Both halves say the same
/// about the instant and about where they come from.
///
/// # Errors
/// Where the table cannot be read or written.
pub(crate) fn let_go(
    db: &Connection,
    owner: &Owner,
    key: &StreamKey,
    kept: &[Sample],
) -> Result<(), StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, sample FROM rejected_samples
         WHERE patient_id = ? AND system = ? AND series_type = ? AND reason LIKE '%' || ?",
    )?;
    let waiting = query
        .query_map(params![owner.patient, owner.system, key.series_type, WAITS], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, text) in waiting {
        // A text that was cut is no JSON any more, and stays.
        let half: Value = serde_json::from_str(&text).unwrap_or_default();
        let part = |name: &str| half[name].as_str().unwrap_or_default();
        let is_its = part("provider") == key.provider
            && part("source") == key.source
            && part("device") == key.device
            && Timestamp::parse(part("timestamp"))
                .is_ok_and(|instant| kept.binary_search_by_key(&instant, |sample| sample.instant).is_ok());
        if is_its {
            db.prepare_cached("DELETE FROM rejected_samples WHERE id = ?")?.execute([id])?;
        }
    }
    Ok(())
}

/// Lets the oldest rejected samples of a patient go, past [`KEPT_PER_PATIENT`].
///
/// # Errors
/// Where the table cannot be written.
pub fn trim(db: &Connection, patient: PatientId) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM rejected_samples WHERE id IN
         (SELECT id FROM rejected_samples WHERE patient_id = ? ORDER BY last_seen_at DESC, id DESC LIMIT -1 OFFSET ?)",
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
        "SELECT id, patient_id, series_type, reason, sample, first_seen_at, last_seen_at FROM rejected_samples
         WHERE (?1 IS NULL OR patient_id = ?1) AND id < coalesce(?2, 9223372036854775807) AND {} AND {}
         ORDER BY id DESC LIMIT ?3",
        visibility::of_patients("patient_id", 4),
        withdrawal::is_sample_shown()
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
