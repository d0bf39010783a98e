//! What is queued for JHE, and when it is due.
//!
//! A value that OW changes is not sent before it has been still for a while, and what JHE has already is not sent
//! again. Values that were replaced in the meantime give way, unless they may have arrived: those are settled
//! first, so that JHE gets the newest value last.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::catalog::code::OPEN_M_HEALTH;
use crate::model::observation::Observation;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::outbox::delivered_elsewhere;
use crate::store::people::patient;
use crate::store::samples::observation;

/// How long a changed value has to be still before it is sent: a provider that corrects a night does so in several
/// steps, and JHE shows each that it gets beside the others.
const STILL: Duration = Duration::from_hours(6);
/// The same for the total of a day, from its first value on: it grows all day, and until the last device has synced.
/// Nothing waits for longer.
pub(crate) const STILL_TOTAL: Duration = Duration::from_hours(48);

/// What is being queued for JHE.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    /// Whose.
    pub(crate) patient: PatientId,
    /// The row of the code.
    pub(crate) code: i64,
    /// Whether each sample is the total of a day.
    pub(crate) daily_total: bool,
    /// Whether another client of JHE's has delivered anything of the patient: else nobody has to look.
    pub(crate) has_adopted: bool,
}

/// What JHE has last got of an instant.
enum Last {
    /// Nothing of ours.
    Nothing,
    /// What is kept now, or it gets it yet.
    Current,
    /// This other value, or it gets it yet.
    Other(f64),
    /// Nobody knows.
    Unknown,
}

/// Queues the first value of an instant, unless another client has delivered it.
pub(crate) fn first(
    db: &Connection,
    target: Target,
    stream: i64,
    first: &Observation,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Target { patient, code, daily_total, has_adopted } = target;
    if has_adopted && delivered_elsewhere::has(db, patient, code, first.instant, first.value)? {
        return Ok(());
    }
    let due = if daily_total { now.plus(STILL_TOTAL) } else { now };
    insert(db, stream, first, due)
}

/// Queues the value that has replaced another, where JHE has not got the same last. The wait begins anew.
pub(crate) fn changed(
    db: &Connection,
    target: Target,
    stream: i64,
    instant: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    give_way(db, stream, instant)?;
    let current = observation::at(db, stream, instant)?;
    if is_known(db, target, stream, &current)? {
        return Ok(());
    }
    let still = if target.daily_total { STILL_TOTAL } else { STILL };
    insert(db, stream, &current, now.plus(still))
}

/// Looks again at an instant of which something was not taken by JHE: where that was replaced in the meantime, it
/// gives way, and what follows it may have nothing new to say.
pub(crate) fn not_taken(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    if give_way(db, stream, instant)? == 0 {
        return Ok(());
    }
    let target = target(db, stream)?;
    let current = observation::at(db, stream, instant)?;
    if !is_known(db, target, stream, &current)? {
        // Where it waits already, it goes on to wait.
        return changed(db, target, stream, instant, now);
    }
    db.prepare_cached(
        "DELETE FROM outbox WHERE stream_id = ? AND instant = ? AND revision = ? AND ambiguous = 0 AND requeued = 0",
    )?
    .execute(params![stream, instant, current.revision])?;
    Ok(())
}

/// Queues what was left out until now, where its patient is JHE's.
pub(crate) fn after_all(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
    now: Timestamp,
) -> Result<(), StoreError> {
    let target = target(db, stream)?;
    if is_sent(db, target.code)? && patient::is_of_jhe(db, target.patient)? {
        first(db, target, stream, &observation::at(db, stream, instant)?, now)?;
    }
    Ok(())
}

/// Takes out a value that waits and that another client has delivered, where JHE has got no newer one of ours;
/// answers how many rows that were. What may have arrived under its own name stays.
pub(crate) fn take_out(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
    value: f64,
) -> Result<usize, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT instant, value, utc_offset, revision, NULL, details FROM outbox
         WHERE stream_id = ?1 AND instant = ?2 AND value = ?3 AND ambiguous = 0 AND NOT EXISTS
             (SELECT 1 FROM outbox AS older WHERE older.stream_id = ?1 AND older.instant = ?2
              AND older.revision < outbox.revision)",
    )?;
    let waits = query.query_row(params![stream, instant, value], observation::from_row).optional()?;
    let Some(waits) = waits else { return Ok(0) };
    if !is_known(db, target(db, stream)?, stream, &waits)? {
        return Ok(0);
    }
    Ok(db
        .prepare_cached("DELETE FROM outbox WHERE stream_id = ? AND instant = ? AND revision = ?")?
        .execute(params![stream, instant, waits.revision])?)
}

/// Queues everything that is kept of a patient and does not wait already, other than what another client has
/// delivered and what is left out; answers how much that is. What went and came back goes under the name that JHE knows it by.
///
/// # Errors
/// Where the tables cannot be read or written.
pub fn everything(db: &Connection, patient: PatientId, now: Timestamp) -> Result<usize, StoreError> {
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Ok(db.execute(
        "INSERT INTO outbox (stream_id, instant, revision, value, utc_offset, details, state, requeued, due_at,
                             first_due_at)
         SELECT *, due_at FROM (
         SELECT kept.stream_id, kept.instant, coalesce(last.revision, kept.revision), kept.value, kept.utc_offset,
                kept.details, 'pending', 1,
                CASE WHEN kept.revision = 0 AND NOT daily_total THEN ?2
                     ELSE max(?2, CASE WHEN daily_total THEN ?4 ELSE ?3 END + coalesce(
                         (SELECT max(replaced_at) FROM revisions
                          WHERE revisions.stream_id = kept.stream_id
                          AND revisions.instant = kept.instant), ?2)) END AS due_at
         FROM streams JOIN codes ON codes.id = streams.code_id AND codes.system = ?5
         JOIN observations AS kept ON kept.stream_id = streams.id
         LEFT JOIN revisions AS last ON last.stream_id = kept.stream_id AND last.instant = kept.instant
             AND last.revision = (SELECT max(revision) FROM revisions WHERE revisions.stream_id = kept.stream_id
                                  AND revisions.instant = kept.instant AND undelivered <> 1)
             AND last.undelivered = 0 AND last.value = kept.value AND last.utc_offset IS kept.utc_offset
             AND last.details IS kept.details
         WHERE patient_id = ?1 AND entered_in_error = 0
           AND NOT EXISTS (SELECT 1 FROM delivered_elsewhere WHERE delivered_elsewhere.patient_id = ?1
           AND delivered_elsewhere.code_id = streams.code_id
                           AND delivered_elsewhere.instant = kept.instant AND delivered_elsewhere.value = kept.value)
           AND NOT EXISTS (SELECT 1 FROM export_exclusions WHERE export_exclusions.stream_id = kept.stream_id
                           AND export_exclusions.instant = kept.instant)
         ) WHERE true ON CONFLICT DO NOTHING",
        params![patient, now, micros(STILL), micros(STILL_TOTAL), OPEN_M_HEALTH],
    )?)
}

fn insert(db: &Connection, stream: i64, observation: &Observation, due: Timestamp) -> Result<(), StoreError> {
    let Observation { instant, value, zone, revision, particulars, .. } = observation;
    db.prepare_cached(
        "INSERT INTO outbox (stream_id, instant, revision, value, utc_offset, details, state, due_at, first_due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'pending', ?7, ?7) ON CONFLICT DO NOTHING",
    )?
    .execute(params![stream, instant, revision, value, zone, particulars, due])?;
    Ok(())
}

/// Whether JHE takes observations of a code.
fn is_sent(db: &Connection, code: i64) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached("SELECT system = ? FROM codes WHERE id = ?")?;
    Ok(query.query_row(params![OPEN_M_HEALTH, code], |row| row.get(0))?)
}

fn target(db: &Connection, stream: i64) -> Result<Target, StoreError> {
    let mut query = db.prepare_cached("SELECT patient_id, code_id, daily_total FROM streams WHERE id = ?")?;
    let (patient, code, daily_total) =
        query.query_row([stream], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Target { patient, code, daily_total, has_adopted: delivered_elsewhere::any(db, patient)? })
}

/// Takes out what waits and is no longer what is kept, and notes what that means for JHE; answers how much it was.
/// What may have arrived stays until it is settled, except where JHE will not have it.
fn give_way(db: &Connection, stream: i64, instant: Timestamp) -> Result<usize, StoreError> {
    const REPLACED: &str = "
        outbox.stream_id = ?1 AND outbox.instant = ?2 AND (ambiguous = 0 OR state = 'dead') AND EXISTS
            (SELECT 1 FROM revisions AS was JOIN observations AS kept USING (stream_id, instant)
             WHERE was.stream_id = ?1 AND was.instant = ?2 AND was.revision = outbox.revision
               AND (was.value <> kept.value OR was.utc_offset IS NOT kept.utc_offset
                    OR was.details IS NOT kept.details))";
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

/// Whether JHE has got this value last.
fn is_known(db: &Connection, target: Target, stream: i64, current: &Observation) -> Result<bool, StoreError> {
    let Target { patient, code, has_adopted, .. } = target;
    let is_adopted = |value| {
        Ok::<_, StoreError>(
            has_adopted && delivered_elsewhere::has(db, patient, code, current.instant, value)?,
        )
    };
    match last(db, stream, current)? {
        Last::Nothing => is_adopted(current.value),
        Last::Unknown => Ok(false),
        Last::Current => Ok(true),
        // Which of two values of the other client's is the newer one is not known. One of ours is newer than both.
        Last::Other(value) => Ok(is_adopted(value)? && is_adopted(current.value)?),
    }
}

fn last(db: &Connection, stream: i64, current: &Observation) -> Result<Last, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT undelivered, value, value = ?3 AND utc_offset IS ?4 AND details IS ?5 FROM revisions
         WHERE stream_id = ?1 AND instant = ?2 AND undelivered <> 1 ORDER BY revision DESC LIMIT 1",
    )?;
    let Observation { instant, value, zone, particulars, .. } = current;
    let last = query.query_row(params![stream, instant, value, zone, particulars], |row| {
        match (row.get(0)?, row.get(2)?) {
            (0_i64, true) => Ok(Last::Current),
            (0, false) => Ok(Last::Other(row.get(1)?)),
            _ => Ok(Last::Unknown),
        }
    });
    Ok(last.optional()?.unwrap_or(Last::Nothing))
}
