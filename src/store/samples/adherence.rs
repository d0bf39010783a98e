//! Days with data: one patient's streams, each read in one range of its key.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rusqlite::{Connection, params};

use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::adherence::{Day, edges, place};
use crate::model::catalog::series;
use crate::model::catalog::series::SERIES;
use crate::model::consent_intervals::{Allowed, Grant, Interval};
use crate::model::day_totals;
use crate::model::observation::Observation;
use crate::model::patient::PatientId;
use crate::model::study::StudyId;
use crate::store::error::StoreError;
use crate::store::privacy::withdrawal;
use crate::store::samples::observation;

/// A scope that a study asks a patient for, or that an operator noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The study: number and name; none for a consent that was noted by hand.
    pub study: Option<(StudyId, String)>,
    /// The scope.
    pub scope: String,
    /// The patient's answers.
    pub grants: Vec<Grant>,
}

/// What a patient is asked for and a wearable delivers, by study and scope. `study` keeps to one of them.
///
/// # Errors
/// Where the tables cannot be read.
pub fn asked(db: &Connection, patient: PatientId, study: Option<StudyId>) -> Result<Vec<Asked>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT studies.id, studies.name, codes.code, codes.id
         FROM enrolments JOIN studies ON studies.id = enrolments.study_id
         JOIN study_codes ON study_codes.study_id = studies.id
         JOIN codes ON codes.id = study_codes.code_id WHERE patient_id = ?1 AND (?2 IS NULL OR studies.id = ?2)
         UNION
         SELECT study_id, studies.name, codes.code, codes.id
         FROM consents JOIN codes ON codes.id = consents.code_id LEFT JOIN studies ON studies.id = study_id
         WHERE patient_id = ?1 AND (?2 IS NULL OR studies.id = ?2)
         ORDER BY 2, 1, 3",
    )?;
    let rows = query.query_map(params![patient, study], |row| {
        let id: Option<StudyId> = row.get(0)?;
        let study = id.map(|id| Ok::<_, rusqlite::Error>((id, row.get(1)?))).transpose()?;
        Ok((Asked { study, scope: row.get(2)?, grants: Vec::new() }, row.get::<_, i64>(3)?))
    })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let mut grants = db.prepare_cached(
        "SELECT granted_at, withdrawn_at FROM consents WHERE patient_id = ? AND code_id = ? AND study_id IS ?",
    )?;
    let mut asked = Vec::with_capacity(rows.len());
    for (mut one, code) in rows {
        if !SERIES.iter().any(|series| series.code == one.scope) {
            continue;
        }
        let study = one.study.as_ref().map(|(id, _)| *id);
        let found = grants.query_map(params![patient, code, study], |row| {
            Ok(Grant { granted: row.get(0)?, withdrawn: row.get(1)? })
        })?;
        one.grants = found.collect::<Result<_, _>>()?;
        asked.push(one);
    }
    Ok(asked)
}

/// What a patient's local days have in a stretch of time, for each of `asked` what its own grants allowed. Where both
/// modes of ingestion know a day, the one that has more samples counts, so that no sample counts twice.
///
/// # Errors
/// Where the tables cannot be read.
pub fn days(
    db: &Connection,
    patient: PatientId,
    asked: &[Asked],
    range: Interval,
    zone: &TimeZone,
) -> Result<Vec<BTreeMap<Date, Day>>, StoreError> {
    let given: Vec<Allowed> = asked.iter().map(|one| Allowed::once_given(&one.grants)).collect();
    let (read, edges) = (around(range), edges(range, zone));
    let mut by_mode: BTreeMap<(usize, String, Date), Day> = BTreeMap::new();
    for (stream, system, series_type, scope) in streams(db, patient)? {
        let Some(series) = series::series(&series_type) else { continue };
        let mut query = db.prepare_cached(
            "SELECT instant, value, utc_offset, revision, activity_context, details FROM observations
             WHERE stream_id = ? AND instant >= ? AND instant < ?",
        )?;
        let rows = query.query_map(params![stream, read.from, read.until], observation::from_row)?;
        for row in rows {
            let one = row?;
            let (counts_at, _) = day_totals::moment_of(series, &one);
            if counts_at < edges.from || edges.until <= counts_at {
                continue;
            }
            let offset = one.zone.map(crate::common::time::ZoneOffset::minutes);
            let Some((date, hour)) = place(one.instant, offset, zone) else { continue };
            // A night counts for the day on which it ended, as it does on the charts.
            let date = day_totals::date_of(series, &one, zone).unwrap_or(date);
            let lines = asked.iter().zip(&given).enumerate();
            for (line, _) in lines.filter(|(_, (asked, given))| asked.scope == scope && is_given(given, &one))
            {
                let day = by_mode.entry((line, system.clone(), date)).or_default();
                day.samples += 1;
                day.hours.insert(hour);
            }
        }
    }
    let mut days = vec![BTreeMap::<Date, Day>::new(); asked.len()];
    for ((line, _, date), day) in by_mode {
        let Some(days) = days.get_mut(line) else { continue };
        let known = days.entry(date).or_default();
        known.samples = known.samples.max(day.samples);
        known.hours.extend(day.hours);
    }
    Ok(days)
}

/// Whether a sample may be counted, by the rule by which it is kept.
fn is_given(given: &Allowed, one: &Observation) -> bool {
    match one.frame() {
        Some(frame) => given.covers(Interval { from: frame.start, until: frame.end }),
        None => given.contains(one.instant),
    }
}

type Stream = (i64, String, String, String);

fn streams(db: &Connection, patient: PatientId) -> Result<Vec<Stream>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT streams.id, streams.system, series_type, codes.code FROM streams
         JOIN codes ON codes.id = streams.code_id
         WHERE patient_id = ? AND entered_in_error = 0 AND {} ORDER BY streams.id",
        withdrawal::is_shown("streams.patient_id", "streams.code_id")
    ))?;
    let rows = query.query_map([patient], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The study of this number or name.
///
/// # Errors
/// A sentence where there is none.
pub fn study(db: &Connection, text: &str) -> Result<StudyId, StoreError> {
    let mut query =
        db.prepare_cached("SELECT id FROM studies WHERE id = ?1 OR name = ?1 ORDER BY name = ?1 DESC")?;
    let mut found = query.query_map([text], |row| row.get(0))?;
    match found.next() {
        Some(id) => Ok(id?),
        None => Err(StoreError::Refused(format!("there is no study '{text}'"))),
    }
}

/// Everybody, or those who are enrolled in one study: number, name, what OW knows the patient by, time zone.
///
/// # Errors
/// Where the tables cannot be read.
pub fn patients(db: &Connection, study: Option<StudyId>) -> Result<Vec<Person>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, name, external_id, time_zone FROM patients
         WHERE (?1 IS NULL OR id IN (SELECT patient_id FROM enrolments WHERE study_id = ?1))
           AND NOT EXISTS (SELECT 1 FROM erasures WHERE erasures.patient_id = patients.id) ORDER BY id",
    )?;
    let rows = query.query_map([study], |row| {
        Ok(Person {
            id: row.get(0)?,
            name: row.get(1)?,
            external_id: row.get(2)?,
            zone: time_zone_or_utc(row.get_ref(3)?.as_str()?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A patient, as far as the table tells.
#[derive(Debug, Clone)]
pub struct Person {
    /// The number.
    pub id: PatientId,
    /// What people call the patient.
    pub name: String,
    /// What OW knows the patient by.
    pub external_id: String,
    /// Where the patient's days begin.
    pub zone: TimeZone,
}

/// How far before and after a patient's days samples are looked for: a traveller's clock may be so far off, and a night
/// begins on the day before.
fn around(range: Interval) -> Interval {
    const SLACK: std::time::Duration = std::time::Duration::from_hours(2 * 24);
    Interval { from: range.from.minus(SLACK), until: Timestamp::min(range.until.plus(SLACK), Timestamp::MAX) }
}
