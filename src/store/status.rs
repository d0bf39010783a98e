//! What the pages and the poller note and read about each patient, without counting anything.

use rusqlite::{Connection, params};

use super::{StoreError, consent};
use crate::intervals::Grant;
use crate::patient::PatientId;
use crate::time::Timestamp;

/// Which of the rarer reads a patient has had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// The last week was read.
    pub deep: bool,
    /// The last five weeks were read.
    pub wide: bool,
    /// The OW user was checked.
    pub checked: bool,
}

/// A line of the status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who.
    pub patient: PatientId,
    /// `ow:<uuid>`, where there is a link.
    pub link: Option<String>,
    /// Whether OW no longer knows the linked user.
    pub needs_relink: bool,
    /// The scopes that the patient ever granted, with their grants.
    pub scopes: Vec<(String, Vec<Grant>)>,
    /// Newest sample kept.
    pub newest: Option<Timestamp>,
    /// The last tick that read this patient.
    pub polled: Option<Timestamp>,
    /// What went wrong in it.
    pub error: Option<String>,
    /// Samples of the last 24 hours by sample time.
    pub last_day: i64,
    /// Samples that OW counted in the last full days and we do not have.
    pub missing: i64,
}

/// Notes how a patient's turn in a tick ended.
///
/// # Errors
/// Where the row cannot be written.
pub fn note_turn(
    db: &Connection,
    patient: PatientId,
    error: Option<&str>,
    reads: Reads,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO patient_state (patient, polled_at, error, deep_at, wide_at, checked_at)
         VALUES (?1, ?2, ?3, iif(?4, ?2, NULL), iif(?5, ?2, NULL), iif(?6, ?2, NULL))
         ON CONFLICT DO UPDATE SET polled_at = excluded.polled_at, error = excluded.error,
             deep_at = coalesce(excluded.deep_at, deep_at), wide_at = coalesce(excluded.wide_at, wide_at),
             checked_at = coalesce(excluded.checked_at, checked_at)",
    )?
    .execute(params![patient, now, error, reads.deep, reads.wide, reads.checked])?;
    Ok(())
}

/// Notes how many samples of the last full days OW has and we have not. Where there are any, the next
/// tick reads five weeks.
///
/// # Errors
/// Where the row cannot be written.
pub fn note_missing(db: &Connection, patient: PatientId, missing: i64) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO patient_state (patient, missing) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET missing = ?2",
    )?
    .execute(params![patient, missing])?;
    Ok(())
}

/// One line for each patient with a number above `after`, at most `limit`.
///
/// # Errors
/// Where the tables cannot be read.
pub fn lines(db: &Connection, now: Timestamp, after: i64, limit: u32) -> Result<Vec<Line>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT patient.id, link.ow_user, link.state = 'needs_relink', state.newest, state.polled_at, state.error,
                coalesce(state.missing, 0),
                (SELECT coalesce(sum(samples), 0) FROM hour_count
                 WHERE hour_count.patient = patient.id AND hour > ?1 AND hour <= ?2)
         FROM patient
         LEFT JOIN link ON link.patient = patient.id AND link.state <> 'unlinked'
         LEFT JOIN patient_state AS state ON state.patient = patient.id
         WHERE patient.id > ?3 ORDER BY patient.id LIMIT ?4",
    )?;
    let lines = query.query_map(params![now.hour() - 24, now.hour(), after, limit], |row| {
        Ok(Line {
            patient: row.get(0)?,
            link: row.get::<_, Option<String>>(1)?.map(|user| format!("ow:{user}")),
            needs_relink: row.get::<_, Option<bool>>(2)?.unwrap_or(false),
            scopes: Vec::new(),
            newest: row.get(3)?,
            polled: row.get(4)?,
            error: row.get(5)?,
            missing: row.get(6)?,
            last_day: row.get(7)?,
        })
    })?;
    let mut lines = lines.collect::<Result<Vec<Line>, _>>()?;
    for line in &mut lines {
        line.scopes = consent::scopes(db, line.patient)?;
    }
    Ok(lines)
}

/// Proves that the store can be written, by writing nothing that stays.
///
/// # Errors
/// Why it cannot.
pub fn prove_writable(db: &Connection) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO counter (name, value) VALUES ('writable', 1) ON CONFLICT DO UPDATE SET value = value + 1",
        [],
    )?;
    Ok(())
}
