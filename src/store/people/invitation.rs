//! Invitations: links that bring a patient to the consent pages.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::{Role, VisibleTo};
use crate::model::{patient::PatientId, study::StudyId};
use crate::secrets::token::TokenHash;
use crate::store::{error::StoreResult, people::visibility};

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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitationState {
    Open,
    Used,
    Revoked,
    Expired,
}

impl Invitation {
    pub fn state(&self, now: Timestamp) -> InvitationState {
        match self {
            Self { used: Some(_), .. } => InvitationState::Used,
            Self { revoked: Some(_), .. } => InvitationState::Revoked,
            Self { expires, .. } if *expires <= now => InvitationState::Expired,
            _ => InvitationState::Open,
        }
    }
}

const SELECT: &str = "SELECT id, patient_id, study_id, issued_at, expires_at, revoked_at, used_at,
 used_by_hash FROM invitations";

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
    let insert = "INSERT INTO invitations (token_hash, patient_id, study_id, issued_at, expires_at)
         VALUES (?, ?, ?, ?, ?)";
    db.execute(insert, params![hash, patient, study, now, expires])?;
    Ok(())
}

/// Revokes a patient's open invitations and returns their number.
pub fn revoke_open(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<usize> {
    let update = "UPDATE invitations SET revoked_at = ?1
         WHERE patient_id = ?2 AND revoked_at IS NULL AND used_at IS NULL AND expires_at > ?1";
    Ok(db.execute(update, params![now, patient])?)
}

pub fn find(db: &Connection, hash: TokenHash) -> StoreResult<Option<Invitation>> {
    let select = format!("{SELECT} WHERE token_hash = ?");
    Ok(db.prepare_cached(&select)?.query_row([hash], from_row).optional()?)
}

pub fn mark_used(db: &Connection, id: i64, by: TokenHash, now: Timestamp) -> StoreResult<()> {
    db.execute("UPDATE invitations SET used_at = ?, used_by_hash = ? WHERE id = ?", params![now, by, id])?;
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
    let (id, patient, study, issued, expires, revoked, used, used_by) = row.try_into()?;
    Ok(Invitation { id, patient, study, issued, expires, revoked, used, used_by })
}
