use rusqlite::{Connection, OptionalExtension};
use sha2::{Digest, Sha256};

use crate::common::time::Timestamp;
use crate::model::patient::{OwUser, PatientId};
use crate::store::error::StoreError;

/// Who knows a patient by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Jhe,
    Ow,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Jhe => "jhe",
            Self::Ow => "ow",
        }
    }
}

/// How far the erasure of a patient has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// Whether the rows are gone.
    pub rows_gone: Option<Timestamp>,
    /// Whether the file was rewritten without them.
    pub vacuumed: Option<Timestamp>,
    /// Whether JHE knew the patient.
    pub is_of_jhe: bool,
}

/// How far the erasure of a patient has come; none where it has not begun.
///
/// # Errors
/// Where the tables cannot be read.
pub fn find(db: &Connection, id: PatientId) -> Result<Option<Erasure>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT rows_deleted_at, vacuumed_at,
                EXISTS (SELECT 1 FROM erased_identifiers
                WHERE erased_identifiers.patient_id = erasures.patient_id AND kind = 'jhe')
         FROM erasures WHERE patient_id = ?",
    )?;
    let found = query.query_row([id], |row| {
        Ok(Erasure { rows_gone: row.get(0)?, vacuumed: row.get(1)?, is_of_jhe: row.get(2)? })
    });
    Ok(found.optional()?)
}

/// Refuses to take in somebody who was erased here, by JHE's number.
///
/// # Errors
/// A sentence where that is so.
pub fn refuse_jhe(db: &Connection, jhe_id: i64) -> Result<(), StoreError> {
    refuse(db, Kind::Jhe, &jhe_id.to_string(), &format!("JHE patient {jhe_id}"))
}

/// Refuses to link somebody who was erased here, by the OW user.
///
/// # Errors
/// A sentence where that is so.
pub fn refuse_ow(db: &Connection, user: &OwUser) -> Result<(), StoreError> {
    refuse(db, Kind::Ow, user.as_str(), &user.to_string())
}

pub(crate) fn refuse(db: &Connection, kind: Kind, name: &str, shown: &str) -> Result<(), StoreError> {
    match named(db, kind, name)? {
        None => Ok(()),
        Some((id, at)) => Err(StoreError::Refused(format!(
            "{shown} was patient {id} here, who was erased at {at}, and does not come in again unasked; where the \
             person wants to: jhe-ow patient readmit {id}"
        ))),
    }
}

/// The erased patient of this name, and since when.
pub(crate) fn named(
    db: &Connection,
    kind: Kind,
    name: &str,
) -> Result<Option<(PatientId, Timestamp)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT patient_id, started_at, salt, hash FROM erased_identifiers JOIN erasures USING (patient_id)
         WHERE kind = ?",
    )?;
    let mut rows = query.query([kind.as_str()])?;
    while let Some(row) = rows.next()? {
        let (salt, kept): ([u8; 16], [u8; 32]) = (row.get(2)?, row.get(3)?);
        if hash(&salt, kind, name) == kept {
            return Ok(Some((row.get(0)?, row.get(1)?)));
        }
    }
    Ok(None)
}

pub(crate) fn hash(salt: &[u8; 16], kind: Kind, name: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(salt);
    digest.update(kind.as_str());
    digest.update([0]);
    digest.update(name);
    digest.finalize().into()
}
