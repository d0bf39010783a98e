//! A look at the store by somebody who changes nothing of it, whatever its state: for the doctor.

use std::path::Path;

use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::alert::Channel;
use crate::model::patient::PatientId;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::inspect;
use crate::store::error::StoreError;
use crate::store::people::consent;

/// A read-only connection to the store in `directory`, which may have an older schema. Not for a process that has the
/// store open already.
///
/// # Errors
/// Where the file cannot be opened.
pub fn reader(directory: &Path) -> Result<Connection, StoreError> {
    inspect::reader(&directory.join(FILE_NAME))
}

/// Whether the file is sound, its indexes too. Reads all of it, and answers the first thing that is wrong.
///
/// # Errors
/// Where it is not even a database any more.
pub fn soundness(db: &Connection) -> Result<Option<String>, StoreError> {
    let found: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Patients who are linked and consent to something, and how fresh their data are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freshness {
    /// How many they are.
    pub patients: i64,
    /// The newest sample of all.
    pub newest: Option<Timestamp>,
    /// Of them, those whose data are read: a device delivers what they consent to.
    pub read: i64,
    /// Of those, whose last turn ended in an error.
    pub in_error: i64,
}

/// How fresh the data are of those who are linked and consent.
///
/// # Errors
/// Where the tables cannot be read.
pub fn freshness(db: &Connection) -> Result<Freshness, StoreError> {
    let counted = db.query_row(
        &format!(
            "SELECT count(*), max(newest_instant), count(*) FILTER (WHERE is_read),
                    count(*) FILTER (WHERE is_read AND last_error IS NOT NULL)
             FROM (SELECT state.newest_instant, state.last_error,
                          EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = links.patient_id
                          AND withdrawn_at IS NULL
                                  AND {}) AS is_read
                   FROM links LEFT JOIN sync_status AS state ON state.patient_id = links.patient_id
                   WHERE links.state = 'active' AND EXISTS
                       (SELECT 1 FROM consents WHERE consents.patient_id = links.patient_id
                       AND withdrawn_at IS NULL))",
            consent::IS_DELIVERED
        ),
        [],
        |row| {
            Ok(Freshness {
                patients: row.get(0)?,
                newest: row.get(1)?,
                read: row.get(2)?,
                in_error: row.get(3)?,
            })
        },
    );
    Ok(counted?)
}

/// Alerts that could not be told on a channel so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// How many.
    pub alerts: i64,
    /// Since when the first of them is to be told.
    pub since: Timestamp,
    /// Why the last attempt at one of them failed.
    pub error: String,
}

/// What waits on a channel after a failure; none where nothing does.
///
/// # Errors
/// Where the table cannot be read.
pub fn untold(db: &Connection, channel: Channel) -> Result<Option<Untold>, StoreError> {
    let found = db.query_row(
        "SELECT count(*), min(raised_at), max(last_error) FROM alerts
         WHERE channel = ? AND sent_at IS NULL AND last_error IS NOT NULL",
        [channel.as_str()],
        |row| {
            let (since, error): (Option<Timestamp>, Option<String>) = (row.get(1)?, row.get(2)?);
            let alerts = row.get(0)?;
            Ok(since.zip(error).map(|(since, error)| Untold { alerts, since, error }))
        },
    );
    Ok(found?)
}

/// Patients whose OW user is gone.
///
/// # Errors
/// Where the table cannot be read.
pub fn to_be_relinked(db: &Connection) -> Result<Vec<PatientId>, StoreError> {
    let mut query =
        db.prepare("SELECT patient_id FROM links WHERE state = 'needs_relink' ORDER BY patient_id")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// How many samples could not be converted, and of how many patients.
///
/// # Errors
/// Where the table cannot be read.
pub fn rejected(db: &Connection) -> Result<(i64, i64), StoreError> {
    let counted =
        db.query_row("SELECT count(*), count(DISTINCT patient_id) FROM rejected_samples", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
    Ok(counted?)
}

/// Whether there is a code, by its name.
///
/// # Errors
/// Where the table cannot be read.
pub fn has_code(db: &Connection, code: &str) -> Result<bool, StoreError> {
    Ok(db.query_row("SELECT EXISTS (SELECT 1 FROM codes WHERE code = ?)", [code], |row| row.get(0))?)
}
