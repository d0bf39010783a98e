//! How far patients' devices are connected through OW, and authorizations under way.

use rusqlite::{Connection as Database, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::secrets::token::TokenHash;
use crate::store::error::StoreError;

/// How far a device is connected, as last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The patient was sent to the provider and has not come back.
    Authorizing,
    /// OW has it.
    Active,
    /// The patient ended it, and OW could not be told yet.
    Ending,
    /// It was connected and is no more.
    Ended,
}

impl State {
    /// As tables and pages write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorizing => "authorizing",
            Self::Active => "active",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

/// A patient's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The provider, as OW's paths name it.
    pub provider: String,
    /// How far it is connected.
    pub state: State,
    /// Since when.
    pub changed: Timestamp,
}

/// An authorization that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    /// Whose.
    pub patient: PatientId,
    /// At which provider.
    pub provider: String,
    /// In which browser's session; none where an API client began it.
    pub session: Option<TokenHash>,
    /// When OW forgets it.
    pub expires: Timestamp,
}

/// Notes how far a device is connected; answers whether that is news. Going to the provider again does not
/// end what is connected.
///
/// # Errors
/// Where the table cannot be written.
pub fn note(
    db: &Database,
    patient: PatientId,
    provider: &str,
    state: State,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let changed = db.execute(
        "INSERT INTO connections (patient_id, provider, state, changed_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET state = ?3, changed_at = ?4
         WHERE state <> ?3 AND NOT (state = 'active' AND ?3 = 'authorizing')",
        params![patient, provider, state.as_str(), now],
    )?;
    Ok(changed > 0)
}

/// Notes what OW's list of a patient's connections says: the providers in `active` are connected, all others
/// that were no longer are.
///
/// # Errors
/// Where the table cannot be written.
pub fn note_active(
    db: &Database,
    patient: PatientId,
    active: &[String],
    now: Timestamp,
) -> Result<(), StoreError> {
    let devices = devices(db, patient)?;
    for device in &devices {
        let was = matches!(device.state, State::Active | State::Ending);
        if was && !active.contains(&device.provider) {
            note(db, patient, &device.provider, State::Ended, now)?;
        }
    }
    for provider in active {
        // One that is ending is still in OW's list.
        if devices.iter().any(|device| device.state == State::Ending && device.provider == *provider) {
            continue;
        }
        note(db, patient, provider, State::Active, now)?;
    }
    Ok(())
}

/// Notes that a patient did not come back from a provider with a connection.
///
/// # Errors
/// Where the table cannot be written.
pub fn abandon(db: &Database, patient: PatientId, provider: &str) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM connections WHERE patient_id = ? AND provider = ? AND state = 'authorizing'",
        params![patient, provider],
    )?;
    Ok(())
}

/// Notes that all of a patient's devices are to be ended; authorizations under way lead to nothing any more.
///
/// # Errors
/// Where the tables cannot be written.
pub fn end_all(db: &Database, patient: PatientId, now: Timestamp) -> Result<(), StoreError> {
    db.execute("DELETE FROM authorizations WHERE patient_id = ?", [patient])?;
    db.execute("DELETE FROM connections WHERE patient_id = ? AND state = 'authorizing'", [patient])?;
    db.execute(
        "UPDATE connections SET state = 'ending', changed_at = ?2 WHERE patient_id = ?1 AND state = 'active'",
        params![patient, now],
    )?;
    Ok(())
}

/// The patients some of whose devices are still to be ended.
///
/// # Errors
/// Where the table cannot be read.
pub fn ending(db: &Database) -> Result<Vec<PatientId>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT DISTINCT patient_id FROM connections WHERE state = 'ending'")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The providers whose devices a patient has connected, as last seen.
///
/// # Errors
/// Where the table cannot be read.
pub fn active(db: &Database, patient: PatientId) -> Result<Vec<String>, StoreError> {
    let devices = devices(db, patient)?.into_iter();
    let active = devices.filter(|device| device.state == State::Active);
    Ok(active.map(|device| device.provider).collect())
}

/// A patient's devices, by provider.
///
/// # Errors
/// Where the table cannot be read.
pub fn devices(db: &Database, patient: PatientId) -> Result<Vec<Device>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT provider, state, changed_at FROM connections WHERE patient_id = ? ORDER BY provider",
    )?;
    let devices = query.query_map([patient], |row| {
        let state = match row.get_ref(1)?.as_str()? {
            "active" => State::Active,
            "ending" => State::Ending,
            "ended" => State::Ended,
            _ => State::Authorizing,
        };
        Ok(Device { provider: row.get(0)?, state, changed: row.get(2)? })
    })?;
    Ok(devices.collect::<Result<_, _>>()?)
}

/// Keeps an authorization that begins; those that OW has forgotten are cleared away.
///
/// # Errors
/// Where the tables cannot be written.
pub fn begin(
    db: &Database,
    state: TokenHash,
    authorization: &Authorization,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.execute("DELETE FROM authorizations WHERE expires_at <= ?", [now])?;
    let Authorization { patient, provider, session, expires } = authorization;
    db.execute(
        "INSERT OR REPLACE INTO authorizations (state_hash, patient_id, provider, session_hash, expires_at)
         VALUES (?, ?, ?, ?, ?)",
        params![state, patient, provider, session, expires],
    )?;
    note(db, *patient, provider, State::Authorizing, now)?;
    Ok(())
}

/// The authorization of this state, where it still stands.
///
/// # Errors
/// Where the table cannot be read.
pub fn find(db: &Database, state: TokenHash, now: Timestamp) -> Result<Option<Authorization>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT patient_id, provider, session_hash, expires_at FROM authorizations WHERE state_hash = ?
         AND expires_at > ?",
    )?;
    let found = query.query_row(params![state, now], |row| {
        Ok(Authorization {
            patient: row.get(0)?,
            provider: row.get(1)?,
            session: row.get(2)?,
            expires: row.get(3)?,
        })
    });
    Ok(found.optional()?)
}

/// Uses an authorization up; answers whether it was there to use.
///
/// # Errors
/// Where the table cannot be written.
pub fn consume(db: &Database, state: TokenHash) -> Result<bool, StoreError> {
    Ok(db.execute("DELETE FROM authorizations WHERE state_hash = ?", [state])? > 0)
}
