//! Days with data per patient, study and scope, for the adherence report.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, params};

use crate::common::time::{Timestamp, ZoneOffset, time_zone_or_utc};
use crate::model::adherence::{DayData, local_date_and_hour, partial_day_edges};
use crate::model::catalog::series::{self, SERIES};
use crate::model::consent_intervals::{ConsentIntervals, Grant, Interval};
use crate::model::day_totals;
use crate::model::{patient::PatientId, study::StudyId};
use crate::store::error::{StoreError, StoreResult};
use crate::store::samples::{commit, observation};
use crate::store::{people::consent, privacy::withdrawal};

/// A scope that a study asks a patient for, or that an operator recorded a consent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedScope {
    /// Id and name; none if an operator recorded the consent.
    pub study: Option<(StudyId, String)>,
    pub scope: String,
    pub grants: Vec<Grant>,
}

/// Lists the scopes that a patient is asked for and a wearable can deliver, of one study or of all.
pub fn list_requested(
    db: &Connection,
    patient: PatientId,
    study: Option<StudyId>,
) -> StoreResult<Vec<RequestedScope>> {
    let select = "SELECT studies.id, studies.name, codes.code, codes.id
         FROM enrolments JOIN studies ON studies.id = enrolments.study_id
         JOIN study_codes ON study_codes.study_id = studies.id
         JOIN codes ON codes.id = study_codes.code_id
         WHERE patient_id = ?1 AND (?2 IS NULL OR studies.id = ?2)
         UNION
         SELECT study_id, studies.name, codes.code, codes.id
         FROM consents JOIN codes ON codes.id = consents.code_id LEFT JOIN studies ON studies.id = study_id
         WHERE patient_id = ?1 AND (?2 IS NULL OR studies.id = ?2)
         ORDER BY 2, 1, 3";
    let mut query = db.prepare_cached(select)?;
    let rows = query.query_map(params![patient, study], |row| {
        let study = Option::zip(row.get(0)?, row.get(1)?);
        Ok((RequestedScope { study, scope: row.get(2)?, grants: Vec::new() }, row.get::<_, i64>(3)?))
    })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let select = format!(
        "SELECT granted_at, withdrawn_at, {} FROM consents
         WHERE patient_id = ? AND code_id = ? AND study_id IS ?",
        consent::COVERS_FROM
    );
    let mut grants = db.prepare_cached(&select)?;
    let mut requested = Vec::with_capacity(rows.len());
    for (mut one, code) in rows {
        if !SERIES.iter().any(|series| series.code == one.scope) {
            // No wearable delivers it, so no day can have data.
            continue;
        }
        let study = one.study.as_ref().map(|(id, _)| *id);
        let found = grants.query_map(params![patient, code, study], |row| {
            Ok(Grant { granted: row.get(0)?, withdrawn: row.get(1)?, covers_from: row.get(2)? })
        })?;
        one.grants = found.collect::<Result<_, _>>()?;
        requested.push(one);
    }
    Ok(requested)
}

/// Counts a patient's samples per local day, one map for each of `requested`, within what its own grants
/// allow. If both ingest modes have samples of a day, the mode with more samples counts: no sample counts
/// twice.
pub fn count_days(
    db: &Connection,
    patient: PatientId,
    requested: &[RequestedScope],
    range: Interval,
    zone: &TimeZone,
) -> StoreResult<Vec<BTreeMap<Date, DayData>>> {
    let allowed: Vec<ConsentIntervals> =
        requested.iter().map(|one| ConsentIntervals::ever_allowed(&one.grants)).collect();
    let (read, edges) = (widen(range), partial_day_edges(range, zone));
    let mut by_mode: BTreeMap<(usize, String, Date), DayData> = BTreeMap::new();
    for (stream, system, series_type, scope) in list_streams(db, patient)? {
        let Some(series) = series::find(&series_type) else { continue };
        let mut query = db.prepare_cached(&format!(
            "{} WHERE stream_id = ? AND instant >= ? AND instant < ?",
            observation::SELECT
        ))?;
        let rows = query.query_map(params![stream, read.from, read.until], observation::from_row)?;
        for row in rows {
            let one = row?;
            let (counts_at, _) = day_totals::counted_at(series, &one);
            if counts_at < edges.from || edges.until <= counts_at {
                continue;
            }
            let offset = one.zone.map(ZoneOffset::minutes);
            let Some((date, hour)) = local_date_and_hour(one.instant, offset, zone) else { continue };
            // A night counts for the day on which it ended, as it does on the charts.
            let date = day_totals::counted_date(series, &one, zone).unwrap_or(date);
            for (line, (requested, allowed)) in requested.iter().zip(&allowed).enumerate() {
                if requested.scope != scope || !commit::is_allowed(allowed, one.instant, one.frame()) {
                    continue;
                }
                let day = by_mode.entry((line, system.clone(), date)).or_default();
                day.samples += 1;
                day.hours.insert(hour);
            }
        }
    }
    let mut days = vec![BTreeMap::<Date, DayData>::new(); requested.len()];
    // Both modes may have the same samples: the larger count stands for both, the hours add up.
    for ((line, _, date), day) in by_mode {
        let Some(days) = days.get_mut(line) else { continue };
        let known = days.entry(date).or_default();
        known.samples = known.samples.max(day.samples);
        known.hours.extend(day.hours);
    }
    Ok(days)
}

/// Lists id, system, series type and code of the patient's visible streams.
fn list_streams(db: &Connection, patient: PatientId) -> StoreResult<Vec<(i64, String, String, String)>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT streams.id, streams.system, series_type, codes.code FROM streams
         JOIN codes ON codes.id = streams.code_id
         WHERE patient_id = ? AND entered_in_error = 0 AND {} ORDER BY streams.id",
        withdrawal::visible_condition("streams.patient_id", "streams.code_id")
    ))?;
    let rows = query.query_map([patient], |row| row.try_into())?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the study with this id or name.
pub fn find_study(db: &Connection, text: &str) -> StoreResult<StudyId> {
    let mut query =
        db.prepare_cached("SELECT id FROM studies WHERE id = ?1 OR name = ?1 ORDER BY name = ?1 DESC")?;
    let mut found = query.query_map([text], |row| row.get(0))?;
    match found.next() {
        Some(id) => Ok(id?),
        None => Err(StoreError::Refused(format!("there is no study '{text}'"))),
    }
}

/// Lists all patients who are not being erased, or those enrolled in a study.
pub fn list_patients(db: &Connection, study: Option<StudyId>) -> StoreResult<Vec<StudyPatient>> {
    let select = "SELECT id, name, external_id, time_zone FROM patients
         WHERE (?1 IS NULL OR id IN (SELECT patient_id FROM enrolments WHERE study_id = ?1))
           AND NOT EXISTS (SELECT 1 FROM erasures WHERE erasures.patient_id = patients.id) ORDER BY id";
    let mut query = db.prepare_cached(select)?;
    let rows = query.query_map([study], |row| {
        Ok(StudyPatient {
            id: row.get(0)?,
            name: row.get(1)?,
            external_id: row.get(2)?,
            zone: time_zone_or_utc(row.get_ref(3)?.as_str()?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[derive(Debug, Clone)]
pub struct StudyPatient {
    pub id: PatientId,
    pub name: String,
    /// The id by which OW knows the patient.
    pub external_id: String,
    pub zone: TimeZone,
}

/// Extends a range of local days by two days on both sides: a traveller's offset may differ that much, and a
/// night begins on the day before.
fn widen(range: Interval) -> Interval {
    const SLACK: Duration = Duration::from_hours(2 * 24);
    Interval { from: range.from.minus(SLACK), until: Timestamp::min(range.until.plus(SLACK), Timestamp::MAX) }
}
