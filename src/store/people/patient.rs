//! Patients and their links to OW users.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::store::error::StoreError;
use crate::store::privacy::{erased_identifiers, patient_tables};

/// A patient about to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPatient {
    /// What people call the patient.
    pub name: String,
    /// Where to write to.
    pub email: Option<String>,
    /// IANA name of the time zone whose days are the patient's.
    pub time_zone: String,
}

/// A patient as the store holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patient {
    /// The daemon's own number.
    pub id: PatientId,
    /// What people call the patient.
    pub name: String,
    /// Where to write to.
    pub email: Option<String>,
    /// IANA name of the time zone whose days are the patient's.
    pub time_zone: String,
    /// JHE's number, where JHE knows the patient.
    pub jhe_id: Option<i64>,
    /// OW user id under which the patient's samples are identified: that of the first link.
    pub subject: Option<String>,
    /// The link, where there is one.
    pub link: Option<Link>,
}

/// A patient's link to an OW user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The OW user.
    pub ow_user: OwUser,
    /// Whether OW no longer knows the user.
    pub needs_relink: bool,
}

/// What an operator says about a second OW user for a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relink {
    /// Nothing: there must be nothing to decide.
    Unsaid,
    /// It is the same person: the history goes on under the first identity.
    SamePerson,
    /// The earlier link was a mistake: what came through it is set aside.
    Mistake,
}

const SELECT: &str = "
    SELECT patients.id, name, email, time_zone, jhe_patient_id, subject, links.ow_user_id,
    links.state = 'needs_relink'
    FROM patients LEFT JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'";

/// Keeps a new patient.
///
/// # Errors
/// Where the row cannot be written.
pub fn add(db: &Connection, new: &NewPatient, now: Timestamp) -> Result<PatientId, StoreError> {
    db.execute(
        "INSERT INTO patients (name, email, time_zone, created_at) VALUES (?, ?, ?, ?)",
        params![new.name, new.email, new.time_zone, now],
    )?;
    Ok(PatientId::new(db.last_insert_rowid()))
}

/// Keeps a patient of JHE's. OW knows such a patient by JHE's number of the user.
///
/// # Errors
/// A sentence where the patient is here already, or was erased.
pub fn add_of_jhe(
    db: &Connection,
    new: &NewPatient,
    jhe_id: i64,
    user_id: &str,
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    if let Some(id) = of_jhe(db, jhe_id)? {
        return Err(StoreError::Refused(format!("JHE patient {jhe_id} is here already, as patient {id}")));
    }
    erased_identifiers::refuse_jhe(db, jhe_id)?;
    let id = add(db, new, now)?;
    db.execute(
        "UPDATE patients SET jhe_patient_id = ?, external_id = ? WHERE id = ?",
        params![jhe_id, user_id, id],
    )?;
    Ok(id)
}

/// Refuses to give a patient another number in JHE.
///
/// # Errors
/// A sentence where the patient has one.
pub fn refuse_matched(patient: &Patient) -> Result<(), StoreError> {
    match patient.jhe_id {
        None => Ok(()),
        Some(jhe_id) => {
            Err(StoreError::Refused(format!("patient {} is JHE's patient {jhe_id} already", patient.id)))
        }
    }
}

/// Refuses to give a patient this number in JHE where it is somebody else's, or the patient has one. Who has only come
/// in by a link of JHE's, before anybody said who that is, gives way: nothing was linked or kept.
///
/// # Errors
/// A sentence where that is so.
pub fn make_way(db: &Connection, patient: &Patient, jhe_id: i64) -> Result<(), StoreError> {
    refuse_matched(patient)?;
    erased_identifiers::refuse_jhe(db, jhe_id)?;
    match of_jhe(db, jhe_id)? {
        None => Ok(()),
        Some(other) if is_bare(db, other)? => remove(db, other),
        Some(other) => {
            Err(StoreError::Refused(format!("JHE patient {jhe_id} is here already, as patient {other}")))
        }
    }
}

fn is_bare(db: &Connection, id: PatientId) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT NOT EXISTS (SELECT 1 FROM links WHERE patient_id = ?1)
            AND NOT EXISTS (SELECT 1 FROM streams WHERE patient_id = ?1)",
    )?;
    Ok(query.query_row([id], |row| row.get(0))?)
}

/// Removes a patient of whom nothing was kept. The audit has the number still.
fn remove(db: &Connection, id: PatientId) -> Result<(), StoreError> {
    for &table in patient_tables::OF_PATIENT {
        db.execute(&format!("DELETE FROM {table} WHERE patient_id = ?"), [id])?;
    }
    db.execute("DELETE FROM patients WHERE id = ?", [id])?;
    Ok(())
}

/// Makes a patient one of JHE's. What OW knows the patient by stays.
///
/// # Errors
/// Where the row cannot be written.
pub fn set_jhe_id(db: &Connection, id: PatientId, jhe_id: i64) -> Result<(), StoreError> {
    db.execute("UPDATE patients SET jhe_patient_id = ? WHERE id = ?", params![jhe_id, id])?;
    Ok(())
}

/// The patient whom JHE knows by this number, where that one is here.
///
/// # Errors
/// Where the table cannot be read.
pub fn of_jhe(db: &Connection, jhe_id: i64) -> Result<Option<PatientId>, StoreError> {
    let mut query = db.prepare_cached("SELECT id FROM patients WHERE jhe_patient_id = ?")?;
    Ok(query.query_row([jhe_id], |row| row.get(0)).optional()?)
}

/// Changes how a patient is called and reached, and which days are the patient's.
///
/// # Errors
/// Where the row cannot be written.
pub fn change(db: &Connection, id: PatientId, to: &NewPatient) -> Result<(), StoreError> {
    db.execute(
        "UPDATE patients SET name = ?, email = ?, time_zone = ? WHERE id = ?",
        params![to.name, to.email, to.time_zone, id],
    )?;
    Ok(())
}

/// Whether JHE knows a patient: then JHE gets the observations.
///
/// # Errors
/// Where the table cannot be read.
pub fn is_of_jhe(db: &Connection, id: PatientId) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached("SELECT jhe_patient_id IS NOT NULL FROM patients WHERE id = ?")?;
    Ok(query.query_row([id], |row| row.get(0))?)
}

/// Refuses to do to a patient of JHE's what is JHE's to do.
///
/// # Errors
/// A sentence where JHE knows the patient.
pub fn refuse_of_jhe(db: &Connection, id: PatientId, what: &str) -> Result<(), StoreError> {
    if !is_of_jhe(db, id)? {
        return Ok(());
    }
    Err(StoreError::Refused(format!("patient {id} is JHE's, which is the truth about it: {what} there")))
}

/// What OW is to know a patient by.
///
/// # Errors
/// Where the table cannot be read.
pub fn external_id(db: &Connection, id: PatientId) -> Result<String, StoreError> {
    let mut query = db.prepare_cached("SELECT external_id FROM patients WHERE id = ?")?;
    Ok(query.query_row([id], |row| row.get(0))?)
}

/// Whether OW knows a patient by JHE's number of the user, so that JHE's own way to OW leads to the same user: all
/// others are known by 32 random hexadecimal digits, also where JHE knows them by now.
pub fn is_known_by_jhes_number(external_id: &str) -> bool {
    external_id.len() < 32 && external_id.bytes().all(|byte| byte.is_ascii_digit())
}

/// Every patient, by number.
///
/// # Errors
/// Where the table cannot be read.
pub fn list(db: &Connection) -> Result<Vec<Patient>, StoreError> {
    let mut query = db.prepare_cached(&format!("{SELECT} ORDER BY patients.id"))?;
    let patients = query.query_map([], from_row)?;
    Ok(patients.collect::<Result<_, _>>()?)
}

/// The patient whom `who` names.
///
/// # Errors
/// A sentence where there is none.
pub fn find(db: &Connection, who: PatientRef) -> Result<Patient, StoreError> {
    let (column, number) = match who {
        PatientRef::Own(id) => ("patients.id", id.get()),
        PatientRef::Jhe(id) => ("jhe_patient_id", id),
    };
    let mut query = db.prepare_cached(&format!("{SELECT} WHERE {column} = ?"))?;
    let patient = query.query_row([number], from_row).optional()?;
    patient.ok_or_else(|| {
        StoreError::Refused(format!("there is no patient {who}; `jhe-ow patient list` shows all"))
    })
}

/// Links a patient to an OW user; answers whether that is news.
///
/// # Errors
/// A sentence where the patient has a link, the OW user belongs to another patient, or the operator has
/// to say first what a second OW user means.
pub fn link(
    db: &Connection,
    patient: &Patient,
    ow_user: &OwUser,
    relink: Relink,
    now: Timestamp,
) -> Result<bool, StoreError> {
    if let Some(link) = &patient.link {
        if link.ow_user == *ow_user && !link.needs_relink {
            return Ok(false);
        }
        if !link.needs_relink {
            return Err(StoreError::Refused(format!(
                "patient {} is linked to {}; unlink first: jhe-ow patient unlink {}",
                patient.id, link.ow_user, patient.id
            )));
        }
    }
    refuse_taken(db, patient.id, ow_user)?;
    erased_identifiers::refuse_ow(db, ow_user)?;
    if erased_identifiers::find(db, patient.id)?.is_some() {
        return Err(StoreError::Erased);
    }
    settle_subject(db, patient, ow_user, relink)?;
    end_link(db, patient.id, now)?;
    db.execute(
        "INSERT INTO links (patient_id, ow_user_id, state, linked_at) VALUES (?, ?, 'active', ?)",
        params![patient.id, ow_user, now],
    )?;
    inherit_marks(db, patient.id, db.last_insert_rowid())?;
    // A new link is checked with OW before anything is read through it.
    db.execute(
        "UPDATE sync_status SET completeness_checked_at = NULL, last_error = NULL WHERE patient_id = ?",
        [patient.id],
    )?;
    Ok(true)
}

/// The history of one subject goes on where its last link left off: what OW got in between is not skipped.
fn inherit_marks(db: &Connection, patient: PatientId, link: i64) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO high_water_marks (link_id, mode, series_type, instant)
         SELECT ?2, mode, series_type, max(instant) FROM high_water_marks
         JOIN links ON links.id = high_water_marks.link_id
         WHERE links.patient_id = ?1 AND links.state = 'unlinked' GROUP BY mode, series_type",
        params![patient, link],
    )?;
    Ok(())
}

/// Ends a patient's link; answers whether there was one.
///
/// # Errors
/// Where the row cannot be written.
pub fn end_link(db: &Connection, patient: PatientId, now: Timestamp) -> Result<bool, StoreError> {
    let ended = db.execute(
        "UPDATE links SET state = 'unlinked', unlinked_at = ? WHERE patient_id = ? AND state <> 'unlinked'",
        params![now, patient],
    )?;
    Ok(ended > 0)
}

/// Notes that OW no longer knows the user behind a link.
///
/// # Errors
/// Where the row cannot be written.
pub fn needs_relink(db: &Connection, link: i64) -> Result<(), StoreError> {
    db.execute("UPDATE links SET state = 'needs_relink' WHERE id = ? AND state = 'active'", [link])?;
    Ok(())
}

fn refuse_taken(db: &Connection, patient: PatientId, ow_user: &OwUser) -> Result<(), StoreError> {
    let mut query = db.prepare_cached(
        "SELECT patient_id FROM links WHERE ow_user_id = ? AND state <> 'unlinked' AND patient_id <> ?",
    )?;
    let holder: Option<PatientId> =
        query.query_row(params![ow_user, patient], |row| row.get(0)).optional()?;
    match holder {
        None => Ok(()),
        Some(other) => Err(StoreError::Refused(format!(
            "{ow_user} is linked to patient {other}; an OW user belongs to one patient at a time"
        ))),
    }
}

/// Decides under which identity the samples of the new link are kept.
fn settle_subject(
    db: &Connection,
    patient: &Patient,
    ow_user: &OwUser,
    relink: Relink,
) -> Result<(), StoreError> {
    let known = patient.subject.as_deref();
    if known == Some(ow_user.as_str()) {
        return Ok(());
    }
    match (known, relink) {
        (None, _) => {}
        (Some(_), Relink::SamePerson) => return Ok(()),
        (Some(before), Relink::Mistake) => set_aside(db, patient.id, before)?,
        (Some(before), Relink::Unsaid) => {
            return Err(StoreError::Refused(format!(
                "patient {} was linked to ow:{before} before. Say which it is: --same-person (the history goes on) \
                 or --mistake (what came through ow:{before} is set aside)",
                patient.id
            )));
        }
    }
    db.execute("UPDATE patients SET subject = ? WHERE id = ?", params![ow_user, patient.id])?;
    Ok(())
}

fn set_aside(db: &Connection, patient: PatientId, subject: &str) -> Result<(), StoreError> {
    let through_others: i64 = db.query_row(
        "SELECT count(*) FROM links WHERE patient_id = ? AND ow_user_id <> ?",
        params![patient, subject],
        |row| row.get(0),
    )?;
    if through_others > 0 {
        return Err(StoreError::Refused(format!(
            "what patient {patient} has came through more than one OW user; it cannot be told apart any more"
        )));
    }
    db.execute(
        "UPDATE streams SET entered_in_error = 1 WHERE patient_id = ? AND subject = ?",
        params![patient, subject],
    )?;
    db.execute(
        "DELETE FROM high_water_marks WHERE link_id IN (SELECT id FROM links WHERE patient_id = ?)",
        [patient],
    )?;
    db.execute(
        "DELETE FROM raw_objects WHERE link_id IN (SELECT id FROM links WHERE patient_id = ?)",
        [patient],
    )?;
    db.execute("DELETE FROM hourly_sample_counts WHERE patient_id = ?", [patient])?;
    // What could not be read is somebody else's as well.
    db.execute("DELETE FROM rejected_samples WHERE patient_id = ?", [patient])?;
    db.execute("UPDATE sync_status SET newest_instant = NULL WHERE patient_id = ?", [patient])?;
    Ok(())
}

fn from_row(row: &Row) -> rusqlite::Result<Patient> {
    let ow_user: Option<OwUser> = row.get(6)?;
    let needs_relink = row.get::<_, Option<bool>>(7)?.unwrap_or(false);
    Ok(Patient {
        id: row.get(0)?,
        name: row.get(1)?,
        email: row.get(2)?,
        time_zone: row.get(3)?,
        jhe_id: row.get(4)?,
        subject: row.get(5)?,
        link: ow_user.map(|ow_user| Link { ow_user, needs_relink }),
    })
}
