//! Samples that could not be converted, with their text and the reason.

use rusqlite::{Connection, params};
use serde_json::Value;

use crate::common::time::Timestamp;
use crate::config::settings::IngestMode;
use crate::model::account::{Role, VisibleTo};
use crate::model::stream_key::{StreamKey, StreamOwner};
use crate::model::{patient::PatientId, sample::Sample};
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

/// Deletes the entries of records that are stored now: a night that had no end, or a systolic value without its
/// partner. An event is recognized by its id, under whichever series type it was rejected; another record by its
/// instant and source. Entries of records that were `rejected_again` stay.
pub(crate) fn delete_stored(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
    stored: &[Sample],
    rejected_again: &[Rejected],
) -> StoreResult<()> {
    let of_type = "SELECT id, series_type, sample FROM rejected_samples
         WHERE patient_id = ? AND system = ? AND series_type = ?";
    let of_all = "SELECT id, series_type, sample FROM rejected_samples
         WHERE patient_id = ? AND system = ? AND ? <> ''";
    let has_events = stored.iter().any(|sample| sample.event().is_some());
    let mut query = db.prepare_cached(if has_events { of_all } else { of_type })?;
    let entries = query
        .query_map(params![owner.patient, owner.system, key.series_type], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<Vec<(i64, String, String)>, _>>()?;
    for (id, series_type, text) in entries {
        let is_again = |one: &Rejected| one.series_type == series_type && one.sample == text;
        let is_stored = stored.iter().any(|sample| match sample.event() {
            // The text may have been cut, and is then no JSON.
            Some(event) => text.contains(&format!("\"{event}\"")),
            None => false,
        }) || (series_type == key.series_type
            && is_same_source_and_instant(owner, key, stored, &text));
        if is_stored && !rejected_again.iter().any(is_again) {
            db.prepare_cached("DELETE FROM rejected_samples WHERE id = ?")?.execute([id])?;
        }
    }
    Ok(())
}

fn is_same_source_and_instant(owner: &StreamOwner, key: &StreamKey, stored: &[Sample], text: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    let part = |name: &str| value[name].as_str().unwrap_or_default();
    let is_same_source = owner.system == IngestMode::Raw.system()
        || (part("provider"), part("source"), part("device"))
            == (key.provider.as_str(), key.source.as_str(), key.device.as_str());
    is_same_source
        && Timestamp::parse(part("timestamp"))
            .is_ok_and(|instant| stored.binary_search_by_key(&instant, |sample| sample.instant).is_ok())
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
        visibility::patient_condition("patient_id", 4, Role::Coordinator),
        withdrawal::visible_sample_condition(4)
    ))?;
    let entries = query.query_map(params![patient, before, limit, viewer], |row| {
        let (id, patient, series_type, reason, sample, first_seen, last_seen) = row.try_into()?;
        let rejected = Rejected { series_type, reason, sample };
        Ok(RejectedEntry { id, patient, rejected, first_seen, last_seen })
    })?;
    Ok(entries.collect::<Result<_, _>>()?)
}
