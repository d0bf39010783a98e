//! SQL conditions that limit lists of patients and studies to what an account may see.

use rusqlite::{Connection, params};

use crate::model::{account::VisibleTo, patient::PatientId};
use crate::store::error::StoreResult;

/// Returns a condition on a column that holds patient ids. Parameter number `place` of the statement is the
/// [`VisibleTo`].
pub(crate) fn patient_condition(column: &str, place: u8) -> String {
    // NULL stands for an account that may see everybody.
    format!(
        "(?{place} IS NULL OR {column} IN
            (SELECT patient_id FROM patient_organizations
             JOIN account_organizations USING (jhe_organization_id)
             WHERE account_id = ?{place}))"
    )
}

/// Returns a condition on the rows of `studies`. Parameter number `place` of the statement is the
/// [`VisibleTo`].
pub(crate) fn study_condition(place: u8) -> String {
    format!(
        "(?{place} IS NULL OR studies.jhe_organization_id IN
            (SELECT jhe_organization_id FROM account_organizations WHERE account_id = ?{place}))"
    )
}

/// Returns true if the patient exists and the account may see them.
pub fn is_patient_visible(db: &Connection, viewer: VisibleTo, patient: PatientId) -> StoreResult<bool> {
    let mut query = db.prepare_cached(&format!(
        "SELECT EXISTS (SELECT 1 FROM patients WHERE id = ?1 AND {})",
        patient_condition("patients.id", 2)
    ))?;
    Ok(query.query_row(params![patient, viewer], |row| row.get(0))?)
}
