//! Studies, the scopes they ask for, the data sources they accept, and enrolments.

use std::collections::BTreeSet;

use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::account::{Role, VisibleTo};
use crate::model::collection_window::CollectionWindow;
use crate::model::patient::PatientId;
use crate::model::study::{Enrolment, Scope, Study, StudyId, Terms};
use crate::store::error::{StoreError, StoreResult};
use crate::store::operations::window_change;
use crate::store::people::{collection_window, study_text, time_zone, visibility};
use crate::store::samples::code;

pub fn insert(db: &Connection, terms: &Terms, now: Timestamp) -> StoreResult<StudyId> {
    check_name_free(db, &terms.name, None)?;
    let Terms { name, organization, purpose, contact, time_zone, .. } = terms;
    let insert = "INSERT INTO studies (name, organization, purpose, contact, time_zone, created_at)
         VALUES (?, ?, ?, ?, ?, ?)";
    db.execute(insert, params![name, organization, purpose, contact, time_zone, now])?;
    let id = StudyId(db.last_insert_rowid());
    insert_scopes_and_sources(db, id, terms)?;
    collection_window::set_window(db, id, terms.collection)?;
    study_text::save_own(db, id, now)?;
    Ok(id)
}

/// Replaces the terms of a study. Consents that patients have given stay as they are.
pub fn update(db: &Connection, id: StudyId, terms: &Terms, now: Timestamp) -> StoreResult<()> {
    check_name_free(db, &terms.name, Some(id))?;
    let Terms { name, organization, purpose, contact, time_zone, .. } = terms;
    let update = "UPDATE studies SET name = ?, organization = ?, purpose = ?, contact = ?, time_zone = ?
         WHERE id = ?";
    db.execute(update, params![name, organization, purpose, contact, time_zone, id])?;
    study_text::save_own(db, id, now)?;
    // Consents refer to the codes themselves, so they survive this.
    let codes: Vec<&str> = terms.scopes.iter().map(|scope| scope.code.as_str()).collect();
    let delete = "DELETE FROM study_codes WHERE study_id = ?
         AND code_id NOT IN (SELECT id FROM codes WHERE code IN (SELECT value FROM json_each(?)))";
    db.execute(delete, params![id, serde_json::json!(codes).to_string()])?;
    let delete = "DELETE FROM study_data_sources WHERE study_id = ? AND data_source_id NOT IN
         (SELECT id FROM data_sources WHERE name IN (SELECT value FROM json_each(?)))";
    db.execute(delete, params![id, serde_json::json!(terms.data_sources).to_string()])?;
    insert_scopes_and_sources(db, id, terms)?;
    set_collection(db, id, terms.collection, now)
}

/// Sets the collection window of a study, also of one of JHE's.
pub fn set_collection(
    db: &Connection,
    id: StudyId,
    window: CollectionWindow,
    now: Timestamp,
) -> StoreResult<()> {
    collection_window::set_window(db, id, window)?;
    list_patients(db, id)?.into_iter().try_for_each(|patient| window_change::apply(db, patient, now))
}

/// Lists the patients of a study.
pub fn list_patients(db: &Connection, id: StudyId) -> StoreResult<Vec<PatientId>> {
    let mut query =
        db.prepare_cached("SELECT patient_id FROM enrolments WHERE study_id = ? ORDER BY patient_id")?;
    Ok(query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Sets the last day of collection of one participant; none for the study's. Refuses a patient who is not enrolled.
pub fn set_own_until(
    db: &Connection,
    id: StudyId,
    patient: PatientId,
    until: Option<Date>,
    now: Timestamp,
) -> StoreResult<()> {
    if !collection_window::set_own_until(db, id, patient, until)? {
        return Err(StoreError::Refused(format!("patient {patient} is not enrolled in study {id}")));
    }
    window_change::apply(db, patient, now)
}

/// Lists the studies in which the account has at least a role, with an id above `after`, at most `limit`.
pub fn list(
    db: &Connection,
    viewer: VisibleTo,
    at_least: Role,
    after: i64,
    limit: u32,
) -> StoreResult<Vec<Study>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT id FROM studies WHERE id > ?1 AND {} ORDER BY id LIMIT ?2",
        visibility::study_condition(3, at_least)
    ))?;
    find_all(db, query.query_map(params![after, limit, viewer], |row| row.get(0))?)
}

fn find_all(
    db: &Connection,
    ids: impl Iterator<Item = rusqlite::Result<StudyId>>,
) -> StoreResult<Vec<Study>> {
    ids.map(|id| find(db, id?)).collect()
}

/// Returns the time at which a study was made.
pub fn find_created(db: &Connection, id: StudyId) -> StoreResult<Timestamp> {
    let mut query = db.prepare_cached("SELECT created_at FROM studies WHERE id = ?")?;
    Ok(query.query_row([id], |row| row.get(0))?)
}

pub fn find(db: &Connection, id: StudyId) -> StoreResult<Study> {
    let mut query = db.prepare_cached(
        "SELECT name, organization, purpose, contact, jhe_study_id IS NOT NULL, time_zone, collection_from,
                collection_until, collection_days
         FROM studies WHERE id = ?",
    )?;
    let terms = query.query_row([id], |row| {
        let (name, organization, purpose, contact) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        let (time_zone, collection) = (row.get(5)?, collection_window::window_from_row(row, 6)?);
        let terms = Terms { name, organization, purpose, contact, time_zone, collection, ..Terms::default() };
        Ok((terms, row.get(4)?))
    });
    let Some((mut terms, is_of_jhe)) = terms.optional()? else {
        return Err(StoreError::Refused(format!(
            "there is no study {id}; /admin/studies shows all with their numbers"
        )));
    };
    let select = "SELECT codes.code, display FROM study_codes JOIN codes ON codes.id = study_codes.code_id
         WHERE study_id = ? ORDER BY display";
    let mut query = db.prepare_cached(select)?;
    let scopes = query.query_map([id], |row| Ok(Scope { code: row.get(0)?, display: row.get(1)? }))?;
    terms.scopes = scopes.collect::<Result<_, _>>()?;
    let select = "SELECT name FROM study_data_sources JOIN data_sources ON data_sources.id = data_source_id
         WHERE study_id = ? ORDER BY name";
    let mut query = db.prepare_cached(select)?;
    terms.data_sources = query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Study { id, terms, is_of_jhe })
}

/// Enrols a patient under the next free number of the study, and in its time zone if nobody has set the patient's. Returns false if the patient is enrolled already.
pub fn enrol(db: &Connection, id: StudyId, patient: PatientId, now: Timestamp) -> StoreResult<bool> {
    let mut enrolled = db.prepare_cached("SELECT 1 FROM enrolments WHERE study_id = ? AND patient_id = ?")?;
    if enrolled.exists(params![id, patient])? {
        return Ok(false);
    }
    let participant = next_participant(db, id)?;
    enrol_as(db, id, patient, &participant, now)?;
    Ok(true)
}

fn next_participant(db: &Connection, id: StudyId) -> StoreResult<String> {
    let mut next = db.prepare_cached(
        "UPDATE studies SET next_participant = next_participant + 1 WHERE id = ?
         RETURNING printf('P%03d', next_participant - 1)",
    )?;
    let mut taken = db.prepare_cached("SELECT 1 FROM enrolments WHERE study_id = ? AND participant = ?")?;
    let mut participant: String = next.query_row([id], |row| row.get(0))?;
    while taken.exists(params![id, participant])? {
        participant = next.query_row([id], |row| row.get(0))?;
    }
    Ok(participant)
}

/// Enrols a patient under a study number that nobody has.
pub fn enrol_as(
    db: &Connection,
    id: StudyId,
    patient: PatientId,
    participant: &str,
    now: Timestamp,
) -> StoreResult<()> {
    let insert =
        "INSERT INTO enrolments (study_id, patient_id, enrolled_at, participant) VALUES (?, ?, ?, ?)";
    db.execute(insert, params![id, patient, now, participant])?;
    time_zone::adopt(db, patient, id, now)?;
    window_change::apply(db, patient, now)?;
    Ok(())
}

/// Returns the study numbers of a study that are taken, also by participants who left it.
pub fn list_participants(db: &Connection, id: StudyId) -> StoreResult<BTreeSet<String>> {
    let select = "SELECT participant FROM enrolments WHERE study_id = ?1
         UNION SELECT participant FROM removed_participants WHERE study_id = ?1";
    Ok(db.prepare_cached(select)?.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Lists a patient's enrolments in studies that ask for a code; with `study` only that one.
pub fn list_enrolments(
    db: &Connection,
    patient: PatientId,
    code: &str,
    study: Option<StudyId>,
) -> StoreResult<Vec<Enrolment>> {
    let mut query = db.prepare_cached(
        "SELECT studies.id, studies.name, participant
         FROM enrolments JOIN studies ON studies.id = enrolments.study_id
         JOIN study_codes ON study_codes.study_id = studies.id JOIN codes ON codes.id = study_codes.code_id
         WHERE patient_id = ?1 AND codes.code = ?2 AND (?3 IS NULL OR studies.id = ?3) ORDER BY studies.id",
    )?;
    let rows = query.query_map(params![patient, code, study], |row| {
        Ok(Enrolment { study: row.get(0)?, name: row.get(1)?, participant: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn list_of_patient(db: &Connection, patient: PatientId) -> StoreResult<Vec<Study>> {
    let mut query =
        db.prepare_cached("SELECT study_id FROM enrolments WHERE patient_id = ? ORDER BY study_id")?;
    find_all(db, query.query_map([patient], |row| row.get(0))?)
}

/// Counts the visible patients of a study.
pub fn count_enrolled(db: &Connection, viewer: VisibleTo, id: StudyId) -> StoreResult<i64> {
    let mut query = db.prepare_cached(&format!(
        "SELECT count(*) FROM enrolments WHERE study_id = ?1 AND {}",
        visibility::patient_condition("patient_id", 2, Role::Viewer)
    ))?;
    Ok(query.query_row(params![id, viewer], |row| row.get(0))?)
}

/// Refuses a name that another study than `own` has.
fn check_name_free(db: &Connection, name: &str, own: Option<StudyId>) -> StoreResult<()> {
    let mut query = db.prepare_cached("SELECT 1 FROM studies WHERE name = ? AND id IS NOT ?")?;
    if query.exists(params![name, own])? {
        return Err(StoreError::Refused(format!("there is a study '{name}' already")));
    }
    Ok(())
}

fn insert_scopes_and_sources(db: &Connection, id: StudyId, terms: &Terms) -> StoreResult<()> {
    for scope in &terms.scopes {
        let code = code::require(db, &scope.code)?;
        let insert = "INSERT INTO study_codes (study_id, code_id) VALUES (?, ?) ON CONFLICT DO NOTHING";
        db.execute(insert, params![id, code])?;
    }
    for source in &terms.data_sources {
        let insert =
            "INSERT INTO study_data_sources (study_id, data_source_id) SELECT ?, id FROM data_sources
             WHERE name = ? ON CONFLICT DO NOTHING";
        db.execute(insert, params![id, source])?;
    }
    Ok(())
}

/// Lists the visible studies that a patient is enrolled in.
pub fn list_visible_of_patient(
    db: &Connection,
    viewer: VisibleTo,
    patient: PatientId,
) -> StoreResult<Vec<Study>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT study_id FROM enrolments JOIN studies ON studies.id = study_id
         WHERE patient_id = ?1 AND {} ORDER BY study_id",
        visibility::study_condition(2, Role::Viewer)
    ))?;
    find_all(db, query.query_map(params![patient, viewer], |row| row.get(0))?)
}
