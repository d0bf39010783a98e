//! Inserts observations into the outbox and decides when they are due.
//!
//! A changed value is not sent before it has been unchanged for a while, and a value that JHE has already is
//! not sent again. A replaced value that JHE may have received is sent until JHE answers; only then is the
//! newest value sent.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::{catalog::code::OPEN_M_HEALTH, observation::Observation, patient::PatientId};
use crate::store::error::{StoreError, StoreResult};
use crate::store::samples::{commit_number, observation};
use crate::store::{outbox::delivered_elsewhere, people::patient};

/// Time for which a changed value must stay unchanged before it is sent. A provider corrects a night in
/// several steps, and JHE would show each of them beside the others.
pub(crate) const QUIET_PERIOD: Duration = Duration::from_hours(6);
/// Quiet period of a daily total, from its first value on: it grows all day and until the last device has
/// synced. This is the longest quiet period; `outbox::due` relies on it.
pub(crate) const DAILY_TOTAL_QUIET_PERIOD: Duration = Duration::from_hours(48);

#[derive(Debug, Clone, Copy)]
pub(crate) struct ExportTarget {
    pub(crate) patient: PatientId,
    /// Row id of the code.
    pub(crate) code: i64,
    pub(crate) daily_total: bool,
    /// True if another client has delivered any observation of the patient. If false, `delivered_elsewhere` is
    /// not queried.
    pub(crate) has_delivered_elsewhere: bool,
}

/// JHE's last value of an instant, compared with the stored one.
enum LastDelivered {
    Nothing,
    /// The current value.
    Current,
    Other(f64),
    Unknown,
}

/// Inserts the first value of an instant, unless another client has delivered it.
pub(crate) fn insert_first(
    db: &Connection,
    target: ExportTarget,
    stream: i64,
    first: &Observation,
    now: Timestamp,
) -> StoreResult<()> {
    let ExportTarget { patient, code, daily_total, has_delivered_elsewhere } = target;
    if has_delivered_elsewhere
        && delivered_elsewhere::contains(db, patient, code, first.instant, first.value)?
    {
        return Ok(());
    }
    let due = if daily_total { now.plus(DAILY_TOTAL_QUIET_PERIOD) } else { now };
    insert(db, stream, first, due)
}

/// Inserts the current value of a changed observation, unless JHE got the same value last. The quiet period
/// starts again.
pub(crate) fn insert_revision(
    db: &Connection,
    target: ExportTarget,
    stream: i64,
    instant: Timestamp,
    now: Timestamp,
) -> StoreResult<()> {
    delete_replaced(db, stream, instant)?;
    let current = observation::get(db, stream, instant)?;
    if is_deleted(&current) || has_current(db, target, stream, &current)? {
        return Ok(());
    }
    let quiet_period = if target.daily_total { DAILY_TOTAL_QUIET_PERIOD } else { QUIET_PERIOD };
    insert(db, stream, &current, now.plus(quiet_period))
}

/// Handles a verdict other than delivered. If the row's value was replaced in the meantime, the
/// row is deleted, and the current value is sent only if JHE does not have it.
pub(crate) fn resolve_undelivered(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
    now: Timestamp,
) -> StoreResult<()> {
    if delete_replaced(db, stream, instant)? == 0 {
        return Ok(());
    }
    let target = find_target(db, stream)?;
    let current = observation::get(db, stream, instant)?;
    if !has_current(db, target, stream, &current)? {
        // A row of the current value keeps its due time: the insert ignores conflicts.
        return insert_revision(db, target, stream, instant, now);
    }
    let delete = "DELETE FROM outbox WHERE stream_id = ? AND instant = ? AND revision = ? AND ambiguous = 0
         AND requeued = 0";
    db.prepare_cached(delete)?.execute(params![stream, instant, current.revision])?;
    Ok(())
}

/// Gives the current value the revision `next` and queues it: JHE has another value under the number of this row. A row
/// whose value was replaced in the meantime is dropped.
pub(crate) fn renumber(
    db: &Connection,
    stream: i64,
    sent: &Observation,
    next: i64,
    now: Timestamp,
) -> StoreResult<()> {
    let Observation { instant, value, zone, revision, ref details, .. } = *sent;
    let delete = "DELETE FROM outbox WHERE stream_id = ? AND instant = ? AND revision = ?";
    // The row is gone if the patient was erased meanwhile, or if OW has said that it is a day's total.
    if db.prepare_cached(delete)?.execute(params![stream, instant, revision])? == 0 {
        return Ok(());
    }
    // Of a replaced value it is unknown whether JHE has it.
    let update = "UPDATE revisions SET undelivered = 2 WHERE stream_id = ? AND instant = ? AND revision = ?";
    db.prepare_cached(update)?.execute(params![stream, instant, revision])?;
    let current = observation::get(db, stream, instant)?;
    if current.value.to_bits() != value.to_bits() || (current.zone, &current.details) != (zone, details) {
        return insert_revision(db, find_target(db, stream)?, stream, instant, now);
    }
    let current = Observation { revision: next.max(current.revision), ..current };
    let update =
        "UPDATE observations SET revision = ?3, commit_number = ?4 WHERE stream_id = ?1 AND instant = ?2";
    let commit = commit_number::assign(db, None, now)?;
    db.prepare_cached(update)?.execute(params![stream, instant, current.revision, commit])?;
    insert(db, stream, &current, now)
}

/// Inserts an observation that was excluded until now, if its patient is JHE's.
pub(crate) fn insert_admitted(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
    now: Timestamp,
) -> StoreResult<()> {
    let target = find_target(db, stream)?;
    let first = observation::get(db, stream, instant)?;
    if is_sent(db, target.code)? && patient::is_of_jhe(db, target.patient)? && !is_deleted(&first) {
        insert_first(db, target, stream, &first, now)?;
    }
    Ok(())
}

/// Deletes a row whose value another client has delivered, unless an older row of the same instant waits or JHE
/// received another value from us. Rows that may have arrived stay. Returns the number of deleted rows.
pub(crate) fn delete_delivered(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
    value: f64,
) -> StoreResult<usize> {
    let select = "SELECT instant, value, utc_offset, revision, NULL, details FROM outbox
         WHERE stream_id = ?1 AND instant = ?2 AND value = ?3 AND ambiguous = 0 AND NOT EXISTS
             (SELECT 1 FROM outbox AS older WHERE older.stream_id = ?1 AND older.instant = ?2
              AND older.revision < outbox.revision)";
    let mut query = db.prepare_cached(select)?;
    let row = query.query_row(params![stream, instant, value], observation::from_row).optional()?;
    let Some(row) = row else { return Ok(0) };
    if !has_current(db, find_target(db, stream)?, stream, &row)? {
        return Ok(0);
    }
    Ok(db
        .prepare_cached("DELETE FROM outbox WHERE stream_id = ? AND instant = ? AND revision = ?")?
        .execute(params![stream, instant, row.revision])?)
}

/// Inserts all observations of a patient that are not in the outbox, except excluded ones and those that
/// another client has delivered; returns their number. If the current value equals the last value sent to JHE,
/// the row gets that value's revision number, so that JHE answers 409 and makes no duplicate.
pub fn requeue_all(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<usize> {
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    // `last` is the revision that JHE got last, if its content equals the newest one.
    Ok(db.execute(
        "INSERT INTO outbox (stream_id, instant, revision, value, utc_offset, details, state, requeued,
                             due_at, first_due_at)
         SELECT *, due_at FROM (
         SELECT newest.stream_id, newest.instant, coalesce(last.revision, newest.revision), newest.value,
                newest.utc_offset, newest.details, 'pending', 1,
                CASE WHEN newest.revision = 0 AND NOT daily_total THEN ?2
                     ELSE max(?2, CASE WHEN daily_total THEN ?4 ELSE ?3 END + coalesce(
                         (SELECT max(replaced_at) FROM revisions
                          WHERE revisions.stream_id = newest.stream_id
                            AND revisions.instant = newest.instant), ?2)) END AS due_at
         FROM streams JOIN codes ON codes.id = streams.code_id AND codes.system = ?5
         JOIN observations AS newest ON newest.stream_id = streams.id
         LEFT JOIN revisions AS last ON last.stream_id = newest.stream_id AND last.instant = newest.instant
             AND last.revision = (SELECT max(revision) FROM revisions
                                  WHERE revisions.stream_id = newest.stream_id
                                    AND revisions.instant = newest.instant AND undelivered <> 1)
             AND last.undelivered = 0 AND last.value = newest.value
             AND last.utc_offset IS newest.utc_offset AND last.details IS newest.details
         WHERE patient_id = ?1 AND entered_in_error = 0 AND coalesce(newest.details ->> 'deleted', 0) = 0
           AND NOT EXISTS (SELECT 1 FROM delivered_elsewhere AS theirs
                           WHERE theirs.patient_id = ?1 AND theirs.code_id = streams.code_id
                             AND theirs.instant = newest.instant AND theirs.value = newest.value)
           AND NOT EXISTS (SELECT 1 FROM export_exclusions AS out
                           WHERE out.stream_id = newest.stream_id AND out.instant = newest.instant)
         ) WHERE true ON CONFLICT DO NOTHING",
        params![patient, now, micros(QUIET_PERIOD), micros(DAILY_TOTAL_QUIET_PERIOD), OPEN_M_HEALTH],
    )?)
}

fn insert(db: &Connection, stream: i64, observation: &Observation, due: Timestamp) -> StoreResult<()> {
    let Observation { instant, value, zone, revision, details, .. } = observation;
    let insert =
        "INSERT INTO outbox (stream_id, instant, revision, value, utc_offset, details, state, due_at,
                             first_due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?7) ON CONFLICT DO NOTHING";
    db.prepare_cached(insert)?.execute(params![stream, instant, revision, value, zone, details, due])?;
    Ok(())
}

/// Returns true if the provider has deleted the event: nothing of it is sent any more.
fn is_deleted(observation: &Observation) -> bool {
    observation.details.as_ref().is_some_and(|details| details.deleted)
}

pub(crate) fn is_sent(db: &Connection, code: i64) -> StoreResult<bool> {
    let mut query = db.prepare_cached("SELECT system = ? FROM codes WHERE id = ?")?;
    Ok(query.query_row(params![OPEN_M_HEALTH, code], |row| row.get(0))?)
}

pub(crate) fn find_target(db: &Connection, stream: i64) -> StoreResult<ExportTarget> {
    let mut query = db.prepare_cached("SELECT patient_id, code_id, daily_total FROM streams WHERE id = ?")?;
    let (patient, code, daily_total) =
        query.query_row([stream], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(ExportTarget {
        patient,
        code,
        daily_total,
        has_delivered_elsewhere: delivered_elsewhere::has_any(db, patient)?,
    })
}

/// Deletes rows whose value is not current any more, and marks their revisions as undelivered. Rows that may
/// have arrived stay until that is resolved, except dead ones. Returns the number of deleted rows.
fn delete_replaced(db: &Connection, stream: i64, instant: Timestamp) -> StoreResult<usize> {
    const REPLACED: &str = "
        outbox.stream_id = ?1 AND outbox.instant = ?2 AND (ambiguous = 0 OR state IN ('dead', 'suspect')) AND EXISTS
            (SELECT 1 FROM revisions AS was JOIN observations AS newest USING (stream_id, instant)
             WHERE was.stream_id = ?1 AND was.instant = ?2 AND was.revision = outbox.revision
               AND (was.value <> newest.value OR was.utc_offset IS NOT newest.utc_offset
                    OR was.details IS NOT newest.details))";
    // 1: JHE has certainly not got it. 2: unknown, since a requeued row may have arrived before.
    db.prepare_cached(&format!(
        "UPDATE revisions SET undelivered = CASE WHEN ambiguous = 0 AND requeued = 0 THEN 1 ELSE 2 END
         FROM outbox WHERE {REPLACED} AND revisions.stream_id = ?1 AND revisions.instant = ?2
           AND revisions.revision = outbox.revision"
    ))?
    .execute(params![stream, instant])?;
    Ok(db
        .prepare_cached(&format!("DELETE FROM outbox WHERE {REPLACED}"))?
        .execute(params![stream, instant])?)
}

/// Returns true if JHE got the current value last, or if another client delivered both values.
fn has_current(
    db: &Connection,
    target: ExportTarget,
    stream: i64,
    current: &Observation,
) -> StoreResult<bool> {
    let ExportTarget { patient, code, has_delivered_elsewhere, .. } = target;
    let is_delivered_elsewhere = |value| {
        Ok::<_, StoreError>(
            has_delivered_elsewhere
                && delivered_elsewhere::contains(db, patient, code, current.instant, value)?,
        )
    };
    match find_last(db, stream, current)? {
        LastDelivered::Nothing => is_delivered_elsewhere(current.value),
        LastDelivered::Unknown => Ok(false),
        LastDelivered::Current => Ok(true),
        // The other client delivered both values and it is unknown which one last: nothing is sent.
        LastDelivered::Other(value) => {
            Ok(is_delivered_elsewhere(value)? && is_delivered_elsewhere(current.value)?)
        }
    }
}

fn find_last(db: &Connection, stream: i64, current: &Observation) -> StoreResult<LastDelivered> {
    let select = "SELECT undelivered, value, value = ?3 AND utc_offset IS ?4 AND details IS ?5 FROM revisions
         WHERE stream_id = ?1 AND instant = ?2 AND undelivered <> 1 ORDER BY revision DESC LIMIT 1";
    let mut query = db.prepare_cached(select)?;
    let Observation { instant, value, zone, details, .. } = current;
    let last = query.query_row(params![stream, instant, value, zone, details], |row| {
        match (row.get(0)?, row.get(2)?) {
            (0_i64, true) => Ok(LastDelivered::Current),
            (0, false) => Ok(LastDelivered::Other(row.get(1)?)),
            _ => Ok(LastDelivered::Unknown),
        }
    });
    Ok(last.optional()?.unwrap_or(LastDelivered::Nothing))
}
