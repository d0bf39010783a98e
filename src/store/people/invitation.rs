//! Invitations: links that bring a patient in, once.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::patient::PatientId;
use crate::model::study::StudyId;
use crate::secrets::token::TokenHash;
use crate::store::error::StoreError;

/// An invitation, without its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its number.
    pub id: i64,
    /// Who is invited.
    pub patient: PatientId,
    /// To which study; none asks for each that the patient is enrolled in.
    pub study: Option<StudyId>,
    /// When it was made.
    pub issued: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
    /// When the patient agreed through it.
    pub used: Option<Timestamp>,
    /// The browser in which that was.
    pub used_by: Option<TokenHash>,
}

/// What an invitation is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can be used.
    Open,
    /// It was used.
    Used,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

impl Invitation {
    /// What it is good for at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self {
            Self { used: Some(_), .. } => Standing::Used,
            Self { revoked: Some(_), .. } => Standing::Revoked,
            Self { expires, .. } if *expires <= now => Standing::Expired,
            _ => Standing::Open,
        }
    }
}

const SELECT: &str = "SELECT id, patient_id, study_id, issued_at, expires_at, revoked_at, used_at,
 used_by_hash FROM invitations";

/// Keeps a new invitation. Earlier ones of the same patient that are still open are revoked: they are lost,
/// or in the wrong hands.
///
/// # Errors
/// Where the table cannot be written.
pub fn issue(
    db: &Connection,
    hash: TokenHash,
    patient: PatientId,
    study: Option<StudyId>,
    now: Timestamp,
    expires: Timestamp,
) -> Result<(), StoreError> {
    revoke_open(db, patient, now)?;
    db.execute(
        "INSERT INTO invitations (token_hash, patient_id, study_id, issued_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        params![hash, patient, study, now, expires],
    )?;
    Ok(())
}

/// Revokes a patient's open invitations; answers how many there were.
///
/// # Errors
/// Where the table cannot be written.
pub fn revoke_open(db: &Connection, patient: PatientId, now: Timestamp) -> Result<usize, StoreError> {
    Ok(db.execute(
        "UPDATE invitations SET revoked_at = ?1
         WHERE patient_id = ?2 AND revoked_at IS NULL AND used_at IS NULL AND expires_at > ?1",
        params![now, patient],
    )?)
}

/// The invitation of this token.
///
/// # Errors
/// Where the table cannot be read.
pub fn find(db: &Connection, hash: TokenHash) -> Result<Option<Invitation>, StoreError> {
    let mut query = db.prepare_cached(&format!("{SELECT} WHERE token_hash = ?"))?;
    Ok(query.query_row([hash], from_row).optional()?)
}

/// Uses an open invitation up, in the browser `by`.
///
/// # Errors
/// Where the table cannot be written.
pub fn mark_used(db: &Connection, id: i64, by: TokenHash, now: Timestamp) -> Result<(), StoreError> {
    db.execute("UPDATE invitations SET used_at = ?, used_by_hash = ? WHERE id = ?", params![now, by, id])?;
    Ok(())
}

/// Notes that a link of JHE's was exchanged for the patient's token; one that was made at JHE is known from then on.
///
/// # Errors
/// Where the table cannot be written.
pub fn note_redeemed(
    db: &Connection,
    hash: TokenHash,
    patient: PatientId,
    by: TokenHash,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO invitations (token_hash, patient_id, issued_at, expires_at, used_at, used_by_hash)
         VALUES (?1, ?2, ?3, ?3, ?3, ?4)
         ON CONFLICT (token_hash) DO UPDATE SET used_at = coalesce(used_at, ?3), used_by_hash = ?4",
        params![hash, patient, now, by],
    )?;
    Ok(())
}

/// The invitations that a patient has used let nobody in any more: a form that comes once more is a stranger's, and a
/// link of JHE's, which JHE itself takes for half a day, is refused here.
///
/// # Errors
/// Where the table cannot be written.
pub fn close_used(db: &Connection, patient: PatientId, now: Timestamp) -> Result<(), StoreError> {
    db.execute(
        "UPDATE invitations SET used_by_hash = NULL, revoked_at = coalesce(revoked_at, ?2)
         WHERE patient_id = ?1 AND used_at IS NOT NULL",
        params![patient, now],
    )?;
    Ok(())
}

/// A patient's invitations, newest first, at most `limit`.
///
/// # Errors
/// Where the table cannot be read.
pub fn list(db: &Connection, patient: PatientId, limit: u32) -> Result<Vec<Invitation>, StoreError> {
    let mut query = db.prepare_cached(&format!("{SELECT} WHERE patient_id = ? ORDER BY id DESC LIMIT ?"))?;
    Ok(query.query_map(params![patient, limit], from_row)?.collect::<Result<_, _>>()?)
}

fn from_row(row: &Row) -> rusqlite::Result<Invitation> {
    Ok(Invitation {
        id: row.get(0)?,
        patient: row.get(1)?,
        study: row.get(2)?,
        issued: row.get(3)?,
        expires: row.get(4)?,
        revoked: row.get(5)?,
        used: row.get(6)?,
        used_by: row.get(7)?,
    })
}
