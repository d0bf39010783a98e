//! Invitations: links that bring a patient to the consent pages.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::i18n::language::Language;
use crate::model::account::{Role, VisibleTo};
use crate::model::{patient::PatientId, study::StudyId};
use crate::secrets::token::{Token, TokenHash};
use crate::store::{error::StoreResult, people::visibility};

/// An invitation works for so long.
pub const LIFETIME: Duration = Duration::from_hours(7 * 24);

/// Returns the link to send. Anybody who opens it acts as the patient.
pub fn link(base: &str, token: &Token) -> String {
    format!("{base}/ow/?code={}", token.expose())
}

/// An invitation, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    pub id: i64,
    pub patient: PatientId,
    /// None asks for all studies that the patient is enrolled in.
    pub study: Option<StudyId>,
    pub issued: Timestamp,
    pub expires: Timestamp,
    pub revoked: Option<Timestamp>,
    /// Time of the patient's answer.
    pub used: Option<Timestamp>,
    /// Hash of the token of the browser that used it. Only that browser may send the form again.
    pub used_by: Option<TokenHash>,
    /// Time at which a device was connected after the use.
    pub completed: Option<Timestamp>,
}

/// An invitation to a study that works at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInvitation {
    pub hash: TokenHash,
    pub patient: PatientId,
    /// The study number.
    pub number: String,
    pub name: String,
    pub language: Language,
    pub expires: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationState {
    Open,
    /// Used, and not completed: the link opens again, and then grants nothing.
    Reopenable,
    Used,
    Revoked,
    Expired,
}

impl Invitation {
    pub fn state(&self, now: Timestamp) -> InvitationState {
        match self {
            Self { used: Some(_), completed: None, revoked: None, expires, .. } if *expires > now => {
                InvitationState::Reopenable
            }
            Self { used: Some(_), .. } => InvitationState::Used,
            Self { revoked: Some(_), .. } => InvitationState::Revoked,
            Self { expires, .. } if *expires <= now => InvitationState::Expired,
            _ => InvitationState::Open,
        }
    }
}

const SELECT: &str = "SELECT id, patient_id, study_id, issued_at, expires_at, revoked_at, used_at,
 used_by_hash, completed_at FROM invitations";

/// Inserts an invitation and revokes the patient's open ones: those are lost or in the wrong hands.
pub fn issue(
    db: &Connection,
    hash: TokenHash,
    patient: PatientId,
    study: Option<StudyId>,
    now: Timestamp,
    expires: Timestamp,
) -> StoreResult<()> {
    revoke_open(db, patient, now)?;
    insert(db, hash, patient, study, now, expires)
}

/// Inserts an invitation beside the patient's open ones.
pub fn insert(
    db: &Connection,
    hash: TokenHash,
    patient: PatientId,
    study: Option<StudyId>,
    now: Timestamp,
    expires: Timestamp,
) -> StoreResult<()> {
    let insert = "INSERT INTO invitations (token_hash, patient_id, study_id, issued_at, expires_at)
         VALUES (?, ?, ?, ?, ?)";
    db.execute(insert, params![hash, patient, study, now, expires])?;
    Ok(())
}

/// Revokes a patient's open invitations, also those that open again, and returns their number.
pub fn revoke_open(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<usize> {
    let update = "UPDATE invitations SET revoked_at = ?1
         WHERE patient_id = ?2 AND revoked_at IS NULL AND completed_at IS NULL AND expires_at > ?1";
    Ok(db.execute(update, params![now, patient])?)
}

/// Revokes a patient's open invitations from before a time, also those that open again.
pub fn revoke_issued_before(
    db: &Connection,
    patient: PatientId,
    before: Timestamp,
    now: Timestamp,
) -> StoreResult<()> {
    let update = "UPDATE invitations SET revoked_at = ?1 WHERE patient_id = ?2 AND issued_at < ?3
         AND revoked_at IS NULL AND completed_at IS NULL AND expires_at > ?1";
    db.execute(update, params![now, patient, before])?;
    Ok(())
}

/// Deletes an invitation whose link nobody has received.
pub fn delete_unsent(db: &Connection, hash: TokenHash) -> StoreResult<()> {
    db.execute("DELETE FROM invitations WHERE token_hash = ? AND used_at IS NULL", [hash])?;
    Ok(())
}

/// Lists the open invitations to a study, with the study number, name and language of each patient.
pub fn list_open(db: &Connection, study: StudyId, now: Timestamp) -> StoreResult<Vec<OpenInvitation>> {
    let select = "SELECT token_hash, invitations.patient_id, participant, name, language, expires_at
         FROM invitations JOIN enrolments USING (patient_id, study_id) JOIN patients ON patients.id = invitations.patient_id
         WHERE study_id = ? AND revoked_at IS NULL AND used_at IS NULL AND expires_at > ? ORDER BY invitations.id";
    let mut query = db.prepare_cached(select)?;
    let rows = query.query_map(params![study, now], |row| {
        let (hash, patient, number, name, language, expires): (_, _, _, _, String, _) = row.try_into()?;
        let language = Language::find_or_english(&language);
        Ok(OpenInvitation { hash, patient, number, name, language, expires })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub fn find(db: &Connection, hash: TokenHash) -> StoreResult<Option<Invitation>> {
    let select = format!("{SELECT} WHERE token_hash = ?");
    Ok(db.prepare_cached(&select)?.query_row([hash], from_row).optional()?)
}

pub fn mark_used(db: &Connection, id: i64, by: TokenHash, now: Timestamp) -> StoreResult<()> {
    db.execute("UPDATE invitations SET used_at = ?, used_by_hash = ? WHERE id = ?", params![now, by, id])?;
    Ok(())
}

/// Completes a patient's used invitations: a device is connected, so their links do not open again.
pub fn complete_used(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<()> {
    let update = "UPDATE invitations SET completed_at = ?
         WHERE patient_id = ? AND used_at IS NOT NULL AND completed_at IS NULL";
    db.execute(update, params![now, patient])?;
    Ok(())
}

/// Records that a JHE link was exchanged for the patient's token. Inserts the link if JHE issued it.
pub fn record_redemption(
    db: &Connection,
    hash: TokenHash,
    patient: PatientId,
    by: TokenHash,
    now: Timestamp,
) -> StoreResult<()> {
    // JHE decides how long its link is valid. Here it is used and expired from the start.
    let insert =
        "INSERT INTO invitations (token_hash, patient_id, issued_at, expires_at, used_at, used_by_hash)
         VALUES (?1, ?2, ?3, ?3, ?3, ?4)
         ON CONFLICT (token_hash) DO UPDATE SET used_at = coalesce(used_at, ?3), used_by_hash = ?4";
    db.execute(insert, params![hash, patient, now, by])?;
    Ok(())
}

/// Revokes a patient's used invitations. After this the browser that used one cannot send the form again, and
/// a JHE link, which JHE accepts for 12 hours, is refused here.
pub fn revoke_used(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<()> {
    let update = "UPDATE invitations SET used_by_hash = NULL, revoked_at = coalesce(revoked_at, ?2)
         WHERE patient_id = ?1 AND used_at IS NOT NULL";
    db.execute(update, params![patient, now])?;
    Ok(())
}

/// Lists a patient's invitations to studies that an account may see, newest first.
pub fn list(
    db: &Connection,
    viewer: VisibleTo,
    patient: PatientId,
    limit: u32,
) -> StoreResult<Vec<Invitation>> {
    let select = format!(
        "{SELECT} WHERE patient_id = ?1 AND {} ORDER BY id DESC LIMIT ?3",
        visibility::study_id_condition("invitations.study_id", 2, Role::Viewer)
    );
    let mut query = db.prepare_cached(&select)?;
    Ok(query.query_map(params![patient, viewer, limit], from_row)?.collect::<Result<_, _>>()?)
}

fn from_row(row: &Row) -> rusqlite::Result<Invitation> {
    let (id, patient, study, issued, expires, revoked, used, used_by, completed) = row.try_into()?;
    Ok(Invitation { id, patient, study, issued, expires, revoked, used, used_by, completed })
}
