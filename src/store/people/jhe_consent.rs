//! JHE's studies and consents, as the tables of our own hold them.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::consent_reconciliation::{Answer, Known, Open, Snapshot, Step, step};
use crate::model::data_source_names::Naming;
use crate::model::jhe_consents::StudyConsents;
use crate::model::patient::PatientId;
use crate::model::study::StudyId;
use crate::store::engine::setting;
use crate::store::error::StoreError;
use crate::store::outbox::outbox;
use crate::store::people::{consent, study};
use crate::store::privacy::audit;
use crate::store::samples::code;

/// Longer than a call to JHE with all its tries takes: answers of that age may overtake each other.
const LONGEST_CALL: Duration = Duration::from_mins(5);

/// A patient of JHE's, and when the consents were last read there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mirrored {
    /// The daemon's own number.
    pub patient: PatientId,
    /// JHE's.
    pub jhe_id: i64,
    /// When; none where they never were.
    pub read: Option<Timestamp>,
}

/// The patients of JHE's who are linked; only `patient`, where one is given.
///
/// # Errors
/// Where the tables cannot be read.
pub fn linked(db: &Connection, patient: Option<PatientId>) -> Result<Vec<Mirrored>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT patients.id, jhe_patient_id, consents_refreshed_at FROM patients
         JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'
         WHERE jhe_patient_id IS NOT NULL AND (?1 IS NULL OR patients.id = ?1) ORDER BY patients.id",
    )?;
    let rows = query.query_map([patient], |row| {
        Ok(Mirrored { patient: row.get(0)?, jhe_id: row.get(1)?, read: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The patients of JHE's who are not linked, and whose consents were last read before `before`: no tick asks about
/// them, and who may see them changes all the same.
///
/// # Errors
/// Where the tables cannot be read.
pub fn unlinked(db: &Connection, before: Timestamp) -> Result<BTreeSet<PatientId>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id FROM patients WHERE jhe_patient_id IS NOT NULL AND coalesce(consents_refreshed_at, 0) < ?
           AND NOT EXISTS (SELECT 1 FROM links WHERE links.patient_id = patients.id AND state <> 'unlinked')",
    )?;
    Ok(query.query_map([before], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The patients of JHE's among these, linked or not.
///
/// # Errors
/// Where the table cannot be read.
pub fn among(db: &Connection, patients: &BTreeSet<PatientId>) -> Result<Vec<Mirrored>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, jhe_patient_id, consents_refreshed_at FROM patients WHERE id = ? AND jhe_patient_id IS NOT NULL",
    )?;
    let mut all = Vec::new();
    for patient in patients {
        let found = query.query_row([patient], |row| {
            Ok(Mirrored { patient: row.get(0)?, jhe_id: row.get(1)?, read: row.get(2)? })
        });
        all.extend(found.optional()?);
    }
    Ok(all)
}

/// The scopes of a patient's standing consents that JHE knows nothing of: given to a study of our own, or noted by
/// hand.
///
/// # Errors
/// Where the tables cannot be read.
pub fn not_of_jhe(db: &Connection, patient: PatientId) -> Result<Vec<String>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT codes.code FROM consents JOIN codes ON codes.id = consents.code_id
         LEFT JOIN studies ON studies.id = study_id
         WHERE patient_id = ? AND withdrawn_at IS NULL AND studies.jhe_study_id IS NULL ORDER BY 1",
    )?;
    Ok(query.query_map([patient], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The scopes that a patient has withdrawn from everybody who asked for them here.
///
/// # Errors
/// Where the tables cannot be read.
pub fn withdrawn_here(db: &Connection, patient: PatientId) -> Result<Vec<String>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT codes.code FROM consents JOIN codes ON codes.id = consents.code_id LEFT
         JOIN studies ON studies.id = study_id
         WHERE patient_id = ? AND jhe_study_id IS NULL
         GROUP BY codes.code HAVING count(*) = count(withdrawn_at) ORDER BY 1",
    )?;
    Ok(query.query_map([patient], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Takes over what JHE says of a patient: name, organizations, studies and consents. What it was asked before the
/// answer that is here already is old news: a withdrawal since then would be undone.
///
/// # Errors
/// Where the tables cannot be written.
pub fn apply(db: &Connection, patient: PatientId, snapshot: &Snapshot) -> Result<(), StoreError> {
    let Snapshot { seen, asked: at } = snapshot;
    let mut query = db.prepare_cached("SELECT consents_refreshed_at FROM patients WHERE id = ?")?;
    let found: Option<Option<Timestamp>> = query.query_row([patient], |row| row.get(0)).optional()?;
    // Erased while JHE was asked.
    let Some(newest) = found else { return Ok(()) };
    // One that is much newer is of a clock that was put back since.
    if newest.is_some_and(|newest| newest > *at && newest.since(*at) < LONGEST_CALL) {
        return Ok(());
    }
    let mut asked = BTreeSet::new();
    for one in seen.all() {
        let study = mirror_study(db, one, *at)?;
        study::enrol(db, study, patient, *at)?;
        for scope in &one.scope_consents {
            let name = &scope.code.coding_code;
            let Some(code) = code::find(db, name)? else { continue };
            asked.insert((study.0, code));
            let answer = match (scope.consented, scope.consented_time) {
                (Some(consented), Some(at)) => Some(Answer { consented, at }),
                _ => None,
            };
            settle(db, &Scope { patient, study, code, name }, answer, *at)?;
        }
    }
    forget_others(db, patient, &asked)?;
    end_others(db, patient, &asked, *at)?;
    belong(db, patient, seen.patient.organizations.iter().map(|one| one.id))?;
    db.prepare_cached("UPDATE patients SET consents_refreshed_at = ?, name = ?, email = ? WHERE id = ?")?
        .execute(params![at, seen.patient.name(), seen.patient.email, patient])?;
    Ok(())
}

/// Ends the enrolment in studies that no longer have the patient, which those of our own never have of JHE's
/// patients, and takes out of the others what they no longer ask for.
fn forget_others(
    db: &Connection,
    patient: PatientId,
    asked: &BTreeSet<(i64, i64)>,
) -> Result<(), StoreError> {
    let mut query = db.prepare_cached("SELECT study_id FROM enrolments WHERE patient_id = ?")?;
    for study in query.query_map([patient], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()? {
        if !asked.iter().any(|(one, _)| *one == study) {
            db.execute(
                "DELETE FROM enrolments WHERE patient_id = ? AND study_id = ?",
                params![patient, study],
            )?;
            continue;
        }
        let mut query = db.prepare_cached("SELECT code_id FROM study_codes WHERE study_id = ?")?;
        for code in query.query_map([study], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, _>>()? {
            if !asked.contains(&(study, code)) {
                db.execute(
                    "DELETE FROM study_codes WHERE study_id = ? AND code_id = ?",
                    params![study, code],
                )?;
            }
        }
    }
    Ok(())
}

/// JHE no longer shows this patient to us: to whom it does is not known any more, so practitioners of JHE's do
/// not see the patient here either.
///
/// # Errors
/// Where the table cannot be written.
pub fn out_of_reach(db: &Connection, patient: PatientId) -> Result<(), StoreError> {
    belong(db, patient, std::iter::empty())
}

/// The patient belongs to these organizations of JHE's, and no others.
fn belong(
    db: &Connection,
    patient: PatientId,
    organizations: impl Iterator<Item = i64>,
) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM patient_organizations WHERE patient_id = ?")?.execute([patient])?;
    let mut add = db.prepare_cached(
        "INSERT INTO patient_organizations (patient_id, jhe_organization_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
    )?;
    for organization in organizations {
        add.execute(params![patient, organization])?;
    }
    Ok(())
}

/// What JHE is told and asked by: a scope of a study of JHE's, by its names there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// JHE's number of the study.
    pub study: i64,
    /// The terminology of the code.
    pub system: String,
}

/// How JHE names a study and a code of ours; none where the study is not JHE's.
///
/// # Errors
/// Where the tables cannot be read.
pub fn name(db: &Connection, study: StudyId, code: &str) -> Result<Option<Named>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT jhe_study_id, system FROM studies, codes WHERE studies.id = ? AND codes.code = ?
         AND jhe_study_id IS NOT NULL",
    )?;
    let named =
        query.query_row(params![study, code], |row| Ok(Named { study: row.get(0)?, system: row.get(1)? }));
    Ok(named.optional()?)
}

/// Our row of a study of JHE's. Its name may be taken by another one.
fn mirror_study(db: &Connection, one: &StudyConsents, now: Timestamp) -> Result<StudyId, StoreError> {
    let known: Option<StudyId> = db
        .prepare_cached("SELECT id FROM studies WHERE jhe_study_id = ?")?
        .query_row([one.id], |row| row.get(0))
        .optional()?;
    let taken: bool = db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM studies WHERE name = ? AND jhe_study_id IS NOT ?)")?
        .query_row(params![one.name, one.id], |row| row.get(0))?;
    let name = if taken { format!("{} (JHE {})", one.name, one.id) } else { one.name.clone() };
    let described = one.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
    let purpose = described.unwrap_or("The study has not said why. Ask it before you agree.");
    let (organization, number) = (&one.organization.name, one.organization.id);
    if let Some(id) = known {
        db.prepare_cached(
            "UPDATE studies SET name = ?, organization = ?, purpose = ?, contact = ?, jhe_organization_id = ?
             WHERE id = ?",
        )?
        .execute(params![name, organization, purpose, organization, number, id])?;
        attach(db, id, one)?;
        return Ok(id);
    }
    db.execute(
        "INSERT INTO studies (name, organization, purpose, contact, created_at, jhe_study_id, jhe_organization_id)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        params![name, organization, purpose, organization, now, one.id, number],
    )?;
    let id = StudyId(db.last_insert_rowid());
    attach(db, id, one)?;
    Ok(id)
}

/// The study takes data from the sources that are attached to it at JHE.
fn attach(db: &Connection, study: StudyId, one: &StudyConsents) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM study_data_sources WHERE study_id = ?")?.execute([study])?;
    let set = setting::get(db, "jhe.data_sources")?.unwrap_or_default();
    let naming = Naming::parse(&set).unwrap_or_default();
    for source in &one.data_sources {
        db.prepare_cached(
            "INSERT INTO study_data_sources (study_id, data_source_id) SELECT ?, id FROM data_sources WHERE name = ?
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![study, naming.of_jhe(&source.name)])?;
    }
    Ok(())
}

/// A scope of a study that a patient is asked for.
struct Scope<'a> {
    patient: PatientId,
    study: StudyId,
    code: i64,
    name: &'a str,
}

/// Brings the history of one scope of one study in line with JHE's answer.
fn settle(
    db: &Connection,
    scope: &Scope,
    answer: Option<Answer>,
    asked: Timestamp,
) -> Result<(), StoreError> {
    let Scope { patient, study, code, name } = *scope;
    db.prepare_cached("INSERT INTO study_codes (study_id, code_id) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute(params![study, code])?;
    match step(known(db, scope)?, answer, asked) {
        Step::Keep => return Ok(()),
        Step::Confirm => {
            db.prepare_cached(
                "UPDATE consents SET jhe_confirmed_at = ?4
                 WHERE patient_id = ?1 AND code_id = ?2 AND study_id = ?3 AND withdrawn_at IS NULL",
            )?
            .execute(params![patient, code, study, asked])?;
        }
        Step::Refuse(at) => {
            db.prepare_cached(
                "INSERT INTO consents (patient_id, code_id, study_id, granted_at, withdrawn_at)
                 VALUES (?1, ?2, ?3, ?4, ?4)",
            )?
            .execute(params![patient, code, study, at])?;
        }
        Step::Grant(at) => begin(db, scope, at, asked)?,
        Step::Withdraw(at) => end(db, scope, at)?,
        Step::Again { withdrawn, granted } => {
            end(db, scope, withdrawn)?;
            begin(db, scope, granted, asked)?;
        }
    }
    follow(db, patient, name, asked)
}

fn known(db: &Connection, scope: &Scope) -> Result<Known, StoreError> {
    let Scope { patient, study, code, .. } = *scope;
    let open = db
        .prepare_cached(
            "SELECT granted_at, coalesce(jhe_confirmed_at, granted_at) FROM consents
             WHERE patient_id = ? AND code_id = ? AND study_id = ? AND withdrawn_at IS NULL",
        )?
        .query_row(params![patient, code, study], |row| {
            Ok(Open { granted: row.get(0)?, confirmed: row.get(1)? })
        })
        .optional()?;
    let ended = db
        .prepare_cached(
            "SELECT max(withdrawn_at) FROM consents WHERE patient_id = ? AND code_id = ? AND study_id = ?",
        )?
        .query_row(params![patient, code, study], |row| row.get(0))?;
    let ended_here = db
        .prepare_cached(
            "SELECT max(withdrawn_at) FROM consents LEFT JOIN studies ON studies.id = study_id
             WHERE patient_id = ? AND code_id = ? AND jhe_study_id IS NULL",
        )?
        .query_row(params![patient, code], |row| row.get(0))?;
    Ok(Known { open, ended, ended_here })
}

fn end(db: &Connection, scope: &Scope, at: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE consents SET withdrawn_at = max(granted_at, ?4)
         WHERE patient_id = ?1 AND code_id = ?2 AND study_id = ?3 AND withdrawn_at IS NULL",
    )?
    .execute(params![scope.patient, scope.code, scope.study, at])?;
    Ok(())
}

/// A consent begins: with the words that the patient read here, where it was given here.
fn begin(db: &Connection, scope: &Scope, at: Timestamp, asked: Timestamp) -> Result<(), StoreError> {
    let Scope { patient, study, code, name } = *scope;
    let wording = consent::take_intention(db, patient, study, code, asked)?;
    db.prepare_cached(
        "INSERT INTO consents (patient_id, code_id, study_id, granted_at, jhe_confirmed_at, text_hash)
         VALUES (?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![patient, code, study, at, asked, wording])?;
    let Some(wording) = wording else { return Ok(()) };
    let detail = format!("{name} study {study} text {}", wording.hex());
    audit::record(db, asked, Actor::Patient(patient), "consent.grant", Some(patient), &detail)
}

/// What waits for JHE follows the consent.
fn follow(db: &Connection, patient: PatientId, name: &str, now: Timestamp) -> Result<(), StoreError> {
    if consent::allowed(db, patient, name)?.is_empty() {
        outbox::park(db, patient, name)
    } else {
        outbox::unpark(db, patient, name, now)
    }
}

/// Ends the consents to what no study of JHE's asks this patient for any more, and those that no study asked for:
/// JHE is the truth.
fn end_others(
    db: &Connection,
    patient: PatientId,
    asked: &BTreeSet<(i64, i64)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut query = db.prepare_cached(
        "SELECT consents.id, study_id, consents.code_id, codes.code, coalesce(jhe_confirmed_at, ?2) FROM consents
         JOIN codes ON codes.id = consents.code_id WHERE patient_id = ?1 AND withdrawn_at IS NULL",
    )?;
    let open = query.query_map(params![patient, now], |row| {
        let scope = (row.get::<_, Option<i64>>(1)?, row.get::<_, i64>(2)?);
        Ok((row.get::<_, i64>(0)?, scope, row.get::<_, String>(3)?, row.get::<_, Timestamp>(4)?))
    })?;
    for one in open.collect::<Result<Vec<_>, _>>()? {
        let (id, (study, code), name, confirmed) = one;
        if study.is_some_and(|study| asked.contains(&(study, code))) {
            continue;
        }
        db.execute(
            "UPDATE consents SET withdrawn_at = max(granted_at, ?) WHERE id = ?",
            params![confirmed, id],
        )?;
        follow(db, patient, &name, now)?;
    }
    Ok(())
}
