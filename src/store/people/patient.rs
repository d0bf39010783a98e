//! Patients and their links to OW users.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::{Role, VisibleTo};
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::store::error::{StoreError, StoreResult};
use crate::store::people::visibility;
use crate::store::privacy::{erased_identifiers, patient_tables};

/// A patient's data as a person enters them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPatient {
    pub name: String,
    pub email: Option<String>,
    /// IANA name or fixed offset; decides where a local day begins if a sample does not say. Without one it is UTC
    /// until a study or the patient gives another.
    pub time_zone: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    pub id: PatientId,
    pub name: String,
    pub email: Option<String>,
    /// IANA name.
    pub time_zone: String,
    /// The patient's id at JHE.
    pub jhe_id: Option<i64>,
    /// OW user id of the first link. It is part of the identifier of each sample.
    pub subject: Option<String>,
    pub link: Option<OwLink>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwLink {
    pub ow_user: OwUser,
    /// OW does not know the user any more.
    pub needs_relink: bool,
}

/// The meaning of a second OW user for a patient, as an operator states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relink {
    /// Nothing is stated; a second OW user is refused.
    Unspecified,
    /// The samples continue under the first identity.
    SamePerson,
    /// The earlier link was to another person. Its streams are marked as entered in error.
    Mistake,
}

const SELECT: &str = "
    SELECT patients.id, name, email, time_zone, jhe_patient_id, subject, links.ow_user_id,
    links.state = 'needs_relink'
    FROM patients LEFT JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'";

pub fn insert(db: &Connection, new: &NewPatient, now: Timestamp) -> StoreResult<PatientId> {
    let insert = "INSERT INTO patients (name, email, time_zone, time_zone_set_at, created_at)
         VALUES (?1, ?2, coalesce(?3, 'UTC'), iif(?3 IS NULL, NULL, ?4), ?4)";
    db.execute(insert, params![new.name, new.email, new.time_zone, now])?;
    Ok(PatientId::new(db.last_insert_rowid()))
}

/// Inserts a JHE patient, whose external id at OW is JHE's user id. Refuses one who is stored already or was
/// erased.
pub fn insert_from_jhe(
    db: &Connection,
    new: &NewPatient,
    jhe_id: i64,
    user_id: &str,
    now: Timestamp,
) -> StoreResult<PatientId> {
    if let Some(id) = find_by_jhe_id(db, jhe_id)? {
        return Err(StoreError::Refused(format!("JHE patient {jhe_id} is here already, as patient {id}")));
    }
    erased_identifiers::refuse_jhe_id(db, jhe_id)?;
    let id = insert(db, new, now)?;
    let update = "UPDATE patients SET jhe_patient_id = ?, external_id = ? WHERE id = ?";
    db.execute(update, params![jhe_id, user_id, id])?;
    Ok(id)
}

/// Refuses a patient who has a JHE id.
pub fn check_unmatched(patient: &Patient) -> StoreResult<()> {
    let Some(jhe_id) = patient.jhe_id else { return Ok(()) };
    Err(StoreError::Refused(format!("patient {} is JHE's patient {jhe_id} already", patient.id)))
}

/// Refuses the JHE id if the patient has one or if another patient has this one. If that other patient came
/// through a JHE link and has neither a link to OW nor samples, they are deleted instead.
pub fn claim_jhe_id(db: &Connection, patient: &Patient, jhe_id: i64) -> StoreResult<()> {
    check_unmatched(patient)?;
    erased_identifiers::refuse_jhe_id(db, jhe_id)?;
    match find_by_jhe_id(db, jhe_id)? {
        None => Ok(()),
        Some(other) if is_unused(db, other)? => delete_unused(db, other),
        Some(other) => {
            Err(StoreError::Refused(format!("JHE patient {jhe_id} is here already, as patient {other}")))
        }
    }
}

/// Returns true if the patient has never had a link to OW or a stream.
fn is_unused(db: &Connection, id: PatientId) -> StoreResult<bool> {
    let select = "SELECT NOT EXISTS (SELECT 1 FROM links WHERE patient_id = ?1)
            AND NOT EXISTS (SELECT 1 FROM streams WHERE patient_id = ?1)";
    Ok(db.prepare_cached(select)?.query_row([id], |row| row.get(0))?)
}

/// Deletes a patient without samples. The audit still has the id.
fn delete_unused(db: &Connection, id: PatientId) -> StoreResult<()> {
    for &table in patient_tables::PATIENT_TABLES {
        db.execute(&format!("DELETE FROM {table} WHERE patient_id = ?"), [id])?;
    }
    db.execute("DELETE FROM patients WHERE id = ?", [id])?;
    Ok(())
}

/// Sets the JHE id. The external id at OW stays.
pub fn set_jhe_id(db: &Connection, id: PatientId, jhe_id: i64) -> StoreResult<()> {
    db.execute("UPDATE patients SET jhe_patient_id = ? WHERE id = ?", params![jhe_id, id])?;
    Ok(())
}

pub fn find_by_jhe_id(db: &Connection, jhe_id: i64) -> StoreResult<Option<PatientId>> {
    let mut query = db.prepare_cached("SELECT id FROM patients WHERE jhe_patient_id = ?")?;
    Ok(query.query_row([jhe_id], |row| row.get(0)).optional()?)
}

/// Sets name and e-mail address.
pub fn rename(db: &Connection, id: PatientId, name: &str, email: Option<&str>) -> StoreResult<()> {
    db.execute("UPDATE patients SET name = ?, email = ? WHERE id = ?", params![name, email, id])?;
    Ok(())
}

/// Returns the names, in lower case, of the patients whom the viewer knows by name.
pub fn list_names(db: &Connection, viewer: VisibleTo) -> StoreResult<BTreeSet<String>> {
    let condition = visibility::patient_condition("id", 1, Role::Coordinator);
    let mut query = db.prepare_cached(&format!("SELECT name FROM patients WHERE {condition}"))?;
    let names = query.query_map([viewer], |row| row.get::<_, String>(0))?;
    Ok(names.map(|name| name.map(|name| name.to_lowercase())).collect::<Result<_, _>>()?)
}

/// Lists the patients of a name, in letters of either case, whom the viewer knows by name; at most `limit`.
pub fn list_by_name(
    db: &Connection,
    viewer: VisibleTo,
    name: &str,
    limit: usize,
) -> StoreResult<Vec<PatientId>> {
    let condition = visibility::patient_condition("id", 1, Role::Coordinator);
    let mut query =
        db.prepare_cached(&format!("SELECT id, name FROM patients WHERE {condition} ORDER BY id"))?;
    let (mut rows, mut found, name) = (query.query([viewer])?, Vec::new(), name.to_lowercase());
    while let Some(row) = rows.next()?
        && found.len() < limit
    {
        // SQLite compares letters of ASCII only without regard to case.
        if row.get::<_, String>(1)?.to_lowercase() == name {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

/// Returns true if JHE knows the patient. JHE then gets the observations.
pub fn is_of_jhe(db: &Connection, id: PatientId) -> StoreResult<bool> {
    let mut query = db.prepare_cached("SELECT jhe_patient_id IS NOT NULL FROM patients WHERE id = ?")?;
    Ok(query.query_row([id], |row| row.get(0))?)
}

/// Refuses an action on a JHE patient that only JHE may take.
pub fn check_is_local(db: &Connection, id: PatientId, what: &str) -> StoreResult<()> {
    if !is_of_jhe(db, id)? {
        return Ok(());
    }
    Err(StoreError::Refused(format!("patient {id} is JHE's, which is the truth about it: {what} there")))
}

/// Returns the id by which OW knows the patient.
pub fn find_external_id(db: &Connection, id: PatientId) -> StoreResult<String> {
    let mut query = db.prepare_cached("SELECT external_id FROM patients WHERE id = ?")?;
    Ok(query.query_row([id], |row| row.get(0))?)
}

/// Returns true if an external id is JHE's user id, so that JHE's own calls to OW reach the same OW user. The
/// daemon's own external ids are 32 random hexadecimal digits.
pub fn is_jhe_user_id(external_id: &str) -> bool {
    external_id.len() < 32 && external_id.bytes().all(|byte| byte.is_ascii_digit())
}

pub fn list(db: &Connection) -> StoreResult<Vec<Patient>> {
    let select = format!("{SELECT} ORDER BY patients.id");
    let mut query = db.prepare_cached(&select)?;
    let patients = query.query_map([], from_row)?;
    Ok(patients.collect::<Result<_, _>>()?)
}

/// Lists the patients with an address, at most `limit`.
pub fn list_by_email(db: &Connection, address: &str, limit: u32) -> StoreResult<Vec<Patient>> {
    let select = format!("{SELECT} WHERE email = ? COLLATE NOCASE ORDER BY patients.id LIMIT ?");
    let mut query = db.prepare_cached(&select)?;
    Ok(query.query_map(params![address, limit], from_row)?.collect::<Result<_, _>>()?)
}

pub fn find(db: &Connection, who: PatientRef) -> StoreResult<Patient> {
    let (column, number) = match who {
        PatientRef::Own(id) => ("patients.id", id.get()),
        PatientRef::Jhe(id) => ("jhe_patient_id", id),
    };
    let select = format!("{SELECT} WHERE {column} = ?");
    let patient = db.prepare_cached(&select)?.query_row([number], from_row).optional()?;
    patient.ok_or_else(|| {
        StoreError::Refused(format!("there is no patient {who}; `jhe-ow patient list` shows all"))
    })
}

/// Links a patient to an OW user. Returns false if that link exists already. Refuses a patient with another
/// link, an OW user of another patient, and a second OW user unless `relink` says what it means.
pub fn link(
    db: &Connection,
    patient: &Patient,
    ow_user: &OwUser,
    relink: Relink,
    now: Timestamp,
) -> StoreResult<bool> {
    if let Some(link) = patient.link.as_ref().filter(|link| !link.needs_relink) {
        if link.ow_user == *ow_user {
            return Ok(false);
        }
        return Err(StoreError::Refused(format!(
            "patient {} is linked to {}; unlink first: jhe-ow patient unlink {}",
            patient.id, link.ow_user, patient.id
        )));
    }
    check_ow_user_free(db, patient.id, ow_user)?;
    erased_identifiers::refuse_ow_user(db, ow_user)?;
    // An erasure may have begun after the caller read the patient.
    if erased_identifiers::find_erasure(db, patient.id)?.is_some() {
        return Err(StoreError::Erased);
    }
    resolve_subject(db, patient, ow_user, relink)?;
    // A patient has at most one current link: a unique index sees to it.
    unlink(db, patient.id, now)?;
    let insert = "INSERT INTO links (patient_id, ow_user_id, state, linked_at) VALUES (?, ?, 'active', ?)";
    db.execute(insert, params![patient.id, ow_user, now])?;
    copy_marks(db, patient.id, db.last_insert_rowid())?;
    // A new link is checked with OW before anything is read through it.
    let update =
        "UPDATE sync_status SET completeness_checked_at = NULL, last_error = NULL WHERE patient_id = ?";
    db.execute(update, [patient.id])?;
    Ok(true)
}

/// Starts the new link from the high-water marks of the patient's earlier links, so that samples from the
/// time between are read.
fn copy_marks(db: &Connection, patient: PatientId, link: i64) -> StoreResult<()> {
    let insert = "INSERT INTO high_water_marks (link_id, mode, series_type, instant)
         SELECT ?2, mode, series_type, max(instant) FROM high_water_marks
         JOIN links ON links.id = high_water_marks.link_id
         WHERE links.patient_id = ?1 AND links.state = 'unlinked' GROUP BY mode, series_type";
    db.execute(insert, params![patient, link])?;
    Ok(())
}

/// Ends a patient's link. Returns false if there is none.
pub fn unlink(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<bool> {
    let update =
        "UPDATE links SET state = 'unlinked', unlinked_at = ? WHERE patient_id = ? AND state <> 'unlinked'";
    let ended = db.execute(update, params![now, patient])?;
    Ok(ended > 0)
}

/// Marks a link whose OW user is gone.
pub fn mark_needs_relink(db: &Connection, link: i64) -> StoreResult<()> {
    db.execute("UPDATE links SET state = 'needs_relink' WHERE id = ? AND state = 'active'", [link])?;
    Ok(())
}

fn check_ow_user_free(db: &Connection, patient: PatientId, ow_user: &OwUser) -> StoreResult<()> {
    let mut query = db.prepare_cached(
        "SELECT patient_id FROM links WHERE ow_user_id = ? AND state <> 'unlinked' AND patient_id <> ?",
    )?;
    let holder: Option<PatientId> =
        query.query_row(params![ow_user, patient], |row| row.get(0)).optional()?;
    let Some(other) = holder else { return Ok(()) };
    Err(StoreError::Refused(format!(
        "{ow_user} is linked to patient {other}; an OW user belongs to one patient at a time"
    )))
}

/// Decides under which identity the samples of the new link are stored.
fn resolve_subject(db: &Connection, patient: &Patient, ow_user: &OwUser, relink: Relink) -> StoreResult<()> {
    match (patient.subject.as_deref(), relink) {
        (None, _) => {}
        (Some(before), _) if before == ow_user.as_str() => return Ok(()),
        (Some(_), Relink::SamePerson) => return Ok(()),
        (Some(before), Relink::Mistake) => mark_entered_in_error(db, patient.id, before)?,
        (Some(before), Relink::Unspecified) => {
            return Err(StoreError::Refused(format!(
                "patient {} was linked to ow:{before} before. Say which it is: --same-person \
                 (the history goes on) or --mistake (what came through ow:{before} is set aside)",
                patient.id
            )));
        }
    }
    db.execute("UPDATE patients SET subject = ? WHERE id = ?", params![ow_user, patient.id])?;
    Ok(())
}

/// Marks the streams of a link to a wrong person as entered in error, and deletes everything derived from
/// them.
fn mark_entered_in_error(db: &Connection, patient: PatientId, subject: &str) -> StoreResult<()> {
    let mut others = db.prepare_cached("SELECT 1 FROM links WHERE patient_id = ? AND ow_user_id <> ?")?;
    if others.exists(params![patient, subject])? {
        return Err(StoreError::Refused(format!(
            "what patient {patient} has came through more than one OW user; it cannot be told apart any more"
        )));
    }
    let update = "UPDATE streams SET entered_in_error = 1 WHERE patient_id = ? AND subject = ?";
    db.execute(update, params![patient, subject])?;
    for table in ["high_water_marks", "raw_objects"] {
        let links = "SELECT id FROM links WHERE patient_id = ?";
        db.execute(&format!("DELETE FROM {table} WHERE link_id IN ({links})"), [patient])?;
    }
    for table in ["hourly_sample_counts", "data_hours"] {
        db.execute(&format!("DELETE FROM {table} WHERE patient_id = ?"), [patient])?;
    }
    // Rejected samples are the other person's as well.
    db.execute("DELETE FROM rejected_samples WHERE patient_id = ?", [patient])?;
    db.execute("UPDATE sync_status SET newest_instant = NULL WHERE patient_id = ?", [patient])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Patient> {
    let (id, name, email, time_zone, jhe_id, subject, ow_user, needs_relink) = row.try_into()?;
    // Both columns of the link are NULL in a patient without one.
    let link =
        Option::zip(ow_user, needs_relink).map(|(ow_user, needs_relink)| OwLink { ow_user, needs_relink });
    Ok(Patient { id, name, email, time_zone, jhe_id, subject, link })
}
