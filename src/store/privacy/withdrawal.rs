//! What becomes of what is kept once its consent is withdrawn, as the setting `data.after_withdrawal` says.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::config::settings::AFTER_WITHDRAWAL;
use crate::model::account::Actor;
use crate::model::catalog::series::SERIES;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::privacy::{audit, erasure};

/// A condition: whether what a patient has of a code may be shown. Both are columns of numbers. What nobody ever agreed
/// to is not for the setting to hide.
pub(crate) fn is_shown(patient: &str, code: &str) -> String {
    format!(
        "NOT (EXISTS (SELECT 1 FROM settings WHERE key = '{AFTER_WITHDRAWAL}' AND value IN ('hide', 'erase'))
              AND EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = {patient} AND consents.code_id = {code})
              AND NOT EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = {patient}
              AND consents.code_id = {code}
                              AND withdrawn_at IS NULL))"
    )
}

/// The same of a row of `rejected`.
pub(crate) fn is_sample_shown() -> String {
    let types = SERIES.iter().map(|series| format!("('{}', '{}')", series.series_type, series.code));
    format!(
        "NOT EXISTS (SELECT 1 FROM (VALUES {}) AS type JOIN codes AS its ON its.code = type.column2
                     WHERE type.column1 = rejected_samples.series_type AND NOT ({}))",
        types.collect::<Vec<_>>().join(", "),
        is_shown("rejected_samples.patient_id", "its.id")
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
        "UPDATE consents SET withdrawal_seen_at = ? WHERE withdrawn_at IS NOT NULL AND withdrawal_seen_at IS NULL",
    )?
    .execute([now])?;
    let mut query = db.prepare_cached(
        "SELECT patients.id, consents.code_id, codes.code, max(withdrawn_at)
         FROM consents JOIN codes ON codes.id = consents.code_id JOIN patients ON patients.id = consents.patient_id
         WHERE jhe_patient_id IS NULL OR consents_refreshed_at > ?2
         GROUP BY patients.id, consents.code_id
         HAVING count(*) = count(withdrawn_at) AND max(withdrawal_seen_at) <= ?1
            AND count(*) > count(data_erased_at)
            AND (max(withdrawn_at > granted_at)
                 OR EXISTS (SELECT 1 FROM streams WHERE streams.patient_id = consents.patient_id
                 AND streams.code_id = consents.code_id))",
    )?;
    let due = query.query_map([now.minus(after), now.minus(FRESH)], |row| {
        Ok(Due { patient: row.get(0)?, code: row.get(1)?, name: row.get(2)?, until: row.get(3)? })
    })?;
    let due = due.collect::<Result<Vec<_>, _>>()?;
    for one in &due {
        let Due { patient, code, name, until } = one;
        db.execute(
            "UPDATE consents SET data_erased_at = ? WHERE patient_id = ? AND code_id = ? AND data_erased_at IS NULL",
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
    db.execute(
        "DELETE FROM delivered_elsewhere WHERE patient_id = ? AND code_id = ?",
        params![patient, code],
    )?;
    db.execute(
        "DELETE FROM hourly_sample_counts WHERE patient_id = ? AND code_id = ?",
        params![patient, code],
    )?;
    for series in SERIES.iter().filter(|series| series.code == name) {
        db.execute(
            "DELETE FROM rejected_samples WHERE patient_id = ? AND series_type = ?",
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
        "SELECT streams.id, erased.until, streams.patient_id
         FROM (SELECT patient_id, code_id, max(data_erased_at) AS until FROM consents
               WHERE data_erased_at IS NOT NULL GROUP BY patient_id, code_id) AS erased
         JOIN streams ON streams.patient_id = erased.patient_id AND streams.code_id = erased.code_id
         WHERE EXISTS (SELECT 1 FROM observations WHERE observations.stream_id = streams.id
         AND instant < erased.until)
         LIMIT 1",
    )?;
    let next = query.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    Ok(next.optional()?)
}

/// Erases some of the observations about which [`decide`] has decided.
///
/// # Errors
/// Where the tables cannot be read or written.
pub fn erase_some(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    let Some((stream, until, patient)) = next(db)? else { return Ok(()) };
    erasure::delete_some(db, stream, until, now)?;
    forget_if_empty(db, stream, patient)
}

/// An empty stream says which device the patient had, and when it was last used.
fn forget_if_empty(db: &Connection, stream: i64, patient: PatientId) -> Result<(), StoreError> {
    let is_empty: bool = db
        .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM observations WHERE stream_id = ?)")?
        .query_row([stream], |row| row.get(0))?;
    if !is_empty {
        return Ok(());
    }
    erasure::overwriting(db, || {
        db.execute("UPDATE streams SET renamed_from_id = NULL WHERE renamed_from_id = ?", [stream])?;
        for table in ["export_exclusions", "event_ids", "outbox", "outbox_counts"] {
            db.execute(&format!("DELETE FROM {table} WHERE stream_id = ?"), [stream])?;
        }
        db.execute("DELETE FROM streams WHERE id = ?", [stream])?;
        db.execute(
            "UPDATE sync_status SET newest_instant = (SELECT max(newest_instant) FROM streams
             WHERE patient_id = ?1 AND entered_in_error = 0)
             WHERE patient_id = ?1",
            [patient],
        )?;
        Ok(())
    })
}
