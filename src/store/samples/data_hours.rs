//! Counters of new samples: per hour for the last days, and the hours of each day with data.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::adherence::DayHours;
use crate::model::patient::PatientId;
use crate::model::sample::Sample;
use crate::model::study::StudyId;
use crate::store::error::StoreResult;
use crate::store::{people::visibility, privacy::withdrawal};

/// Sample counts per hour are kept this long; no page shows older ones.
const COUNTED_HOURS: i64 = 8 * 24;
const HOURS_PER_DAY: i64 = 24;

/// Counts new samples of a code. `covers_day` says that each is a total of a day, which has no hours of its own.
pub(crate) fn count(
    db: &Connection,
    patient: PatientId,
    code: i64,
    new: &[&Sample],
    covers_day: bool,
    now: Timestamp,
) -> StoreResult<()> {
    let insert = "INSERT INTO hourly_sample_counts (patient_id, hour, code_id, samples) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET samples = samples + excluded.samples";
    let mut add = db.prepare_cached(insert)?;
    let mut counts = BTreeMap::<i64, i64>::new();
    for sample in new {
        *counts.entry(sample.instant.hour()).or_default() += 1;
    }
    for (hour, samples) in counts.range(now.hour() - COUNTED_HOURS..) {
        add.execute(params![patient, hour, code, samples])?;
    }
    if covers_day {
        return Ok(());
    }
    let mut days = BTreeMap::<i64, i64>::new();
    for sample in new {
        // The end is not part of the interval.
        let end = sample.frame().map_or(sample.instant, |frame| frame.end.minus(Duration::from_micros(1)));
        let last = end.hour().min(sample.instant.hour() + HOURS_PER_DAY);
        for hour in sample.instant.hour()..=last.max(sample.instant.hour()) {
            *days.entry(hour.div_euclid(HOURS_PER_DAY)).or_default() |= 1 << hour.rem_euclid(HOURS_PER_DAY);
        }
    }
    let insert = "INSERT INTO data_hours (patient_id, day, code_id, hours) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET hours = hours | excluded.hours WHERE hours <> hours | excluded.hours";
    let mut add = db.prepare_cached(insert)?;
    for (day, hours) in days {
        add.execute(params![patient, day, code, hours])?;
    }
    Ok(())
}

/// Deletes the counts of hours that no page shows any more.
pub fn trim(db: &Connection, now: Timestamp) -> StoreResult<()> {
    db.execute("DELETE FROM hourly_sample_counts WHERE hour < ?", [now.hour() - COUNTED_HOURS])?;
    Ok(())
}

/// Returns the hours with data of what a study asks for and was given, per participant, in the days (UTC) of `from` to
/// `until`. Data that a withdrawal hides are left out. `among` selects participants; all if there is none.
pub fn list(
    db: &Connection,
    study: StudyId,
    among: Option<&[PatientId]>,
    from: Timestamp,
    until: Timestamp,
) -> StoreResult<BTreeMap<PatientId, DayHours>> {
    // The conditions are on the patient and the code, so that they are not tested again for each day.
    let mut query = db.prepare_cached(&format!(
        "SELECT enrolments.patient_id, day, hours FROM enrolments
         CROSS JOIN study_codes ON study_codes.study_id = enrolments.study_id
         CROSS JOIN data_hours ON data_hours.patient_id = enrolments.patient_id
           AND data_hours.code_id = study_codes.code_id AND day BETWEEN ?3 AND ?4
         WHERE enrolments.study_id = ?1
           AND (?2 IS NULL OR enrolments.patient_id IN (SELECT value FROM json_each(?2)))
           AND {} AND {}",
        withdrawal::visible_condition("enrolments.patient_id", "study_codes.code_id"),
        visibility::given_condition("enrolments.patient_id", "study_codes.code_id", "?1")
    ))?;
    let among = among.map(|ids| ids.iter().map(|id| id.get()).collect::<serde_json::Value>().to_string());
    let day = |at: Timestamp| at.hour().div_euclid(HOURS_PER_DAY);
    let mut found = BTreeMap::<PatientId, DayHours>::new();
    let mut rows = query.query(params![study, among, day(from), day(until)])?;
    while let Some(row) = rows.next()? {
        found.entry(row.get(0)?).or_default().add(row.get(1)?, row.get(2)?);
    }
    Ok(found)
}
