//! The collection windows of participants, computed as instants, and what follows from them.
//!
//! A part is a patient's enrolment in a study. It is over, also for late data, [`LATE_DATA`] after its window.

use jiff::civil::Date;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::model::collection_window::{CollectionWindow, LATE_DATA, interval, opened};
use crate::model::consent_intervals::Interval;
use crate::model::{patient::PatientId, study::StudyId};
use crate::store::error::StoreResult;

/// A patient's part in a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyPart {
    pub study: StudyId,
    /// Name of the study.
    pub name: String,
    /// The study's window.
    pub window: CollectionWindow,
    /// The last day of this patient, where it differs from the study's.
    pub own_until: Option<Date>,
    /// Limits of the window as instants.
    pub limits: (Option<Timestamp>, Option<Timestamp>),
}

impl StudyPart {
    /// Returns true if the window has ended.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.limits.1.is_some_and(|until| until <= now)
    }

    /// Returns when late data are read for the last time; none for a window without end.
    pub fn reads_until(&self) -> Option<Timestamp> {
        self.limits.1.map(|until| until.plus(LATE_DATA))
    }
}

/// Reads a calendar day from a column.
fn date(row: &Row, column: usize) -> rusqlite::Result<Option<Date>> {
    let text: Option<String> = row.get(column)?;
    let parse = |text: String| {
        text.parse().map_err(|error| {
            let error =
                FromSqlError::Other(Box::<dyn std::error::Error + Send + Sync>::from(format!("{error}")));
            rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
        })
    };
    text.map(parse).transpose()
}

/// Reads a study's window from three columns: the first day, the last day and the number of days.
pub(crate) fn window_from_row(row: &Row, first: usize) -> rusqlite::Result<CollectionWindow> {
    let (from, until, days) = (date(row, first)?, date(row, first + 1)?, row.get(first + 2)?);
    // Every window was checked when it was set.
    Ok(CollectionWindow::new(from, until, days).unwrap_or_default())
}

/// Stores the window of a study. The limits of its participants follow by [`refresh`].
pub(crate) fn set_window(db: &Connection, study: StudyId, window: CollectionWindow) -> StoreResult<()> {
    let (from, until, days) = window.parts();
    let [from, until] = [from, until].map(|day| day.map(|day| day.to_string()));
    let update =
        "UPDATE studies SET collection_from = ?2, collection_until = ?3, collection_days = ?4 WHERE id = ?1";
    db.execute(update, params![study, from, until, days])?;
    Ok(())
}

/// Stores the last day of one participant; none for the study's. The limits follow by [`refresh`]. Returns false if the
/// patient is not enrolled.
pub(crate) fn set_own_until(
    db: &Connection,
    study: StudyId,
    patient: PatientId,
    until: Option<Date>,
) -> StoreResult<bool> {
    let update = "UPDATE enrolments SET own_collection_until = ?3 WHERE study_id = ?1 AND patient_id = ?2";
    Ok(db.execute(update, params![study, patient, until.map(|day| day.to_string())])? > 0)
}

const SELECT_PARTS: &str =
    "SELECT studies.id, name, collection_from, collection_until, collection_days, own_collection_until,
            collects_from, collects_until
     FROM enrolments JOIN studies ON studies.id = study_id";

fn part_from_row(row: &Row) -> rusqlite::Result<StudyPart> {
    Ok(StudyPart {
        study: row.get(0)?,
        name: row.get(1)?,
        window: window_from_row(row, 2)?,
        own_until: date(row, 5)?,
        limits: (row.get(6)?, row.get(7)?),
    })
}

/// Lists a patient's parts by study.
pub fn list_parts(db: &Connection, patient: PatientId) -> StoreResult<Vec<StudyPart>> {
    let mut query = db.prepare_cached(&format!("{SELECT_PARTS} WHERE patient_id = ? ORDER BY study_id"))?;
    Ok(query.query_map([patient], part_from_row)?.collect::<Result<_, _>>()?)
}

/// Computes the limits of a patient's parts anew, after a change of a window, of the time zone, of the device or of the
/// consents. Returns the past that the change opens, if any.
pub(crate) fn refresh(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<Option<Interval>> {
    let mut past: Option<Interval> = None;
    for part in list_parts(db, patient)? {
        let limits = find_limits(db, patient, &part)?;
        if limits == part.limits {
            continue;
        }
        let is_over = limits.1.is_some_and(|until| until.plus(LATE_DATA) <= now);
        let update = "UPDATE enrolments SET collects_from = ?3, collects_until = ?4,
                 completed_at = iif(?5, completed_at, NULL) WHERE study_id = ?1 AND patient_id = ?2";
        db.execute(update, params![part.study, patient, limits.0, limits.1, is_over])?;
        if let Some(one) = opened(part.limits, limits, now) {
            let from = past.map_or(one.from, |past| past.from.min(one.from));
            past = Some(Interval { from, until: past.map_or(one.until, |past| past.until.max(one.until)) });
        }
    }
    Ok(past)
}

fn find_limits(
    db: &Connection,
    patient: PatientId,
    part: &StudyPart,
) -> StoreResult<(Option<Timestamp>, Option<Timestamp>)> {
    let select = "SELECT time_zone, connected_at, (SELECT min(linked_at) FROM links WHERE patient_id = patients.id),
                (SELECT min(granted_at) FROM consents WHERE patient_id = patients.id
                 AND (study_id = ?2 OR study_id IS NULL) AND (withdrawn_at IS NULL OR withdrawn_at > granted_at))
         FROM patients WHERE id = ?1";
    let mut query = db.prepare_cached(select)?;
    let (zone, connected, linked, agreed): (String, Option<Timestamp>, Option<Timestamp>, Option<Timestamp>) =
        query.query_row(params![patient, part.study], |row| row.try_into())?;
    // One who joins with a device that another study has connected begins with the agreement.
    let since = |at: Option<Timestamp>| at.map(|at| agreed.map_or(at, |agreed| at.max(agreed)));
    Ok(part.window.resolve(part.own_until, (since(connected), since(linked)), &time_zone_or_utc(&zone)))
}

/// Returns when the patient's current link began.
pub(crate) fn find_linked(db: &Connection, patient: PatientId) -> StoreResult<Option<Timestamp>> {
    let select = "SELECT max(linked_at) FROM links WHERE patient_id = ? AND state <> 'unlinked'";
    Ok(db.prepare_cached(select)?.query_row([patient], |row| row.get(0))?)
}

/// Records when the patient's first device was connected. Later devices change nothing.
pub(crate) fn record_connected(db: &Connection, patient: PatientId, at: Timestamp) -> StoreResult<()> {
    let update = "UPDATE patients SET connected_at = ?2 WHERE id = ?1 AND connected_at IS NULL";
    if db.prepare_cached(update)?.execute(params![patient, at])? > 0 {
        // A window that begins opens no past.
        refresh(db, patient, at)?;
    }
    Ok(())
}

/// Returns the expression on a row of `consents` with the best value of `test` among the parts that the consent is for:
/// the study's own, or for a consent to no study those of all studies that ask for the code. Without any it is 1.
fn best_part(test: &str) -> String {
    format!(
        "coalesce((SELECT max({test}) FROM enrolments AS part WHERE part.patient_id = consents.patient_id
            AND (part.study_id = consents.study_id OR consents.study_id IS NULL AND EXISTS
                (SELECT 1 FROM study_codes AS asks
                 WHERE asks.study_id = part.study_id AND asks.code_id = consents.code_id))), 1)"
    )
}

/// Returns a condition on a row of `consents`: something is collected for it at both times, which are SQL expressions.
pub(crate) fn collects_condition(since: &str, now: &str) -> String {
    best_part(&format!(
        "coalesce(part.collects_from <= {since}, 1) AND coalesce(part.collects_until > {now}, 1)"
    ))
}

/// Returns a condition on a row of `consents`: its part is not over at the time `now`, an SQL expression.
pub(crate) fn reads_condition(now: &str) -> String {
    let late = LATE_DATA.as_micros();
    best_part(&format!("coalesce(part.collects_until + {late} > {now}, 1)"))
}

/// The limits of one part, and whether its study asks for a code.
pub(crate) struct CodeLimits {
    pub(crate) study: StudyId,
    pub(crate) limits: Interval,
    pub(crate) asks: bool,
    /// The part may be read at the time: the window has begun, and it is not over.
    pub(crate) is_read: bool,
}

/// Lists the limits of a patient's parts; empty if no part has any.
pub(crate) fn list_limits(
    db: &Connection,
    patient: PatientId,
    code: &str,
    now: Timestamp,
) -> StoreResult<Vec<CodeLimits>> {
    let mut query = db.prepare_cached(
        "SELECT study_id, collects_from, collects_until, EXISTS (
             SELECT 1 FROM study_codes JOIN codes ON codes.id = code_id
             WHERE study_codes.study_id = enrolments.study_id AND code = ?2)
         FROM enrolments WHERE patient_id = ?1 AND EXISTS (
             SELECT 1 FROM enrolments AS any WHERE any.patient_id = ?1
             AND (any.collects_from IS NOT NULL OR any.collects_until IS NOT NULL))",
    )?;
    let parts = query.query_map(params![patient, code], |row| {
        let limits = interval((row.get(1)?, row.get(2)?));
        let is_over = limits.until < Timestamp::MAX && limits.until.plus(LATE_DATA) <= now;
        let is_read = limits.from <= now && !is_over;
        Ok(CodeLimits { study: row.get(0)?, limits, asks: row.get(3)?, is_read })
    })?;
    Ok(parts.collect::<Result<_, _>>()?)
}

/// Returns the limits of one part; none if the patient is not enrolled.
pub(crate) fn find_part_limits(db: &Connection, study: StudyId, patient: PatientId) -> StoreResult<Interval> {
    let select = "SELECT collects_from, collects_until FROM enrolments WHERE study_id = ? AND patient_id = ?";
    let mut query = db.prepare_cached(select)?;
    let found = query.query_row(params![study, patient], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(interval(found.unwrap_or_default()))
}

/// Lists the parts that are over and that the daemon has not completed yet.
pub(crate) fn list_to_complete(db: &Connection, now: Timestamp) -> StoreResult<Vec<(PatientId, StudyId)>> {
    let mut query = db.prepare_cached(
        "SELECT patient_id, study_id FROM enrolments WHERE completed_at IS NULL AND collects_until <= ?
         ORDER BY patient_id, study_id",
    )?;
    let rows = query.query_map([now.minus(LATE_DATA)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Completes a part, unless its window was extended meanwhile. Returns false then.
pub(crate) fn complete(
    db: &Connection,
    patient: PatientId,
    study: StudyId,
    now: Timestamp,
) -> StoreResult<bool> {
    let update = "UPDATE enrolments SET completed_at = ?3
         WHERE patient_id = ?1 AND study_id = ?2 AND completed_at IS NULL AND collects_until <= ?4";
    Ok(db.execute(update, params![patient, study, now, now.minus(LATE_DATA)])? > 0)
}
