//! Patients' connections to providers as last seen at OW, and OAuth authorizations in progress.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::secrets::token::TokenHash;
use crate::store::error::StoreResult;
use crate::store::people::{collection_window, invitation};

/// The state of a connection, as last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// The patient was sent to the provider and has not come back.
    Authorizing,
    Active,
    /// The patient disconnected; OW has not confirmed it yet.
    Ending,
    Ended,
}

impl ConnectionState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorizing => "authorizing",
            Self::Active => "active",
            Self::Ending => "ending",
            Self::Ended => "ended",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceConnection {
    /// The provider's name in OW's paths.
    pub provider: String,
    pub state: ConnectionState,
    /// Time of the last change of the state.
    pub changed: Timestamp,
}

/// An OAuth authorization in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization {
    pub patient: PatientId,
    pub provider: String,
    /// The browser's session; none if an API client began it.
    pub session: Option<TokenHash>,
    /// OW drops the authorization then.
    pub expires: Timestamp,
}

/// Records the state of a connection and returns true if it changed. A new authorization does not end an
/// active connection.
pub fn record(
    db: &Connection,
    patient: PatientId,
    provider: &str,
    state: ConnectionState,
    now: Timestamp,
) -> StoreResult<bool> {
    let began_here = state == ConnectionState::Active
        && list(db, patient)?
            .iter()
            .any(|one| one.provider == provider && one.state == ConnectionState::Authorizing);
    let insert = "INSERT INTO connections (patient_id, provider, state, changed_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET state = ?3, changed_at = ?4
         WHERE state <> ?3 AND NOT (state = 'active' AND ?3 = 'authorizing')";
    let changed = db.execute(insert, params![patient, provider, state.as_str(), now])?;
    if changed > 0 && state == ConnectionState::Active {
        // One that was made elsewhere is first seen some time after the link.
        let linked = if began_here { None } else { collection_window::find_linked(db, patient)? };
        collection_window::record_connected(db, patient, linked.unwrap_or(now))?;
    }
    Ok(changed > 0)
}

/// Records OW's list of a patient's active connections. Connections missing from it have ended.
pub fn record_active(
    db: &Connection,
    patient: PatientId,
    active: &[String],
    now: Timestamp,
) -> StoreResult<()> {
    let devices = list(db, patient)?;
    for device in &devices {
        let was = matches!(device.state, ConnectionState::Active | ConnectionState::Ending);
        if was && !active.contains(&device.provider) {
            record(db, patient, &device.provider, ConnectionState::Ended, now)?;
        }
    }
    for provider in active {
        let is_ending = |device: &DeviceConnection| device.state == ConnectionState::Ending;
        // OW lists a connection until it has confirmed the end.
        if !devices.iter().any(|device| device.provider == *provider && is_ending(device)) {
            record(db, patient, provider, ConnectionState::Active, now)?;
        }
    }
    if active.is_empty() { Ok(()) } else { invitation::complete_used(db, patient, now) }
}

/// Deletes a connection whose authorization failed or was cancelled.
pub fn delete_authorizing(db: &Connection, patient: PatientId, provider: &str) -> StoreResult<()> {
    let delete = "DELETE FROM connections WHERE patient_id = ? AND provider = ? AND state = 'authorizing'";
    db.execute(delete, params![patient, provider])?;
    Ok(())
}

/// Marks all active connections of a patient as ending and cancels authorizations in progress.
pub fn end_all(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<()> {
    db.execute("DELETE FROM authorizations WHERE patient_id = ?", [patient])?;
    db.execute("DELETE FROM connections WHERE patient_id = ? AND state = 'authorizing'", [patient])?;
    let update =
        "UPDATE connections SET state = 'ending', changed_at = ?2 WHERE patient_id = ?1 AND state = 'active'";
    db.execute(update, params![patient, now])?;
    Ok(())
}

/// Lists the patients with a connection that OW has not ended yet.
pub fn list_patients_to_disconnect(db: &Connection) -> StoreResult<Vec<PatientId>> {
    let mut query =
        db.prepare_cached("SELECT DISTINCT patient_id FROM connections WHERE state = 'ending'")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

pub fn list_active_providers(db: &Connection, patient: PatientId) -> StoreResult<Vec<String>> {
    let mut devices = list(db, patient)?;
    devices.retain(|device| device.state == ConnectionState::Active);
    Ok(devices.into_iter().map(|device| device.provider).collect())
}

pub fn list(db: &Connection, patient: PatientId) -> StoreResult<Vec<DeviceConnection>> {
    let select = "SELECT provider, state, changed_at FROM connections WHERE patient_id = ? ORDER BY provider";
    let mut query = db.prepare_cached(select)?;
    let devices = query.query_map([patient], |row| {
        let state = match row.get_ref(1)?.as_str()? {
            "active" => ConnectionState::Active,
            "ending" => ConnectionState::Ending,
            "ended" => ConnectionState::Ended,
            _ => ConnectionState::Authorizing,
        };
        Ok(DeviceConnection { provider: row.get(0)?, state, changed: row.get(2)? })
    })?;
    Ok(devices.collect::<Result<_, _>>()?)
}

/// Inserts an authorization, marks the connection as authorizing, and deletes expired authorizations.
pub fn insert_authorization(
    db: &Connection,
    state: TokenHash,
    authorization: &Authorization,
    now: Timestamp,
) -> StoreResult<()> {
    db.execute("DELETE FROM authorizations WHERE expires_at <= ?", [now])?;
    let Authorization { patient, provider, session, expires } = authorization;
    let insert =
        "INSERT OR REPLACE INTO authorizations (state_hash, patient_id, provider, session_hash, expires_at)
         VALUES (?, ?, ?, ?, ?)";
    db.execute(insert, params![state, patient, provider, session, expires])?;
    record(db, *patient, provider, ConnectionState::Authorizing, now)?;
    Ok(())
}

pub fn find_authorization(
    db: &Connection,
    state: TokenHash,
    now: Timestamp,
) -> StoreResult<Option<Authorization>> {
    let select = "SELECT patient_id, provider, session_hash, expires_at FROM authorizations
         WHERE state_hash = ? AND expires_at > ?";
    let from_row = |row: &Row| {
        let (patient, provider, session, expires) = row.try_into()?;
        Ok(Authorization { patient, provider, session, expires })
    };
    Ok(db.prepare_cached(select)?.query_row(params![state, now], from_row).optional()?)
}

/// Deletes an authorization, so that it serves once. Returns false if it is gone.
pub fn consume_authorization(db: &Connection, state: TokenHash) -> StoreResult<bool> {
    Ok(db.execute("DELETE FROM authorizations WHERE state_hash = ?", [state])? > 0)
}
