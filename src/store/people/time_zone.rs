//! The time zones of patients: set by the patient or an operator, or adopted from a study.

use rusqlite::{Connection, params};

use crate::common::time::{Timestamp, ZoneOffset, offset_at, time_zone_or_utc};
use crate::model::{patient::PatientId, study::StudyId};
use crate::store::error::StoreResult;
use crate::store::operations::window_change;
use crate::store::samples::{reframe, sample_offsets};

/// A patient's time zone, and those that may fit better.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientTimeZone {
    /// IANA name or fixed offset.
    pub zone: String,
    /// True if the patient or an operator has set it.
    pub is_set: bool,
    /// The zones of the patient's studies, the oldest study first.
    pub of_studies: Vec<String>,
    /// The offset that the samples of three days carried, where the zone has another.
    pub contradicting: Option<ZoneOffset>,
}

impl PatientTimeZone {
    /// Returns the zone that a form proposes. A study's zone is a better guess than one that nobody set.
    pub fn proposed(&self) -> &str {
        let chosen = self.of_studies.iter().find(|zone| *zone != DEFAULT);
        chosen.filter(|_| !self.is_set && self.zone == DEFAULT).unwrap_or(&self.zone)
    }

    /// Returns the zone that agrees with the samples: a study's, or else a fixed offset; none if the zone agrees.
    pub fn correction(&self, now: Timestamp) -> Option<String> {
        let offset = self.contradicting?;
        let fits = |zone: &&String| offset_at(&time_zone_or_utc(zone), now) == offset;
        Some(self.of_studies.iter().find(fits).cloned().unwrap_or_else(|| offset.zone_name()))
    }
}

/// The zone of a study and of a patient until somebody sets another.
const DEFAULT: &str = "UTC";

pub fn find(db: &Connection, patient: PatientId) -> StoreResult<PatientTimeZone> {
    let select = "SELECT time_zone, time_zone_set_at IS NOT NULL, contradicting_offset FROM patients
         LEFT JOIN sync_status ON patient_id = id WHERE id = ?";
    let (zone, is_set, contradicting) =
        db.prepare_cached(select)?.query_row([patient], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let select = "SELECT time_zone FROM studies JOIN enrolments ON study_id = id WHERE patient_id = ?
         GROUP BY time_zone ORDER BY min(id)";
    let mut query = db.prepare_cached(select)?;
    let of_studies = query.query_map([patient], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(PatientTimeZone { zone, is_set, of_studies, contradicting })
}

/// Sets a patient's time zone. Days that the former zone framed get their frames in the new one, as revisions.
/// Returns the number of these.
pub fn set(db: &Connection, patient: PatientId, zone: &str, now: Timestamp) -> StoreResult<usize> {
    db.execute("UPDATE patients SET time_zone_set_at = ? WHERE id = ?", params![now, patient])?;
    replace(db, patient, zone, now)
}

/// Gives a patient the study's time zone, unless the patient or an operator has set one.
pub(crate) fn adopt(db: &Connection, patient: PatientId, study: StudyId, now: Timestamp) -> StoreResult<()> {
    let select = "SELECT studies.time_zone, time_zone_set_at IS NOT NULL FROM studies, patients
         WHERE studies.id = ? AND patients.id = ?";
    let (zone, is_set): (String, bool) = db
        .prepare_cached(select)?
        .query_row(params![study, patient], |row| Ok((row.get(0)?, row.get(1)?)))?;
    // A study for which nobody has set a zone does not undo the zone of another one.
    if !is_set && zone != DEFAULT {
        replace(db, patient, &zone, now)?;
    }
    Ok(())
}

fn replace(db: &Connection, patient: PatientId, zone: &str, now: Timestamp) -> StoreResult<usize> {
    let update = "UPDATE patients SET time_zone = ?2 WHERE id = ?1 AND time_zone <> ?2";
    if db.execute(update, params![patient, zone])? == 0 {
        return Ok(0);
    }
    window_change::apply(db, patient, now)?;
    sample_offsets::check(db, patient, now)?;
    reframe::reframe(db, patient, &time_zone_or_utc(zone), now)
}
