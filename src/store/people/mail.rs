//! Mails to patients: queued, sent or refused.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::mail::{MailKind, MailState};
use crate::model::{patient::PatientId, study::StudyId};
use crate::secrets::token::TokenHash;
use crate::store::error::StoreResult;

/// A mail to a patient, without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientMail {
    pub id: i64,
    pub patient: PatientId,
    pub study: StudyId,
    pub kind: MailKind,
    /// The patient asked for a new link, to every study. Its kind is an invitation.
    pub is_new_link: bool,
    pub state: MailState,
    pub queued: Timestamp,
    /// The next attempt.
    pub due: Timestamp,
    pub attempts: u32,
    pub settled: Option<Timestamp>,
    pub last_error: Option<String>,
}

impl PatientMail {
    /// Returns the word for the mail in the audit.
    pub fn word(&self) -> &'static str {
        if self.is_new_link { "new-link" } else { self.kind.as_str() }
    }
}

const SELECT: &str = "SELECT id, patient_id, study_id, kind, new_link, state, queued_at, due_at, attempts,
     settled_at, last_error FROM mails";

/// Queues a mail. Returns false if the same one waits already.
pub fn enqueue(
    db: &Connection,
    patient: PatientId,
    study: StudyId,
    kind: MailKind,
    is_new_link: bool,
    now: Timestamp,
) -> StoreResult<bool> {
    let insert = "INSERT INTO mails (patient_id, study_id, kind, new_link, state, queued_at, due_at)
         SELECT ?1, ?2, ?3, ?4, 'waiting', ?5, ?5 WHERE NOT EXISTS
         (SELECT 1 FROM mails WHERE patient_id = ?1 AND study_id = ?2 AND kind = ?3 AND new_link = ?4
          AND state = 'waiting')";
    Ok(db.prepare_cached(insert)?.execute(params![patient, study, kind, is_new_link, now])? > 0)
}

/// Lists the mails that are due, at most `limit`.
pub fn list_due(db: &Connection, now: Timestamp, limit: u32) -> StoreResult<Vec<PatientMail>> {
    let select = format!("{SELECT} WHERE state = 'waiting' AND due_at <= ? ORDER BY due_at, id LIMIT ?");
    Ok(db.prepare_cached(&select)?.query_map(params![now, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// Lists a patient's mails, newest first.
pub fn list(db: &Connection, patient: PatientId, limit: u32) -> StoreResult<Vec<PatientMail>> {
    let select = format!("{SELECT} WHERE patient_id = ? ORDER BY id DESC LIMIT ?");
    Ok(db.prepare_cached(&select)?.query_map(params![patient, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// Counts the mails that wait, and returns when the first of them was queued.
pub fn count_waiting(db: &Connection) -> StoreResult<(i64, Option<Timestamp>)> {
    let select = "SELECT count(*), min(queued_at) FROM mails WHERE state = 'waiting'";
    Ok(db.query_row(select, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Records the outcome of an attempt.
pub fn record_attempt(
    db: &Connection,
    id: i64,
    state: MailState,
    error: Option<&str>,
    due: Timestamp,
    now: Timestamp,
) -> StoreResult<()> {
    let update = "UPDATE mails SET state = ?2, attempts = attempts + 1, last_error = ?3, due_at = ?4,
         settled_at = iif(?2 = 'waiting', NULL, ?5) WHERE id = ?1 AND state = 'waiting'";
    db.execute(update, params![id, state, error, due, now])?;
    Ok(())
}

/// Cancels a mail before it is sent.
pub fn cancel(db: &Connection, id: i64, why: &str, now: Timestamp) -> StoreResult<()> {
    let update = "UPDATE mails SET state = 'cancelled', last_error = ?, settled_at = ?
         WHERE id = ? AND state = 'waiting'";
    db.execute(update, params![why, now, id])?;
    Ok(())
}

/// Delays the mails that wait: nothing can be sent at present.
pub fn postpone_all(db: &Connection, until: Timestamp) -> StoreResult<()> {
    db.execute("UPDATE mails SET due_at = max(due_at, ?) WHERE state = 'waiting'", [until])?;
    Ok(())
}

/// Stores the hash of the token that ends reminders from the link in this mail.
pub fn set_unsubscribe_hash(db: &Connection, id: i64, hash: TokenHash) -> StoreResult<()> {
    db.execute("UPDATE mails SET unsubscribe_hash = ? WHERE id = ?", params![hash, id])?;
    Ok(())
}

/// Finds the reminder with this token in its link.
pub fn find_by_unsubscribe_hash(db: &Connection, hash: TokenHash) -> StoreResult<Option<PatientMail>> {
    let select = format!("{SELECT} WHERE unsubscribe_hash = ?");
    Ok(db.prepare_cached(&select)?.query_row([hash], from_row).optional()?)
}

/// A participant who was invited to a study and has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitedParticipant {
    pub patient: PatientId,
    /// The study number.
    pub number: String,
    pub name: String,
    pub email: Option<String>,
    /// The end of the link that works at present.
    pub link_expires: Option<Timestamp>,
    /// The newest mail with an invitation.
    pub mail: Option<MailState>,
    pub mail_error: Option<String>,
}

/// Lists the participants of a study who have not answered, first those whose mail was refused, then the newest.
pub fn list_invited(
    db: &Connection,
    study: StudyId,
    now: Timestamp,
    limit: u32,
) -> StoreResult<Vec<InvitedParticipant>> {
    let select = "SELECT enrolments.patient_id, participant, name, email,
         (SELECT max(expires_at) FROM invitations AS open WHERE open.patient_id = enrolments.patient_id
          AND revoked_at IS NULL AND used_at IS NULL AND expires_at > ?2 AND coalesce(open.study_id, ?1) = ?1),
         mails.state, mails.last_error
         FROM enrolments JOIN patients ON patients.id = enrolments.patient_id
         LEFT JOIN mails ON mails.id = (SELECT max(id) FROM mails AS newest
             WHERE newest.patient_id = enrolments.patient_id AND newest.study_id = ?1 AND kind = 'invitation')
         WHERE enrolments.study_id = ?1 AND jhe_patient_id IS NULL AND NOT EXISTS (SELECT 1 FROM consents
             WHERE consents.patient_id = enrolments.patient_id AND coalesce(consents.study_id, ?1) = ?1)
         ORDER BY mails.state IS 'refused' DESC, enrolled_at DESC, participant LIMIT ?3";
    let mut query = db.prepare_cached(select)?;
    let rows = query.query_map(params![study, now, limit], |row| {
        let (patient, number, name, email, link_expires, mail, mail_error) = row.try_into()?;
        Ok(InvitedParticipant { patient, number, name, email, link_expires, mail, mail_error })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn from_row(row: &Row) -> rusqlite::Result<PatientMail> {
    let (id, patient, study, kind, is_new_link, state, queued, due, attempts, settled, last_error) =
        row.try_into()?;
    Ok(PatientMail {
        id,
        patient,
        study,
        kind,
        is_new_link,
        state,
        queued,
        due,
        attempts,
        settled,
        last_error,
    })
}
