//! The texts of a study's mails, where the study has its own.

use rusqlite::{Connection, OptionalExtension, params};

use crate::i18n::language::Language;
use crate::model::mail::{MailKind, MailText};
use crate::model::study::StudyId;
use crate::store::error::StoreResult;

pub fn find(
    db: &Connection,
    study: StudyId,
    kind: MailKind,
    language: Language,
) -> StoreResult<Option<MailText>> {
    let select = "SELECT subject, body FROM mail_texts WHERE study_id = ? AND kind = ? AND language = ?";
    let found = db.prepare_cached(select)?.query_row(params![study, kind, language.tag()], |row| {
        Ok(MailText { subject: row.get(0)?, body: row.get(1)? })
    });
    Ok(found.optional()?)
}

/// Sets a text; none restores the daemon's own.
pub fn set(
    db: &Connection,
    study: StudyId,
    kind: MailKind,
    language: Language,
    text: Option<&MailText>,
) -> StoreResult<()> {
    let delete = "DELETE FROM mail_texts WHERE study_id = ? AND kind = ? AND language = ?";
    db.execute(delete, params![study, kind, language.tag()])?;
    if let Some(MailText { subject, body }) = text {
        let insert =
            "INSERT INTO mail_texts (study_id, kind, language, subject, body) VALUES (?, ?, ?, ?, ?)";
        db.execute(insert, params![study, kind, language.tag(), subject, body])?;
    }
    Ok(())
}
