//! What becomes of what is kept once its consent is withdrawn, as the setting `data.after_withdrawal` says.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::{StoreError, audit, erasure};
use crate::account::Actor;
use crate::catalog::SERIES;
use crate::patient::PatientId;
use crate::settings::AFTER_WITHDRAWAL;
use crate::time::Timestamp;

/// A condition: whether what a patient has of a code may be shown. Both are columns of numbers. What nobody ever agreed
/// to is not for the setting to hide.
pub(super) fn is_shown(patient: &str, code: &str) -> String {
    format!(
        "NOT (EXISTS (SELECT 1 FROM setting WHERE key = '{AFTER_WITHDRAWAL}' AND value IN ('hide', 'erase'))
              AND EXISTS (SELECT 1 FROM consent WHERE consent.patient = {patient} AND consent.code = {code})
              AND NOT EXISTS (SELECT 1 FROM consent WHERE consent.patient = {patient} AND consent.code = {code}
                              AND withdrawn_at IS NULL))"
    )
}

/// The same of a row of `rejected`.
pub(super) fn is_sample_shown() -> String {
    let types = SERIES.iter().map(|series| format!("('{}', '{}')", series.series_type, series.code));
    format!(
        "NOT EXISTS (SELECT 1 FROM (VALUES {}) AS type JOIN code AS its ON its.code = type.column2
                     WHERE type.column1 = rejected.series_type AND NOT ({}))",
        types.collect::<Vec<_>>().join(", "),
        is_shown("rejected.patient", "its.id")
    )
}

/// How old JHE's answer about a patient's consents may be when what is withdrawn there is erased: a consent that was
/// given again there has to be known here.
const FRESH: Duration = Duration::from_hours(1);

/// Something that was withdrawn and is due to be erased.
struct Due {
    patient: PatientId,
    code: i64,
    name: String,
    until: Timestamp,
}

/// Decides what is erased: what a patient agreed to once, has withdrawn from everybody, and not agreed to again in the
/// time `after` from when that was noted here. Who has only ever said no has nothing here. From here on nothing of it comes in again, whatever the patient agrees to
/// later. Of JHE's patients it is decided only right after JHE was asked. Answers how much that is, in pairs of patient
/// and scope.
///
/// # Errors
/// Where the tables cannot be read or written.
pub fn decide(db: &Connection, after: Duration, now: Timestamp) -> Result<usize, StoreError> {
    db.prepare_cached(
        "UPDATE consent SET erase_noted_at = ? WHERE withdrawn_at IS NOT NULL AND erase_noted_at IS NULL",
    )?
    .execute([now])?;
    let mut query = db.prepare_cached(
        "SELECT patient.id, consent.code, code.code, max(withdrawn_at)
         FROM consent JOIN code ON code.id = consent.code JOIN patient ON patient.id = consent.patient
         WHERE jhe_id IS NULL OR consents_read_at > ?2
         GROUP BY patient.id, consent.code
         HAVING count(*) = count(withdrawn_at) AND max(erase_noted_at) <= ?1
            AND count(*) > count(erased_at)
            AND (max(withdrawn_at > granted_at)
                 OR EXISTS (SELECT 1 FROM stream WHERE stream.patient = consent.patient AND stream.code = consent.code))",
    )?;
    let due = query.query_map([now.minus(after), now.minus(FRESH)], |row| {
        Ok(Due { patient: row.get(0)?, code: row.get(1)?, name: row.get(2)?, until: row.get(3)? })
    })?;
    let due = due.collect::<Result<Vec<_>, _>>()?;
    for one in &due {
        let Due { patient, code, name, until } = one;
        db.execute(
            "UPDATE consent SET erased_at = ? WHERE patient = ? AND code = ? AND erased_at IS NULL",
            params![now, patient, code],
        )?;
        erasure::overwriting(db, || forget(db, one))?;
        let detail = format!("{name}, withdrawn at {until}");
        audit::record(db, now, Actor::Daemon, "data.erase", Some(*patient), &detail)?;
    }
    Ok(due.len())
}

/// Deletes what is not an observation.
fn forget(db: &Connection, due: &Due) -> Result<(), StoreError> {
    let Due { patient, code, name, until: _ } = due;
    db.execute("DELETE FROM adopted WHERE patient = ? AND code = ?", params![patient, code])?;
    db.execute("DELETE FROM hour_count WHERE patient = ? AND code = ?", params![patient, code])?;
    for series in SERIES.iter().filter(|series| series.code == name) {
        db.execute(
            "DELETE FROM rejected WHERE patient = ? AND series_type = ?",
            params![patient, series.series_type],
        )?;
    }
    Ok(())
}

/// Whether there are observations about which [`decide`] has decided.
///
/// # Errors
/// Where the tables cannot be read.
pub fn is_anything_left(db: &Connection) -> Result<bool, StoreError> {
    Ok(next(db)?.is_some())
}

/// A stream with such observations, until when they are such, and whose they are.
fn next(db: &Connection) -> Result<Option<(i64, Timestamp, PatientId)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT stream.id, erased.until, stream.patient
         FROM (SELECT patient, code, max(erased_at) AS until FROM consent
               WHERE erased_at IS NOT NULL GROUP BY patient, code) AS erased
         JOIN stream ON stream.patient = erased.patient AND stream.code = erased.code
         WHERE EXISTS (SELECT 1 FROM observation WHERE observation.stream = stream.id AND instant < erased.until)
         LIMIT 1",
    )?;
    let next = query.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    Ok(next.optional()?)
}

/// Erases some of the observations about which [`decide`] has decided.
///
/// # Errors
/// Where the tables cannot be read or written.
pub fn erase_some(db: &Connection) -> Result<(), StoreError> {
    let Some((stream, until, patient)) = next(db)? else { return Ok(()) };
    erasure::delete_some(db, stream, until)?;
    forget_if_empty(db, stream, patient)
}

/// An empty stream says which device the patient had, and when it was last used.
fn forget_if_empty(db: &Connection, stream: i64, patient: PatientId) -> Result<(), StoreError> {
    let is_empty: bool = db
        .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM observation WHERE stream = ?)")?
        .query_row([stream], |row| row.get(0))?;
    if !is_empty {
        return Ok(());
    }
    erasure::overwriting(db, || {
        db.execute("UPDATE stream SET continues = NULL WHERE continues = ?", [stream])?;
        for table in ["left_out", "event", "outbox", "outbox_count"] {
            db.execute(&format!("DELETE FROM {table} WHERE stream = ?"), [stream])?;
        }
        db.execute("DELETE FROM stream WHERE id = ?", [stream])?;
        db.execute(
            "UPDATE patient_state SET newest = (SELECT max(newest) FROM stream WHERE patient = ?1 AND set_aside = 0)
             WHERE patient = ?1",
            [patient],
        )?;
        Ok(())
    })
}
