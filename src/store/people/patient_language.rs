//! The language in which a patient reads.

use rusqlite::{Connection, params};

use crate::i18n::language::Language;
use crate::model::patient::PatientId;
use crate::store::error::StoreResult;

pub fn find(db: &Connection, patient: PatientId) -> StoreResult<Language> {
    let mut query = db.prepare_cached("SELECT language FROM patients WHERE id = ?")?;
    Ok(Language::find_or_english(&query.query_row([patient], |row| row.get::<_, String>(0))?))
}

pub fn set(db: &Connection, patient: PatientId, language: Language) -> StoreResult<()> {
    db.execute("UPDATE patients SET language = ? WHERE id = ?", params![language.tag(), patient])?;
    Ok(())
}
