//! Who is within whose reach: the conditions that every list of patients and studies carries.

use rusqlite::{Connection, params};

use super::{StoreError, study};
use crate::account::Reach;
use crate::patient::PatientId;
use crate::study::{Study, StudyId};

/// A condition on a column of patients' numbers; the [`Reach`] is the statement's parameter of this place.
pub(super) fn of_patients(column: &str, place: u8) -> String {
    format!(
        "(?{place} IS NULL OR {column} IN
            (SELECT patient_id FROM patient_organizations JOIN account_organizations USING (jhe_organization_id)
             WHERE account_id = ?{place}))"
    )
}

/// A condition on the rows of `study`; the [`Reach`] is the statement's parameter of this place.
pub(super) fn of_studies(place: u8) -> String {
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

/// Whether there is such a study, and within reach.
///
/// # Errors
/// Where the tables cannot be read.
pub fn has_study(db: &Connection, reach: Reach, study: StudyId) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM studies WHERE id = ?1 AND {})",
        of_studies(2)
    ))?;
    Ok(query.query_row(params![study, reach], |row| row.get(0))?)
}

/// The studies within reach that a patient is enrolled in.
///
/// # Errors
/// Where the tables cannot be read.
pub fn studies_of(db: &Connection, reach: Reach, patient: PatientId) -> Result<Vec<Study>, StoreError> {
    let mut studies = Vec::new();
    for one in study::of_patient(db, patient)? {
        if has_study(db, reach, one.id)? {
            studies.push(one);
        }
    }
    Ok(studies)
}
