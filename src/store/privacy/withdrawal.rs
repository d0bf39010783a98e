//! Hides or erases data after the withdrawal of consent, as the setting `data.after_withdrawal` says.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::config::settings::AFTER_WITHDRAWAL;
use crate::model::account::{Actor, Role};
use crate::model::audit_detail::AuditDetail;
use crate::model::{catalog::series::SERIES, patient::PatientId};
use crate::store::privacy::{audit, erasure};
use crate::store::{error::StoreResult, people::visibility};

/// The age at which JHE's answer about a patient's consents is too old for an erasure: JHE may have a new
/// grant.
const FRESH: Duration = Duration::from_hours(1);

/// Returns an SQL condition: the data of a patient with a code may be shown. `patient` and `code` are columns
/// with ids.
pub(crate) fn visible_condition(patient: &str, code: &str) -> String {
    let consents = format!("consents WHERE consents.patient_id = {patient} AND consents.code_id = {code}");
    // Data that never needed a consent stay visible.
    format!(
        "NOT (EXISTS (SELECT 1 FROM settings WHERE key = '{AFTER_WITHDRAWAL}' AND value IN ('hide', 'erase'))
              AND EXISTS (SELECT 1 FROM {consents})
              AND NOT EXISTS (SELECT 1 FROM {consents} AND withdrawn_at IS NULL))"
    )
}

/// Returns true if withdrawn data are hidden, or erased after a delay.
pub(crate) fn hides_withdrawn(db: &Connection) -> StoreResult<bool> {
    let select = format!(
        "SELECT EXISTS (SELECT 1 FROM settings WHERE key = '{AFTER_WITHDRAWAL}' AND value IN ('hide', 'erase'))"
    );
    Ok(db.prepare_cached(&select)?.query_row([], |row| row.get(0))?)
}

/// Returns an SQL condition: a row of `rejected_samples` may be shown. Parameter number `place` of the statement is the
/// [`VisibleTo`]; only operators see samples whose data type is unknown.
///
/// [`VisibleTo`]: crate::model::account::VisibleTo
pub(crate) fn visible_sample_condition(place: u8) -> String {
    let types = SERIES.iter().map(|series| format!("('{}', '{}')", series.series_type, series.code));
    let of_type = format!(
        "FROM (VALUES {}) AS type JOIN codes AS its ON its.code = type.column2
         WHERE type.column1 = rejected_samples.series_type",
        types.collect::<Vec<_>>().join(", ")
    );
    let (patient, code) = ("rejected_samples.patient_id", "its.id");
    format!(
        "NOT EXISTS (SELECT 1 {of_type} AND NOT ({})) AND (?{place} IS NULL OR EXISTS (SELECT 1 {of_type} AND {}))",
        visible_condition(patient, code),
        visibility::code_condition(patient, code, place, Role::Coordinator)
    )
}

/// A patient's data of one code that are due to be erased.
struct DueErasure {
    patient: PatientId,
    code_id: i64,
    code: String,
    withdrawn: Timestamp,
}

/// Marks data as erased whose consent was withdrawn, from every study, for the time `after` since the daemon
/// learned of it. From here on they are refused, also after a new grant. Returns the number of pairs of
/// patient and scope.
pub fn begin_due_erasures(db: &Connection, after: Duration, now: Timestamp) -> StoreResult<usize> {
    db.prepare_cached(
        "UPDATE consents SET withdrawal_seen_at = ?
         WHERE withdrawn_at IS NOT NULL AND withdrawal_seen_at IS NULL AND suspended = 0",
    )?
    .execute([now])?;
    // A patient of JHE only with a fresh answer of JHE; a patient who only ever declined has no data here.
    let mut query = db.prepare_cached(
        "SELECT patients.id, consents.code_id, codes.code, max(withdrawn_at)
         FROM consents JOIN codes ON codes.id = consents.code_id
         JOIN patients ON patients.id = consents.patient_id
         WHERE jhe_patient_id IS NULL OR consents_refreshed_at > ?2
         GROUP BY patients.id, consents.code_id
         HAVING count(*) = count(withdrawn_at) AND max(withdrawal_seen_at) <= ?1
            AND count(*) > count(data_erased_at) AND max(suspended) = 0
            AND (max(withdrawn_at > granted_at)
                 OR EXISTS (SELECT 1 FROM streams WHERE streams.patient_id = consents.patient_id
                            AND streams.code_id = consents.code_id))",
    )?;
    let due = query.query_map([now.minus(after), now.minus(FRESH)], |row| {
        let (patient, code_id) = (row.get(0)?, row.get(1)?);
        Ok(DueErasure { patient, code_id, code: row.get(2)?, withdrawn: row.get(3)? })
    })?;
    let due = due.collect::<Result<Vec<_>, _>>()?;
    for one in &due {
        db.execute(
            "UPDATE consents SET data_erased_at = ?
             WHERE patient_id = ? AND code_id = ? AND data_erased_at IS NULL",
            params![now, one.patient, one.code_id],
        )?;
        erasure::with_secure_delete(db, || delete_derived_rows(db, one.patient, one.code_id, &one.code))?;
        let detail = AuditDetail::default().with_code(&one.code).with("withdrawn at").with(one.withdrawn);
        audit::record(db, now, Actor::Daemon, "data.erase", Some(one.patient), detail)?;
    }
    Ok(due.len())
}

/// Deletes everything but the observations, which [`erase_batch`] deletes in batches.
pub(crate) fn delete_derived_rows(
    db: &Connection,
    patient: PatientId,
    code_id: i64,
    code: &str,
) -> StoreResult<()> {
    for table in ["delivered_elsewhere", "hourly_sample_counts", "data_hours"] {
        db.execute(
            &format!("DELETE FROM {table} WHERE patient_id = ? AND code_id = ?"),
            params![patient, code_id],
        )?;
    }
    for series in SERIES.iter().filter(|series| series.code == code) {
        db.execute(
            "DELETE FROM rejected_samples WHERE patient_id = ? AND series_type = ?",
            params![patient, series.series_type],
        )?;
    }
    Ok(())
}

/// Returns true if observations are left that [`begin_due_erasures`] has marked.
pub fn has_unfinished_erasure(db: &Connection) -> StoreResult<bool> {
    Ok(find_next_stream(db)?.is_some())
}

/// Returns a stream with marked observations, the instant before which they are marked, and the patient.
fn find_next_stream(db: &Connection) -> StoreResult<Option<(i64, Timestamp, PatientId)>> {
    let mut query = db.prepare_cached(
        "SELECT streams.id, erased.until, streams.patient_id
         FROM (SELECT patient_id, code_id, max(data_erased_at) AS until FROM consents
               WHERE data_erased_at IS NOT NULL GROUP BY patient_id, code_id) AS erased
         JOIN streams ON streams.patient_id = erased.patient_id AND streams.code_id = erased.code_id
         WHERE EXISTS (SELECT 1 FROM observations
                       WHERE observations.stream_id = streams.id AND instant < erased.until)
         LIMIT 1",
    )?;
    let next = query.query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    Ok(next.optional()?)
}

/// Erases one batch of the marked observations.
pub fn erase_batch(db: &Connection, now: Timestamp) -> StoreResult<()> {
    let Some((stream, until, patient)) = find_next_stream(db)? else { return Ok(()) };
    erasure::delete_observations(db, stream, until, now)?;
    delete_empty_stream(db, stream, patient)
}

/// Deletes a stream without observations: it would still tell which device the patient used, and until when.
fn delete_empty_stream(db: &Connection, stream: i64, patient: PatientId) -> StoreResult<()> {
    let is_empty: bool = db
        .prepare_cached("SELECT NOT EXISTS (SELECT 1 FROM observations WHERE stream_id = ?)")?
        .query_row([stream], |row| row.get(0))?;
    if !is_empty {
        return Ok(());
    }
    erasure::with_secure_delete(db, || {
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
