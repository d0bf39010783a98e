//! Who is within whose reach: the conditions that every list of patients and studies carries.

use rusqlite::{Connection, params};

use crate::model::account::Reach;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;

/// A condition on a column of patients' numbers; the [`Reach`] is the statement's parameter of this place.
pub(crate) fn of_patients(column: &str, place: u8) -> String {
    format!(
        "(?{place} IS NULL OR {column} IN
            (SELECT patient_id FROM patient_organizations JOIN account_organizations USING (jhe_organization_id)
             WHERE account_id = ?{place}))"
    )
}

/// A condition on the rows of `study`; the [`Reach`] is the statement's parameter of this place.
pub(crate) fn of_studies(place: u8) -> String {
    format!(
        "(?{place} IS NULL OR studies.jhe_organization_id IN
            (SELECT jhe_organization_id FROM account_organizations WHERE account_id = ?{place}))"
    )
}

/// Whether there is such a patient, and within reach.
///
/// # Errors
/// Where the tables cannot be read.
pub fn has_patient(db: &Connection, reach: Reach, patient: PatientId) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM patients WHERE id = ?1 AND {})",
        of_patients("patients.id", 2)
    ))?;
    Ok(query.query_row(params![patient, reach], |row| row.get(0))?)
}
