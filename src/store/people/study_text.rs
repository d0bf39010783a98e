//! The texts of studies for patients, in each language and version.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::i18n::language::Language;
use crate::model::patient::PatientId;
use crate::model::study::StudyId;
use crate::store::error::{StoreError, StoreResult};

/// One version of a study's text in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyText {
    pub language: Language,
    /// Counts from 1 in each language.
    pub version: i64,
    /// The name of the study for patients.
    pub title: String,
    pub organization: String,
    pub purpose: String,
    pub contact: String,
    pub written: Timestamp,
}

/// The institution of a study, as its patients read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Institution {
    pub name: String,
    pub contact: String,
}

const SELECT: &str =
    "SELECT study_texts.language, version, title, study_texts.organization, study_texts.purpose,
    study_texts.contact, written_at FROM study_texts JOIN studies ON studies.id = study_id";

/// Finds the newest text in a language, or in the study's own language if there is none.
pub fn find(db: &Connection, study: StudyId, language: Language) -> StoreResult<StudyText> {
    let select = format!(
        "{SELECT} WHERE study_id = ?1 AND study_texts.language IN (?2, studies.language)
         ORDER BY study_texts.language <> ?2, version DESC LIMIT 1"
    );
    let found = db.prepare_cached(&select)?.query_row(params![study, language.tag()], from_row).optional()?;
    found.ok_or_else(|| StoreError::Other(format!("study {study} has no text")))
}

/// Lists all texts of a study, the newest version of each language first.
pub fn list(db: &Connection, study: StudyId) -> StoreResult<Vec<StudyText>> {
    let select = format!("{SELECT} WHERE study_id = ? ORDER BY study_texts.language, version DESC");
    Ok(db.prepare_cached(&select)?.query_map([study], from_row)?.collect::<Result<_, _>>()?)
}

/// Returns the language of the text that `studies` has.
pub fn find_own_language(db: &Connection, study: StudyId) -> StoreResult<Language> {
    let mut query = db.prepare_cached("SELECT language FROM studies WHERE id = ?")?;
    Ok(Language::find_or_english(&query.query_row([study], |row| row.get::<_, String>(0))?))
}

/// Changes the language of the text in `studies`. If the study has a text in that language, it becomes the study's own;
/// otherwise the own text was in that language all along.
pub fn set_own_language(db: &Connection, study: StudyId, language: Language) -> StoreResult<()> {
    let (tag, before) = (language.tag(), find_own_language(db, study)?.tag());
    let written = find(db, study, language)?;
    if tag == before {
        return Ok(());
    }
    if written.language == language {
        let select = "SELECT EXISTS (SELECT 1 FROM studies WHERE id = ?1 AND jhe_study_id IS NOT NULL)
                   OR EXISTS (SELECT 1 FROM studies WHERE name = ?2 AND id <> ?1)";
        if db.query_row(select, params![study, written.title], |row| row.get(0))? {
            let why = "the text in that language cannot become the study's own: the study is JHE's, or another study \
                       has its name";
            return Err(StoreError::Refused(why.to_owned()));
        }
        let update = "UPDATE studies SET name = ?, organization = ?, purpose = ?, contact = ? WHERE id = ?";
        let StudyText { title, organization, purpose, contact, .. } = &written;
        db.execute(update, params![title, organization, purpose, contact, study])?;
    } else {
        let update = "UPDATE study_texts SET language = ? WHERE study_id = ? AND language = ?";
        db.execute(update, params![tag, study, before])?;
    }
    db.execute("UPDATE studies SET language = ? WHERE id = ?", params![tag, study])?;
    Ok(())
}

/// Stores a text as the next version of its language, unless it equals the newest one. Returns the version.
pub fn save(db: &Connection, study: StudyId, text: &StudyText, now: Timestamp) -> StoreResult<i64> {
    let select =
        format!("{SELECT} WHERE study_id = ? AND study_texts.language = ? ORDER BY version DESC LIMIT 1");
    let tag = text.language.tag();
    let newest = db.prepare_cached(&select)?.query_row(params![study, tag], from_row).optional()?;
    let version = newest.as_ref().map_or(0, |newest| newest.version);
    let StudyText { title, organization, purpose, contact, .. } = text;
    let is_same = newest.is_some_and(|newest| {
        (newest.title, newest.organization, newest.purpose, newest.contact)
            == (title.clone(), organization.clone(), purpose.clone(), contact.clone())
    });
    if is_same {
        return Ok(version);
    }
    let insert = "INSERT INTO study_texts
             (study_id, language, version, title, organization, purpose, contact, written_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    db.execute(insert, params![study, tag, version + 1, title, organization, purpose, contact, now])?;
    Ok(version + 1)
}

/// Keeps the text that `studies` has as a version of the study's own language.
pub(super) fn save_own(db: &Connection, study: StudyId, now: Timestamp) -> StoreResult<()> {
    let select = "SELECT language, 0, name, organization, purpose, contact, 0 FROM studies WHERE id = ?";
    let text = db.prepare_cached(select)?.query_row([study], from_row)?;
    save(db, study, &text, now).map(drop)
}

/// Lists the institutions of a patient's studies in a language; with `only` that of one study.
pub fn list_institutions(
    db: &Connection,
    patient: PatientId,
    only: Option<StudyId>,
    language: Language,
) -> StoreResult<Vec<Institution>> {
    let select = "SELECT study_id FROM enrolments WHERE patient_id = ?1 AND (?2 IS NULL OR study_id = ?2)
         ORDER BY study_id";
    let mut query = db.prepare_cached(select)?;
    let studies =
        query.query_map(params![patient, only], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
    let mut institutions = Vec::new();
    for study in studies {
        let text = find(db, study, language)?;
        let institution = Institution { name: text.organization, contact: text.contact };
        if !institutions.contains(&institution) {
            institutions.push(institution);
        }
    }
    Ok(institutions)
}

/// A patient's place in a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participation {
    /// The name of the study, with its language.
    pub title: String,
    pub language: Language,
    /// The patient's number in the study.
    pub participant: String,
}

/// Lists a patient's places in studies; with `only` that in one study.
pub fn list_participations(
    db: &Connection,
    patient: PatientId,
    only: Option<StudyId>,
    language: Language,
) -> StoreResult<Vec<Participation>> {
    let select = "SELECT study_id, participant FROM enrolments
         WHERE patient_id = ?1 AND (?2 IS NULL OR study_id = ?2) ORDER BY study_id";
    let mut query = db.prepare_cached(select)?;
    let rows = query.query_map(params![patient, only], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows = rows.collect::<Result<Vec<(StudyId, String)>, _>>()?;
    rows.into_iter()
        .map(|(study, participant)| {
            let StudyText { title, language, .. } = find(db, study, language)?;
            Ok(Participation { title, language, participant })
        })
        .collect()
}

fn from_row(row: &Row) -> rusqlite::Result<StudyText> {
    let language = Language::find_or_english(row.get_ref(0)?.as_str()?);
    Ok(StudyText {
        language,
        version: row.get(1)?,
        title: row.get(2)?,
        organization: row.get(3)?,
        purpose: row.get(4)?,
        contact: row.get(5)?,
        written: row.get(6)?,
    })
}
