//! Studies, what they ask for, and who is enrolled.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::account::Reach;
use crate::model::patient::PatientId;
use crate::model::study::{Scope, Study, StudyId, Terms};
use crate::store::error::StoreError;
use crate::store::people::visibility::of_studies;
use crate::store::people::{study, visibility};
use crate::store::samples::code;

/// Keeps a new study.
///
/// # Errors
/// A sentence where the name is taken or a code is unknown.
pub fn add(db: &Connection, terms: &Terms, now: Timestamp) -> Result<StudyId, StoreError> {
    refuse_taken(db, &terms.name, None)?;
    db.execute(
        "INSERT INTO studies (name, organization, purpose, contact, created_at) VALUES (?, ?, ?, ?, ?)",
        params![terms.name, terms.organization, terms.purpose, terms.contact, now],
    )?;
    let id = StudyId(db.last_insert_rowid());
    attach(db, id, terms)?;
    Ok(id)
}

/// Changes what a study tells and asks. Consents that were given stay as they were given.
///
/// # Errors
/// A sentence where the name is taken or a code is unknown.
pub fn change(db: &Connection, id: StudyId, terms: &Terms) -> Result<(), StoreError> {
    refuse_taken(db, &terms.name, Some(id))?;
    db.execute(
        "UPDATE studies SET name = ?, organization = ?, purpose = ?, contact = ? WHERE id = ?",
        params![terms.name, terms.organization, terms.purpose, terms.contact, id],
    )?;
    db.execute("DELETE FROM study_codes WHERE study_id = ?", [id])?;
    db.execute("DELETE FROM study_data_sources WHERE study_id = ?", [id])?;
    attach(db, id, terms)
}

/// A page of the studies within reach, those with a number above `after`, at most `limit`.
///
/// # Errors
/// Where the tables cannot be read.
pub fn page(db: &Connection, reach: Reach, after: i64, limit: u32) -> Result<Vec<Study>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT id FROM studies WHERE id > ?1 AND {} ORDER BY id LIMIT ?2",
        visibility::of_studies(3)
    ))?;
    let ids = query.query_map(params![after, limit, reach], |row| row.get(0))?;
    let ids = ids.collect::<Result<Vec<_>, _>>()?;
    ids.into_iter().map(|id| require(db, id)).collect()
}

/// The study of this number.
///
/// # Errors
/// A sentence where there is none.
pub fn require(db: &Connection, id: StudyId) -> Result<Study, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT name, organization, purpose, contact, jhe_study_id IS NOT NULL FROM studies WHERE id = ?",
    )?;
    let terms = query.query_row([id], |row| {
        let (name, organization, purpose, contact) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((Terms { name, organization, purpose, contact, ..Terms::default() }, row.get(4)?))
    });
    let Some((mut terms, is_of_jhe)) = terms.optional()? else {
        return Err(StoreError::Refused(format!(
            "there is no study {id}; /admin/studies shows all with their numbers"
        )));
    };
    let mut query = db.prepare_cached(
        "SELECT codes.code, display FROM study_codes JOIN codes ON codes.id = study_codes.code_id
         WHERE study_id = ? ORDER BY display",
    )?;
    let scopes = query.query_map([id], |row| Ok(Scope { code: row.get(0)?, display: row.get(1)? }))?;
    terms.scopes = scopes.collect::<Result<_, _>>()?;
    let mut query = db.prepare_cached(
        "SELECT name FROM study_data_sources JOIN data_sources ON data_sources.id = data_source_id
         WHERE study_id = ? ORDER BY name",
    )?;
    terms.data_sources = query.query_map([id], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(Study { id, terms, is_of_jhe })
}

/// Enrols a patient; answers whether that is news.
///
/// # Errors
/// Where the table cannot be written.
pub fn enrol(db: &Connection, id: StudyId, patient: PatientId, now: Timestamp) -> Result<bool, StoreError> {
    let enrolled = db.execute(
        "INSERT INTO enrolments (study_id, patient_id, enrolled_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        params![id, patient, now],
    )?;
    Ok(enrolled > 0)
}

/// The studies that a patient is enrolled in.
///
/// # Errors
/// Where the tables cannot be read.
pub fn of_patient(db: &Connection, patient: PatientId) -> Result<Vec<Study>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT study_id FROM enrolments WHERE patient_id = ? ORDER BY study_id")?;
    let ids = query.query_map([patient], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
    ids.into_iter().map(|id| require(db, id)).collect()
}

/// How many patients within reach a study has.
///
/// # Errors
/// Where the table cannot be read.
pub fn enrolled(db: &Connection, reach: Reach, id: StudyId) -> Result<i64, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT count(*) FROM enrolments WHERE study_id = ?1 AND {}",
        visibility::of_patients("patient_id", 2)
    ))?;
    Ok(query.query_row(params![id, reach], |row| row.get(0))?)
}

fn refuse_taken(db: &Connection, name: &str, but: Option<StudyId>) -> Result<(), StoreError> {
    let mut query = db.prepare_cached("SELECT 1 FROM studies WHERE name = ? AND id IS NOT ?")?;
    match query.query_row(params![name, but], |_| Ok(())).optional()? {
        None => Ok(()),
        Some(()) => Err(StoreError::Refused(format!("there is a study '{name}' already"))),
    }
}

fn attach(db: &Connection, id: StudyId, terms: &Terms) -> Result<(), StoreError> {
    for scope in &terms.scopes {
        let code = code::require(db, &scope.code)?;
        db.execute("INSERT INTO study_codes (study_id, code_id) VALUES (?, ?)", params![id, code])?;
    }
    for source in &terms.data_sources {
        db.execute(
            "INSERT INTO study_data_sources (study_id, data_source_id) SELECT ?, id FROM data_sources WHERE name = ?",
            params![id, source],
        )?;
    }
    Ok(())
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
