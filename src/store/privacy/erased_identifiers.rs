//! Salted hashes of erased patients' identifiers at JHE and OW, so that the person is not taken in again
//! unawares.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::common::time::Timestamp;
use crate::model::patient::{OwUser, PatientId};
use crate::store::error::{StoreError, StoreResult};

/// The system that issued an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdentifierKind {
    Jhe,
    Ow,
}

impl IdentifierKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Jhe => "jhe",
            Self::Ow => "ow",
        }
    }
}

/// The progress of a patient's erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    pub started: Timestamp,
    pub rows_deleted: Option<Timestamp>,
    /// The time at which the file was rewritten without the rows.
    pub vacuumed: Option<Timestamp>,
    pub was_at_jhe: bool,
}

/// Returns the progress of a patient's erasure; none if it has not begun.
pub fn find_erasure(db: &Connection, id: PatientId) -> StoreResult<Option<Erasure>> {
    let mut query = db.prepare_cached(
        "SELECT started_at, rows_deleted_at, vacuumed_at,
                EXISTS (SELECT 1 FROM erased_identifiers
                        WHERE erased_identifiers.patient_id = erasures.patient_id AND kind = 'jhe')
         FROM erasures WHERE patient_id = ?",
    )?;
    let found = query.query_row([id], |row| {
        let (started, rows_deleted, vacuumed) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Erasure { started, rows_deleted, vacuumed, was_at_jhe: row.get(3)? })
    });
    Ok(found.optional()?)
}

/// Refuses a patient of JHE who was erased here.
pub fn refuse_jhe_id(db: &Connection, jhe_id: i64) -> StoreResult<()> {
    refuse(db, IdentifierKind::Jhe, &jhe_id.to_string(), &format!("JHE patient {jhe_id}"))
}

/// Refuses to link the OW user of a patient who was erased here.
pub fn refuse_ow_user(db: &Connection, user: &OwUser) -> StoreResult<()> {
    refuse(db, IdentifierKind::Ow, user.as_str(), &user.to_string())
}

fn refuse(db: &Connection, kind: IdentifierKind, identifier: &str, shown: &str) -> StoreResult<()> {
    match find_patient(db, kind, identifier)? {
        None => Ok(()),
        Some((id, at)) => Err(StoreError::Refused(format!(
            "{shown} was patient {id} here, who was erased at {at}, and is not taken in again by accident; \
             if the person wants to come back: jhe-ow patient readmit {id}"
        ))),
    }
}

/// Returns the erased patient with this identifier, and when the erasure began.
pub(crate) fn find_patient(
    db: &Connection,
    kind: IdentifierKind,
    identifier: &str,
) -> StoreResult<Option<(PatientId, Timestamp)>> {
    find_patient_in(db, "main", kind, identifier)
}

/// Returns true if an attached database has erased a patient with this identifier.
pub(crate) fn is_erased_in(
    db: &Connection,
    schema: &str,
    kind: IdentifierKind,
    identifier: &str,
) -> StoreResult<bool> {
    Ok(find_patient_in(db, schema, kind, identifier)?.is_some())
}

fn find_patient_in(
    db: &Connection,
    schema: &str,
    kind: IdentifierKind,
    identifier: &str,
) -> StoreResult<Option<(PatientId, Timestamp)>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT patient_id, started_at, salt, hash FROM {schema}.erased_identifiers
         JOIN {schema}.erasures USING (patient_id) WHERE kind = ?"
    ))?;
    let mut rows = query.query([kind.as_str()])?;
    // Each row has its own salt, so no index can find the identifier.
    while let Some(row) = rows.next()? {
        let (salt, stored): ([u8; 16], [u8; 32]) = (row.get(2)?, row.get(3)?);
        if hash(&salt, kind, identifier) == stored {
            return Ok(Some((row.get(0)?, row.get(1)?)));
        }
    }
    Ok(None)
}

/// Stores the hash of an identifier of a patient whose erasure has begun.
pub(crate) fn insert(
    db: &Connection,
    id: PatientId,
    kind: IdentifierKind,
    identifier: &str,
) -> StoreResult<()> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| StoreError::Other(format!("no randomness: {error}")))?;
    db.execute(
        "INSERT INTO erased_identifiers (patient_id, kind, salt, hash) VALUES (?, ?, ?, ?)",
        params![id, kind.as_str(), salt, hash(&salt, kind, identifier)],
    )?;
    Ok(())
}

/// Deletes an erased patient's identifiers, so that the person can be taken in again; returns false if there
/// were none.
pub fn readmit(db: &Connection, id: PatientId) -> StoreResult<bool> {
    Ok(db.execute("DELETE FROM erased_identifiers WHERE patient_id = ?", [id])? > 0)
}

fn hash(salt: &[u8; 16], kind: IdentifierKind, identifier: &str) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(salt);
    digest.update(kind.as_str());
    digest.update([0]);
    digest.update(identifier);
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    #[test]
    fn an_identifier_is_recognised_by_its_kind_until_the_patient_is_readmitted() {
        let db = in_memory();
        db.execute("INSERT INTO erasures (patient_id, started_at) VALUES (7, 0)", []).unwrap();
        insert(&db, PatientId::new(7), IdentifierKind::Jhe, "40001").unwrap();
        let found = |kind, identifier| find_patient(&db, kind, identifier).unwrap().map(|(id, _)| id.get());
        assert_eq!(found(IdentifierKind::Jhe, "40001"), Some(7));
        assert_eq!(found(IdentifierKind::Jhe, "40002"), None);
        assert_eq!(found(IdentifierKind::Ow, "40001"), None);
        assert!(readmit(&db, PatientId::new(7)).unwrap());
        assert_eq!(found(IdentifierKind::Jhe, "40001"), None);
    }
}
