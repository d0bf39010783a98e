//! The data sources of a study, with the codes that each delivers.

use rusqlite::{Connection, params};

use crate::model::study::StudyId;
use crate::store::error::StoreResult;

/// A data source as JHE describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StudyDataSource {
    pub id: i64,
    pub name: String,
    /// JHE's word for the kind of device, such as `personal_device`.
    pub kind: String,
    pub codes: Vec<CodeRow>,
}

/// A code with its row id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow {
    pub id: i64,
    pub system: String,
    pub code: String,
    pub display: String,
}

/// Lists the data sources that a study names, or all if it names none, by name. Their codes are those that the study asks
/// for.
pub fn list(db: &Connection, study: StudyId) -> StoreResult<Vec<StudyDataSource>> {
    let mut query = db.prepare_cached(
        "SELECT id, name, type FROM data_sources
         WHERE id IN (SELECT data_source_id FROM study_data_sources WHERE study_id = ?1)
            OR NOT EXISTS (SELECT 1 FROM study_data_sources WHERE study_id = ?1)
         ORDER BY name",
    )?;
    let found = query.query_map([study], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut sources = Vec::new();
    for one in found {
        let (id, name, kind) = one?;
        sources.push(StudyDataSource { id, name, kind, codes: list_codes(db, study, Some(id))? });
    }
    Ok(sources)
}

/// Lists the codes that a study asks for, of one data source or of all, by name.
pub fn list_codes(db: &Connection, study: StudyId, source: Option<i64>) -> StoreResult<Vec<CodeRow>> {
    let mut query = db.prepare_cached(
        "SELECT id, system, code, display FROM codes
         WHERE id IN (SELECT code_id FROM study_codes WHERE study_id = ?1)
           AND (?2 IS NULL OR id IN (SELECT code_id FROM data_source_codes WHERE data_source_id = ?2))
         ORDER BY display",
    )?;
    let rows = query.query_map(params![study, source], |row| {
        let (id, system, code, display) = row.try_into()?;
        Ok(CodeRow { id, system, code, display })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
