//! Inviting a patient: a link that works once, for seven days.

use std::time::Duration;

use rusqlite::Connection;

use crate::account::Actor;
use crate::patient::PatientId;
use crate::store::{StoreError, audit, invitation, patient, study};
use crate::study::StudyId;
use crate::time::Timestamp;
use crate::token::{Token, TokenHash};

/// How long an invitation can be used.
pub const VALID: Duration = Duration::from_hours(7 * 24);

/// The link to send: whoever opens it is taken for the patient.
pub fn link(base: &str, token: &Token) -> String {
    format!("{base}/ow/?code={}", token.expose())
}

/// Invites a patient to a study, enrolling where that is still to be done, or to every study of theirs. Answers
/// when the invitation ends.
///
/// # Errors
/// A sentence where there is no such study, or none at all to be invited to.
pub fn invite(
    db: &Connection,
    hash: TokenHash,
    whom: PatientId,
    to: Option<StudyId>,
    who: Actor,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    patient::refuse_of_jhe(db, whom, "invite the patient")?;
    match to {
        Some(id) => enrol(db, id, whom, who, now)?,
        None if study::of_patient(db, whom)?.is_empty() => {
            let why =
                format!("patient {whom} is in no study; enrol the patient in one, or name one to invite to");
            return Err(StoreError::Refused(why));
        }
        None => {}
    }
    if let Some(known) = invitation::find(db, hash)? {
        // The form came twice: one link, not two of which the first is dead.
        return Ok(known.expires);
    }
    let expires = now.plus(VALID);
    invitation::issue(db, hash, whom, to, now, expires)?;
    audit::record(db, now, who, "invitation.issue", Some(whom), "")?;
    Ok(expires)
}

/// Enrols a patient in a study, once.
///
/// # Errors
/// A sentence where there is no such study.
pub fn enrol(
    db: &Connection,
    id: StudyId,
    patient: PatientId,
    who: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    study::require(db, id)?;
    if study::enrol(db, id, patient, now)? {
        audit::record(db, now, who, "study.enrol", Some(patient), &format!("study {id}"))?;
    }
    Ok(())
}
