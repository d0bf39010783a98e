//! Mirrors what JHE says about its patients: studies, enrolments, consents and organizations.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::audit_detail::AuditDetail;
use crate::model::consent_reconciliation::{
    ConsentChange, JheAnswer, JheConsentSnapshot, OpenConsent, StoredConsent, decide,
};
use crate::model::{account::Actor, data_source_names::DataSourceNames, jhe_consents::StudyConsents};
use crate::model::{patient::PatientId, study::StudyId};
use crate::store::operations::window_change;
use crate::store::people::{collection_window, consent, study, study_text};
use crate::store::{engine::setting, error::StoreResult, outbox::outbox, privacy::audit, samples::code};

/// Upper bound of a call to JHE with its retries, within which a later answer can overtake an earlier one.
const LONGEST_CALL: Duration = Duration::from_mins(5);

/// A JHE patient, and when the consents were last read from JHE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MirroredPatient {
    pub patient: PatientId,
    pub jhe_id: i64,
    pub refreshed: Option<Timestamp>,
}

/// Lists the JHE patients with a link to an OW user, or only `patient`.
pub fn list_linked(db: &Connection, patient: Option<PatientId>) -> StoreResult<Vec<MirroredPatient>> {
    let select = "SELECT patients.id, jhe_patient_id, consents_refreshed_at FROM patients
         JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'
         WHERE jhe_patient_id IS NOT NULL AND (?1 IS NULL OR patients.id = ?1) ORDER BY patients.id";
    Ok(db.prepare_cached(select)?.query_map([patient], from_row)?.collect::<Result<_, _>>()?)
}

/// Lists the JHE patients without a link whose consents were last read before `before`. No tick refreshes
/// them, and their organizations may change all the same.
pub fn list_unlinked(db: &Connection, before: Timestamp) -> StoreResult<BTreeSet<PatientId>> {
    let mut query = db.prepare_cached(
        "SELECT id FROM patients WHERE jhe_patient_id IS NOT NULL AND coalesce(consents_refreshed_at, 0) < ?
           AND NOT EXISTS (SELECT 1 FROM links WHERE links.patient_id = patients.id AND state <> 'unlinked')",
    )?;
    Ok(query.query_map([before], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Lists the JHE patients among `patients`, linked or not.
pub fn list_among(db: &Connection, patients: &BTreeSet<PatientId>) -> StoreResult<Vec<MirroredPatient>> {
    let select = "SELECT id, jhe_patient_id, consents_refreshed_at FROM patients
         WHERE id = ? AND jhe_patient_id IS NOT NULL";
    let mut query = db.prepare_cached(select)?;
    let mut all = Vec::new();
    for patient in patients {
        all.extend(query.query_row([patient], from_row).optional()?);
    }
    Ok(all)
}

fn from_row(row: &Row) -> rusqlite::Result<MirroredPatient> {
    Ok(MirroredPatient { patient: row.get(0)?, jhe_id: row.get(1)?, refreshed: row.get(2)? })
}

/// Lists the scopes of active grants that JHE does not know: to a local study, or recorded by an operator.
pub fn list_local_active_scopes(db: &Connection, patient: PatientId) -> StoreResult<Vec<String>> {
    let select = "SELECT DISTINCT codes.code FROM consents JOIN codes ON codes.id = consents.code_id
         LEFT JOIN studies ON studies.id = study_id
         WHERE patient_id = ? AND withdrawn_at IS NULL AND studies.jhe_study_id IS NULL ORDER BY 1";
    Ok(db.prepare_cached(select)?.query_map([patient], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Lists the scopes for which a patient has withdrawn all grants that JHE does not know.
pub fn list_local_withdrawn_scopes(db: &Connection, patient: PatientId) -> StoreResult<Vec<String>> {
    let select = "SELECT codes.code FROM consents JOIN codes ON codes.id = consents.code_id
         LEFT JOIN studies ON studies.id = study_id
         WHERE patient_id = ? AND jhe_study_id IS NULL
         GROUP BY codes.code HAVING count(*) = count(withdrawn_at) ORDER BY 1";
    Ok(db.prepare_cached(select)?.query_map([patient], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Applies JHE's answer about a patient: name, organizations, studies and consents. Ignores an answer that
/// was requested before the stored one: it could undo a withdrawal made in between.
pub fn apply(db: &Connection, patient: PatientId, snapshot: &JheConsentSnapshot) -> StoreResult<()> {
    let JheConsentSnapshot { consents: seen, requested: at } = snapshot;
    let mut query = db.prepare_cached("SELECT consents_refreshed_at FROM patients WHERE id = ?")?;
    let found: Option<Option<Timestamp>> = query.query_row([patient], |row| row.get(0)).optional()?;
    // No row: the patient was erased during the request.
    let Some(newest) = found else { return Ok(()) };
    // A stored time that is much later than this answer comes from a clock that was set back since.
    if newest.is_some_and(|newest| newest > *at && newest.since(*at) < LONGEST_CALL) {
        return Ok(());
    }
    let mut reported = BTreeSet::new();
    for one in seen.all_studies() {
        let study = upsert_study(db, one, *at)?;
        for scope in &one.scope_consents {
            let name = &scope.code.coding_code;
            // JHE may ask for codes that no wearable delivers and the catalogue lacks.
            let Some(code) = code::find(db, name)? else { continue };
            reported.insert((study.0, code));
            let answer = match (scope.consented, scope.consented_time) {
                (Some(consented), Some(at)) => Some(JheAnswer { consented, at }),
                _ => None,
            };
            apply_answer(db, &RequestedConsent { patient, study, code, name }, answer, *at)?;
        }
        // A study of which no code is known has no participants here: an enrolment would take a number each time.
        if reported.iter().any(|(reported, _)| *reported == study.0) {
            study::enrol(db, study, patient, *at)?;
        }
    }
    delete_other_enrolments(db, patient, &reported)?;
    collection_window::refresh(db, patient, *at)?;
    withdraw_others(db, patient, &reported, *at)?;
    replace_organizations(db, patient, seen.patient.organizations.iter().map(|one| one.id))?;
    db.prepare_cached("UPDATE patients SET consents_refreshed_at = ?, name = ?, email = ? WHERE id = ?")?
        .execute(params![at, seen.patient.name(), seen.patient.email, patient])?;
    Ok(())
}

/// Deletes enrolments that JHE does not report, including those in local studies, and codes that JHE's
/// studies do not ask for any more.
fn delete_other_enrolments(
    db: &Connection,
    patient: PatientId,
    reported: &BTreeSet<(i64, i64)>,
) -> StoreResult<()> {
    let mut query = db.prepare_cached("SELECT study_id FROM enrolments WHERE patient_id = ?")?;
    for study in query.query_map([patient], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()? {
        if !reported.iter().any(|(one, _)| *one == study) {
            let delete = "DELETE FROM enrolments WHERE patient_id = ? AND study_id = ?";
            db.execute(delete, params![patient, study])?;
            continue;
        }
        let mut query = db.prepare_cached("SELECT code_id FROM study_codes WHERE study_id = ?")?;
        for code in query.query_map([study], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()? {
            if !reported.contains(&(study, code)) {
                let delete = "DELETE FROM study_codes WHERE study_id = ? AND code_id = ?";
                db.execute(delete, params![study, code])?;
            }
        }
    }
    Ok(())
}

/// Hides a patient from JHE's practitioners. JHE does not show the patient to the daemon any more, so it is
/// unknown who may see them.
pub fn clear_organizations(db: &Connection, patient: PatientId) -> StoreResult<()> {
    replace_organizations(db, patient, std::iter::empty())
}

fn replace_organizations(
    db: &Connection,
    patient: PatientId,
    organizations: impl Iterator<Item = i64>,
) -> StoreResult<()> {
    db.prepare_cached("DELETE FROM patient_organizations WHERE patient_id = ?")?.execute([patient])?;
    let insert = "INSERT INTO patient_organizations (patient_id, jhe_organization_id) VALUES (?, ?)
         ON CONFLICT DO NOTHING";
    let mut add = db.prepare_cached(insert)?;
    for organization in organizations {
        add.execute(params![patient, organization])?;
    }
    Ok(())
}

/// A study and a code in JHE's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeAtJhe {
    /// JHE's id of the study.
    pub study: i64,
    pub system: String,
}

/// Returns JHE's terms for a study and a code; none if the study is local.
pub fn find_scope_at_jhe(db: &Connection, study: StudyId, code: &str) -> StoreResult<Option<ScopeAtJhe>> {
    let select = "SELECT jhe_study_id, system FROM studies, codes WHERE studies.id = ? AND codes.code = ?
         AND jhe_study_id IS NOT NULL";
    let mut query = db.prepare_cached(select)?;
    let named = query
        .query_row(params![study, code], |row| Ok(ScopeAtJhe { study: row.get(0)?, system: row.get(1)? }));
    Ok(named.optional()?)
}

fn upsert_study(db: &Connection, one: &StudyConsents, now: Timestamp) -> StoreResult<StudyId> {
    let known: Option<StudyId> = db
        .prepare_cached("SELECT id FROM studies WHERE jhe_study_id = ?")?
        .query_row([one.id], |row| row.get(0))
        .optional()?;
    let taken: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM studies WHERE name = ? AND jhe_study_id IS NOT ?)")?
        .query_row(params![one.name, one.id], |row| row.get(0))?;
    // Names are unique here and not at JHE.
    let name = if taken { format!("{} (JHE {})", one.name, one.id) } else { one.name.clone() };
    let described = one.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let purpose = described.unwrap_or("The study has not said why. Ask it before you agree.");
    let (organization, number) = (&one.organization.name, one.organization.id);
    let id = if let Some(id) = known {
        let update =
            "UPDATE studies SET name = ?, organization = ?, purpose = ?, contact = ?, jhe_organization_id = ?
             WHERE id = ?";
        db.prepare_cached(update)?.execute(params![name, organization, purpose, organization, number, id])?;
        id
    } else {
        let insert = "INSERT INTO studies
                 (name, organization, purpose, contact, created_at, jhe_study_id, jhe_organization_id)
             VALUES (?, ?, ?, ?, ?, ?, ?)";
        db.execute(insert, params![name, organization, purpose, organization, now, one.id, number])?;
        StudyId(db.last_insert_rowid())
    };
    study_text::save_own(db, id, now)?;
    replace_data_sources(db, id, one)?;
    Ok(id)
}

fn replace_data_sources(db: &Connection, study: StudyId, one: &StudyConsents) -> StoreResult<()> {
    let set = setting::get(db, "jhe.data_sources")?.unwrap_or_default();
    let naming = DataSourceNames::parse(&set).unwrap_or_default();
    let names: Vec<&str> = one.data_sources.iter().map(|source| naming.our_name(&source.name)).collect();
    // Sources that stay are left alone: a change makes every reader of a data set begin anew.
    let delete = "DELETE FROM study_data_sources WHERE study_id = ? AND data_source_id NOT IN
         (SELECT id FROM data_sources WHERE name IN (SELECT value FROM json_each(?)))";
    db.prepare_cached(delete)?.execute(params![study, serde_json::json!(names).to_string()])?;
    for source in &one.data_sources {
        let insert =
            "INSERT INTO study_data_sources (study_id, data_source_id) SELECT ?, id FROM data_sources
             WHERE name = ?
             ON CONFLICT DO NOTHING";
        db.prepare_cached(insert)?.execute(params![study, naming.our_name(&source.name)])?;
    }
    Ok(())
}

/// A scope that a study asks a patient for.
struct RequestedConsent<'a> {
    patient: PatientId,
    study: StudyId,
    code: i64,
    name: &'a str,
}

/// Adapts the grants of one scope to one study to JHE's answer.
fn apply_answer(
    db: &Connection,
    scope: &RequestedConsent,
    answer: Option<JheAnswer>,
    requested: Timestamp,
) -> StoreResult<()> {
    let RequestedConsent { patient, study, code, name } = *scope;
    db.prepare_cached("INSERT INTO study_codes (study_id, code_id) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute(params![study, code])?;
    match decide(find_history(db, scope)?, answer, requested) {
        ConsentChange::None => return Ok(()),
        ConsentChange::Confirm => {
            let update = "UPDATE consents SET jhe_confirmed_at = ?4
                 WHERE patient_id = ?1 AND code_id = ?2 AND study_id = ?3 AND withdrawn_at IS NULL";
            db.prepare_cached(update)?.execute(params![patient, code, study, requested])?;
        }
        ConsentChange::Refuse(at) => {
            let insert = "INSERT INTO consents (patient_id, code_id, study_id, granted_at, withdrawn_at)
                 VALUES (?1, ?2, ?3, ?4, ?4)";
            db.prepare_cached(insert)?.execute(params![patient, code, study, at])?;
        }
        ConsentChange::Grant(at) => grant(db, scope, at, requested)?,
        ConsentChange::Withdraw(at) => withdraw(db, scope, at)?,
        ConsentChange::Regrant { withdrawn, granted } => {
            withdraw(db, scope, withdrawn)?;
            grant(db, scope, granted, requested)?;
        }
    }
    park_or_unpark(db, patient, name, requested)
}

fn find_history(db: &Connection, scope: &RequestedConsent) -> StoreResult<StoredConsent> {
    let RequestedConsent { patient, study, code, .. } = *scope;
    let select = "SELECT granted_at, coalesce(jhe_confirmed_at, granted_at) FROM consents
             WHERE patient_id = ? AND code_id = ? AND study_id = ? AND withdrawn_at IS NULL";
    let open = db
        .prepare_cached(select)?
        .query_row(params![patient, code, study], |row| {
            Ok(OpenConsent { granted: row.get(0)?, confirmed: row.get(1)? })
        })
        .optional()?;
    let select =
        "SELECT max(withdrawn_at) FROM consents WHERE patient_id = ? AND code_id = ? AND study_id = ?";
    let ended = db.prepare_cached(select)?.query_row(params![patient, code, study], |row| row.get(0))?;
    let select = "SELECT max(withdrawn_at) FROM consents LEFT JOIN studies ON studies.id = study_id
             WHERE patient_id = ? AND code_id = ? AND jhe_study_id IS NULL";
    let ended_here = db.prepare_cached(select)?.query_row(params![patient, code], |row| row.get(0))?;
    Ok(StoredConsent { open, ended, ended_here })
}

fn withdraw(db: &Connection, scope: &RequestedConsent, at: Timestamp) -> StoreResult<()> {
    let update = "UPDATE consents SET withdrawn_at = max(granted_at, ?4)
         WHERE patient_id = ?1 AND code_id = ?2 AND study_id = ?3 AND withdrawn_at IS NULL";
    db.prepare_cached(update)?.execute(params![scope.patient, scope.code, scope.study, at])?;
    Ok(())
}

/// Inserts a grant. If the patient gave it on this daemon's pages, it carries the text shown there.
fn grant(db: &Connection, scope: &RequestedConsent, at: Timestamp, requested: Timestamp) -> StoreResult<()> {
    let RequestedConsent { patient, study, code, name } = *scope;
    let text = consent::take_pending(db, patient, study, code, requested)?;
    let insert =
        "INSERT INTO consents (patient_id, code_id, study_id, granted_at, jhe_confirmed_at, text_hash, covers_from)
         VALUES (?, ?, ?, ?, ?, ?, ?)";
    let covers_from = consent::find_covers_from(db, at)?;
    db.prepare_cached(insert)?.execute(params![patient, code, study, at, requested, text, covers_from])?;
    let Some(text) = text else { return Ok(()) };
    let detail = AuditDetail::default().with_code(name).with("study").with(study).with("text").with(text);
    audit::record(db, requested, Actor::Patient(patient), "consent.grant", Some(patient), detail)
}

/// Parks or releases the outbox rows of a scope, as the patient's consent says now.
fn park_or_unpark(db: &Connection, patient: PatientId, name: &str, now: Timestamp) -> StoreResult<()> {
    if consent::find_allowed(db, patient, name)?.is_empty() {
        outbox::park(db, patient, name)
    } else {
        outbox::unpark(db, patient, name, now)?;
        window_change::park_outside(db, patient, name, now)
    }
}

/// Ends the grants that JHE does not report: to scopes its studies do not ask for any more, to local studies,
/// and those that an operator recorded.
fn withdraw_others(
    db: &Connection,
    patient: PatientId,
    reported: &BTreeSet<(i64, i64)>,
    now: Timestamp,
) -> StoreResult<()> {
    let select = "SELECT consents.id, study_id, consents.code_id, codes.code, coalesce(jhe_confirmed_at, ?2)
         FROM consents
         JOIN codes ON codes.id = consents.code_id WHERE patient_id = ?1 AND withdrawn_at IS NULL";
    let mut query = db.prepare_cached(select)?;
    let open = query.query_map(params![patient, now], |row| {
        let scope = (row.get::<_, Option<i64>>(1)?, row.get::<_, i64>(2)?);
        Ok((row.get::<_, i64>(0)?, scope, row.get::<_, String>(3)?, row.get::<_, Timestamp>(4)?))
    })?;
    for one in open.collect::<Result<Vec<_>, _>>()? {
        // The grant ended at an unknown time after JHE last confirmed it; the earliest one is safe.
        let (id, (study, code), name, confirmed) = one;
        if study.is_some_and(|study| reported.contains(&(study, code))) {
            continue;
        }
        let end = "UPDATE consents SET withdrawn_at = max(granted_at, ?) WHERE id = ?";
        db.execute(end, params![confirmed, id])?;
        park_or_unpark(db, patient, &name, now)?;
    }
    Ok(())
}
