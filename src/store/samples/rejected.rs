//! Samples that could not be converted, with their text and the reason.

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::common::time::Timestamp;
use crate::model::stream_key::{StreamKey, StreamOwner};
use crate::model::{account::VisibleTo, patient::PatientId, sample::Sample};
use crate::store::{error::StoreResult, people::visibility, privacy::withdrawal};

/// Number of rejected samples that one patient keeps; the oldest are deleted. Enough to see a pattern, and a
/// broken provider cannot fill the disk.
pub const MAX_PER_PATIENT: i64 = 1000;

/// End of the reason of an unpaired systolic or diastolic value. Its entry is deleted once its partner
/// arrives.
pub const UNPAIRED_REASON_END: &str = "both are stored once it arrives";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The OW series type that was requested.
    pub series_type: String,
    pub reason: String,
    /// The sample as it came; long ones are cut.
    pub sample: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedEntry {
    pub id: i64,
    pub patient: PatientId,
    pub rejected: Rejected,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// Inserts or updates a rejected sample and returns true if it is new.
pub fn save(
    db: &Connection,
    patient: PatientId,
    system: &str,
    rejected: &Rejected,
    now: Timestamp,
) -> StoreResult<bool> {
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
        "INSERT INTO rejected_samples (patient_id, system, series_type, reason, sample, first_seen_at,
         last_seen_at)
         VALUES (?, ?, ?, ?, ?, ?6, ?6)",
    )?
    .execute(params![patient, system, rejected.series_type, rejected.reason, rejected.sample, now])?;
    Ok(true)
}

/// Deletes the entries of unpaired values whose pair is stored now. Both values of a pair have the same
/// instant and source.
pub(crate) fn delete_paired(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
    stored: &[Sample],
) -> StoreResult<()> {
    let select = "SELECT id, sample FROM rejected_samples
         WHERE patient_id = ? AND system = ? AND series_type = ? AND reason LIKE '%' || ?";
    let mut query = db.prepare_cached(select)?;
    let unpaired = query
        .query_map(params![owner.patient, owner.system, key.series_type, UNPAIRED_REASON_END], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, text) in unpaired {
        // Cut texts are no valid JSON; their entries stay until they are trimmed.
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        let part = |name: &str| value[name].as_str().unwrap_or_default();
        let is_paired = part("provider") == key.provider
            && part("source") == key.source
            && part("device") == key.device
            && Timestamp::parse(part("timestamp"))
                .is_ok_and(|instant| stored.binary_search_by_key(&instant, |sample| sample.instant).is_ok());
        if is_paired {
            db.prepare_cached("DELETE FROM rejected_samples WHERE id = ?")?.execute([id])?;
        }
    }
    Ok(())
}

/// Deletes the oldest rejected samples of a patient above [`MAX_PER_PATIENT`].
pub fn trim(db: &Connection, patient: PatientId) -> StoreResult<()> {
    let delete = "DELETE FROM rejected_samples WHERE id IN
         (SELECT id FROM rejected_samples WHERE patient_id = ?
         ORDER BY last_seen_at DESC, id DESC LIMIT -1 OFFSET ?)";
    db.prepare_cached(delete)?.execute(params![patient, MAX_PER_PATIENT])?;
    Ok(())
}

/// Lists visible rejected samples with an id below `before`, newest first.
pub fn list(
    db: &Connection,
    viewer: VisibleTo,
    patient: Option<PatientId>,
    before: Option<i64>,
    limit: u32,
) -> StoreResult<Vec<RejectedEntry>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT id, patient_id, series_type, reason, sample, first_seen_at, last_seen_at FROM rejected_samples
         WHERE (?1 IS NULL OR patient_id = ?1) AND id < coalesce(?2, 9223372036854775807) AND {} AND {}
         ORDER BY id DESC LIMIT ?3",
        visibility::patient_condition("patient_id", 4),
        withdrawal::visible_sample_condition()
    ))?;
    let entries = query.query_map(params![patient, before, limit, viewer], |row| {
        let (id, patient, series_type, reason, sample, first_seen, last_seen) = row.try_into()?;
        let rejected = Rejected { series_type, reason, sample };
        Ok(RejectedEntry { id, patient, rejected, first_seen, last_seen })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}
