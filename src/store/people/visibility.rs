//! The patients and studies that an account may see, and its role in each: in a study, or in an organization of JHE.

use rusqlite::{Connection, Params, params};

use crate::model::account::{Role, VisibleTo};
use crate::model::{patient::PatientId, study::StudyId};
use crate::store::error::StoreResult;

/// Returns the roles from `at_least` upwards as an SQL list.
fn roles(at_least: Role) -> String {
    let roles = Role::IN_STUDY.iter().filter(|role| **role >= at_least);
    roles.map(|role| format!("'{}'", role.as_str())).collect::<Vec<_>>().join(", ")
}

/// Returns a condition on a column that holds patient ids: the account has at least this role for the patient.
/// Parameter number `place` of the statement is the [`VisibleTo`].
pub(crate) fn patient_condition(column: &str, place: u8, at_least: Role) -> String {
    let roles = roles(at_least);
    // NULL stands for an account that may see everybody.
    format!(
        "(?{place} IS NULL OR {column} IN
            (SELECT patient_id FROM enrolments JOIN study_roles USING (study_id)
             WHERE account_id = ?{place} AND role IN ({roles})
             UNION ALL
             SELECT patient_id FROM patient_organizations JOIN account_organizations USING (jhe_organization_id)
             WHERE account_id = ?{place} AND role IN ({roles})))"
    )
}

/// Returns a condition on the rows of `studies`: the account has at least this role in the study. Parameter number
/// `place` of the statement is the [`VisibleTo`].
pub(crate) fn study_condition(place: u8, at_least: Role) -> String {
    let roles = roles(at_least);
    format!(
        "(?{place} IS NULL
          OR studies.id IN
            (SELECT study_id FROM study_roles WHERE account_id = ?{place} AND role IN ({roles}))
          OR studies.jhe_organization_id IN
            (SELECT jhe_organization_id FROM account_organizations
             WHERE account_id = ?{place} AND role IN ({roles})))"
    )
}

/// Returns a condition on the ids of a patient, a code and a study: the patient gave the code to this study, to no study
/// in particular, or to nobody (data that never needed a consent). A consent that ended when it began was declined.
pub(crate) fn given_condition(patient: &str, code: &str, study: &str) -> String {
    format!(
        "coalesce((SELECT max((given.study_id IS NULL OR given.study_id = {study})
                              AND (given.withdrawn_at IS NULL OR given.withdrawn_at > given.granted_at))
                   FROM consents AS given
                   WHERE given.patient_id = {patient} AND given.code_id = {code}), 1)"
    )
}

/// Returns a condition on columns that hold ids of patients and of codes: the account has at least this role in a study
/// of the patient that asks for the code and was given it. Parameter number `place` of the statement is the [`VisibleTo`].
pub(crate) fn code_condition(patient: &str, code: &str, place: u8, at_least: Role) -> String {
    format!(
        "(?{place} IS NULL OR EXISTS
            (SELECT 1 FROM enrolments AS own JOIN studies ON studies.id = own.study_id
             JOIN study_codes AS asked ON asked.study_id = own.study_id
             WHERE own.patient_id = {patient} AND asked.code_id = {code} AND {}
               AND {}))",
        study_condition(place, at_least),
        given_condition(patient, code, "own.study_id")
    )
}

/// Returns a condition on a row of `consents`: the account may see its study, or the data type if it names none.
/// Parameter number `place` of the statement is the [`VisibleTo`].
pub(crate) fn consent_condition(place: u8) -> String {
    format!(
        "iif(consents.study_id IS NULL, {}, {})",
        code_condition("consents.patient_id", "consents.code_id", place, Role::Viewer),
        study_id_condition("consents.study_id", place, Role::Viewer)
    )
}

/// Returns a condition on a column that holds the id of a study or nothing: it names no study that the account may not
/// see. Parameter number `place` of the statement is the [`VisibleTo`].
pub(crate) fn study_id_condition(column: &str, place: u8, at_least: Role) -> String {
    format!(
        "({column} IS NULL OR {column} IN (SELECT studies.id FROM studies WHERE {}))",
        study_condition(place, at_least)
    )
}

/// Returns a condition on a row of `audit_entries` about a patient: it names no study and no code that the account may not
/// see. Parameter number `place` of the statement is the [`VisibleTo`].
pub(crate) fn audit_condition(patient: &str, place: u8) -> String {
    format!(
        "(?{place} IS NULL OR NOT EXISTS
            (SELECT 1 FROM studies WHERE instr(' ' || detail || ' ', ' study ' || studies.id || ' ') AND NOT {}
             UNION ALL
             SELECT 1 FROM codes WHERE instr(' ' || detail || ' ', ' ' || codes.code || ' ') AND NOT {}))",
        study_condition(place, Role::Coordinator),
        code_condition(patient, "codes.id", place, Role::Coordinator)
    )
}

/// Returns an expression on the rows of `patients` and, as `state`, of `sync_status`: the time of the newest sample that
/// the account may see. Parameter number `place` of the statement is the [`VisibleTo`].
pub(crate) fn newest_instant(place: u8) -> String {
    format!(
        "iif(?{place} IS NULL, state.newest_instant,
             (SELECT max(newest_instant) FROM streams
              WHERE streams.patient_id = patients.id AND entered_in_error = 0 AND {}))",
        code_condition("streams.patient_id", "streams.code_id", place, Role::Viewer)
    )
}

/// Returns an expression on the rows of `patients`: the name, or the study number for an account that may see no names.
/// Parameter number `place` of the statement is the [`VisibleTo`].
pub(crate) fn patient_label(place: u8) -> String {
    format!(
        "iif({}, patients.name, coalesce(
            (SELECT participant FROM enrolments JOIN studies ON studies.id = study_id
             WHERE patient_id = patients.id AND {} ORDER BY study_id LIMIT 1),
            'Patient ' || patients.id))",
        patient_condition("patients.id", place, Role::Coordinator),
        study_condition(place, Role::Viewer)
    )
}

/// Returns the name of a patient, or what stands for it where the account may see no names.
pub fn find_patient_label(db: &Connection, viewer: VisibleTo, patient: PatientId) -> StoreResult<String> {
    let select = format!("SELECT {} FROM patients WHERE id = ?1", patient_label(2));
    Ok(db.prepare_cached(&select)?.query_row(params![patient, viewer], |row| row.get(0))?)
}

/// Returns the role of an account for a patient; none if the account may not see the patient, or there is none.
pub fn find_patient_role(
    db: &Connection,
    viewer: VisibleTo,
    patient: PatientId,
) -> StoreResult<Option<Role>> {
    match viewer {
        VisibleTo::Everybody => {
            let is_there = db.prepare_cached("SELECT 1 FROM patients WHERE id = ?")?.exists([patient])?;
            Ok(is_there.then_some(Role::Operator))
        }
        VisibleTo::Account(account) => find_highest(
            db,
            "SELECT role FROM enrolments JOIN study_roles USING (study_id)
             WHERE patient_id = ?1 AND account_id = ?2
             UNION ALL
             SELECT role FROM patient_organizations JOIN account_organizations USING (jhe_organization_id)
             WHERE patient_id = ?1 AND account_id = ?2",
            params![patient, account],
        ),
    }
}

/// Returns the role of an account in a study; none if the account may not see the study, or there is none.
pub fn find_study_role(db: &Connection, viewer: VisibleTo, study: StudyId) -> StoreResult<Option<Role>> {
    match viewer {
        VisibleTo::Everybody => {
            let is_there = db.prepare_cached("SELECT 1 FROM studies WHERE id = ?")?.exists([study])?;
            Ok(is_there.then_some(Role::Operator))
        }
        VisibleTo::Account(account) => find_highest(
            db,
            "SELECT role FROM study_roles WHERE study_id = ?1 AND account_id = ?2
             UNION ALL
             SELECT role FROM studies JOIN account_organizations USING (jhe_organization_id)
             WHERE studies.id = ?1 AND account_id = ?2",
            params![study, account],
        ),
    }
}

fn find_highest(db: &Connection, select: &str, values: impl Params) -> StoreResult<Option<Role>> {
    let mut query = db.prepare_cached(select)?;
    let roles = query.query_map(values, |row| row.get(0))?.collect::<Result<Vec<Role>, _>>()?;
    Ok(roles.into_iter().max())
}
