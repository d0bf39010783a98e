//! What the pages and the poller note and read about each patient, without counting anything.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::account::Reach;
use crate::model::consent_intervals::Grant;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::people::device_connection::Device;
use crate::store::people::{consent, device_connection, visibility};
use crate::store::privacy::withdrawal;

/// Which of the rarer reads a patient has had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// The last week was read.
    pub deep: bool,
    /// The last five weeks were read.
    pub wide: bool,
    /// The OW user was checked.
    pub checked: bool,
}

/// How a turn ended, for whoever asks later why nothing comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// All was read.
    Read {
        /// Whether there was a new sample.
        brought: bool,
        /// What could not be read all the same, of objects in a bucket, say.
        error: Option<String>,
    },
    /// It failed at OW; the text says how.
    AtOw(String),
    /// It failed elsewhere.
    Elsewhere(String),
}

/// Hours of the sparkline, the last of them not over yet.
pub const SPARK_HOURS: u32 = 24;

/// A line of the overview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Who.
    pub patient: PatientId,
    /// What people call the patient.
    pub name: String,
    /// `ow:<uuid>`, where there is a link.
    pub link: Option<String>,
    /// Whether OW no longer knows the linked user.
    pub needs_relink: bool,
    /// The scopes that the patient ever granted and a device delivers, with their grants.
    pub scopes: Vec<(String, Vec<Grant>)>,
    /// Newest sample kept.
    pub newest: Option<Timestamp>,
    /// The last tick that read this patient.
    pub polled: Option<Timestamp>,
    /// What went wrong in it.
    pub error: Option<String>,
    /// Ticks in a row, up to the last one, that read everything and found nothing new.
    pub empty_polls: i64,
    /// Samples of the last 24 hours by sample time.
    pub last_day: i64,
    /// Samples that OW counted in the last full days and we do not have.
    pub missing: i64,
    /// Whether an invitation is open.
    pub invited: bool,
    /// Whether a study has the patient; JHE's patients are enrolled there.
    pub enrolled: bool,
    /// The devices that are or were connected.
    pub devices: Vec<Device>,
    /// Samples in each of the last [`SPARK_HOURS`] hours, the oldest first.
    pub hours: Vec<i64>,
}

/// Which patients the overview shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Within this reach only.
    pub reach: Reach,
    /// With a higher number only.
    pub after: i64,
    /// Whose name or number has this in it.
    pub search: String,
    /// Up to this number only.
    pub until: Option<i64>,
    /// Of these only.
    pub among: Option<Vec<PatientId>>,
}

impl Shown {
    /// One patient, whose reader is known to be allowed to.
    pub fn one(patient: PatientId) -> Self {
        let search = String::new();
        let until = Some(patient.get());
        Self { reach: Reach::Everybody, after: patient.get() - 1, until, search, among: None }
    }
}

/// Notes how a patient's turn in a tick ended, unless the patient was erased meanwhile.
///
/// # Errors
/// Where the row cannot be written.
pub fn note_turn(
    db: &Connection,
    patient: PatientId,
    ended: &Ended,
    reads: Reads,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (error, is_read, brought, is_at_ow) = match ended {
        Ended::Read { brought, error } => (error.as_deref(), true, *brought, false),
        Ended::AtOw(error) => (Some(error.as_str()), false, false, true),
        Ended::Elsewhere(error) => (Some(error.as_str()), false, false, false),
    };
    db.prepare_cached(
        "INSERT INTO sync_status (patient_id, polled_at, last_error, deep_read_at, wide_read_at,
         completeness_checked_at, fully_read_at, empty_polls,
                                    failed_polls)
         SELECT id, ?2, ?3, iif(?4, ?2, NULL), iif(?5, ?2, NULL), iif(?6, ?2, NULL), iif(?7, ?2, NULL),
                iif(?7 AND NOT ?8, 1, 0), iif(?9, 1, 0) FROM patients WHERE id = ?1
         ON CONFLICT DO UPDATE SET polled_at = excluded.polled_at, last_error = excluded.last_error,
             deep_read_at = coalesce(excluded.deep_read_at, deep_read_at),
             wide_read_at = coalesce(excluded.wide_read_at, wide_read_at),
             completeness_checked_at = coalesce(excluded.completeness_checked_at, completeness_checked_at),
             fully_read_at = coalesce(excluded.fully_read_at, fully_read_at),
             empty_polls = iif(?7, iif(?8, 0, empty_polls + 1), empty_polls),
             failed_polls = iif(?7, 0, failed_polls + excluded.failed_polls)",
    )?
    .execute(params![
        patient,
        now,
        error,
        reads.deep,
        reads.wide,
        reads.checked,
        is_read,
        brought,
        is_at_ow
    ])?;
    Ok(())
}

/// Notes what OW said of a patient's connections: when it last fetched from a provider that it pulls, where it pulls one.
///
/// # Errors
/// Where the row cannot be written.
pub fn note_pulled(
    db: &Connection,
    patient: PatientId,
    pulled: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO sync_status (patient_id, provider_pulled_at, connections_checked_at) SELECT id, ?2, ?3
         FROM patients WHERE id = ?1
         ON CONFLICT DO UPDATE SET provider_pulled_at = excluded.provider_pulled_at, connections_checked_at = excluded.connections_checked_at",
    )?
    .execute(params![patient, pulled, now])?;
    Ok(())
}

/// Puts a patient behind everybody else in the order of the next tick: the turn was not over when it ended.
///
/// # Errors
/// Where the row cannot be written.
pub fn put_last(db: &Connection, patient: PatientId) -> Result<(), StoreError> {
    db.prepare_cached(
        "UPDATE sync_status SET polled_at = (SELECT max(polled_at) + 1 FROM sync_status) WHERE patient_id = ?",
    )?
    .execute([patient])?;
    Ok(())
}

/// Notes how many samples of the last full days OW has and we have not. Where there are any, the next
/// tick reads five weeks.
///
/// # Errors
/// Where the row cannot be written.
pub fn note_missing(db: &Connection, patient: PatientId, missing: i64) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO sync_status (patient_id, missing_samples) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET missing_samples = ?2",
    )?
    .execute(params![patient, missing])?;
    Ok(())
}

/// One line for each patient that is `shown`, at most `limit`.
///
/// # Errors
/// Where the tables cannot be read.
pub fn lines(db: &Connection, now: Timestamp, shown: &Shown, limit: u32) -> Result<Vec<Line>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT patients.id, patients.name, links.ow_user_id, links.state = 'needs_relink', state.newest_instant,
                state.polled_at, state.last_error, coalesce(state.missing_samples, 0), coalesce(state.empty_polls, 0),
                EXISTS (SELECT 1 FROM invitations WHERE invitations.patient_id = patients.id AND used_at IS NULL
                        AND revoked_at IS NULL AND expires_at > ?1),
                patients.jhe_patient_id IS NOT NULL OR EXISTS (SELECT 1 FROM enrolments
                WHERE enrolments.patient_id = patients.id)
         FROM patients
         LEFT JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'
         LEFT JOIN sync_status AS state ON state.patient_id = patients.id
         WHERE patients.id > ?2 AND patients.id <= coalesce(?3, 9223372036854775807)
           AND (?4 = '' OR instr(lower(patients.name), lower(?4)) > 0 OR patients.id = ?4) AND {}
           AND (?7 IS NULL OR patients.id IN (SELECT value FROM json_each(?7)))
         ORDER BY patients.id LIMIT ?5",
        visibility::of_patients("patients.id", 6)
    ))?;
    let Shown { reach, after, until, search, among } = shown;
    let among = among.as_ref().map(|among| {
        let numbers: Vec<i64> = among.iter().map(|patient| patient.get()).collect();
        serde_json::Value::from(numbers).to_string()
    });
    let lines = query.query_map(params![now, after, until, search, limit, reach, among], |row| {
        Ok(Line {
            patient: row.get(0)?,
            name: row.get(1)?,
            link: row.get::<_, Option<String>>(2)?.map(|user| format!("ow:{user}")),
            needs_relink: row.get::<_, Option<bool>>(3)?.unwrap_or(false),
            newest: row.get(4)?,
            polled: row.get(5)?,
            error: row.get(6)?,
            missing: row.get(7)?,
            empty_polls: row.get(8)?,
            invited: row.get(9)?,
            enrolled: row.get(10)?,
            scopes: Vec::new(),
            devices: Vec::new(),
            hours: Vec::new(),
            last_day: 0,
        })
    })?;
    let mut lines = lines.collect::<Result<Vec<Line>, _>>()?;
    for line in &mut lines {
        line.scopes = consent::deliverable_scopes(db, line.patient)?;
        line.devices = device_connection::devices(db, line.patient)?;
        line.hours = hours(db, line.patient, now)?;
        line.last_day = line.hours.iter().sum();
    }
    Ok(lines)
}

fn hours(db: &Connection, patient: PatientId, now: Timestamp) -> Result<Vec<i64>, StoreError> {
    let first = now.hour() - i64::from(SPARK_HOURS) + 1;
    let mut query = db.prepare_cached(&format!(
        "SELECT hour - ?2, sum(samples) FROM hourly_sample_counts
         WHERE patient_id = ?1 AND hour >= ?2 AND hour <= ?3 AND {} GROUP BY hour",
        withdrawal::is_shown("hourly_sample_counts.patient_id", "hourly_sample_counts.code_id")
    ))?;
    let mut hours: Vec<i64> = (0..SPARK_HOURS).map(|_| 0).collect();
    let counts = query
        .query_map(params![patient, first, now.hour()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    for count in counts {
        let (place, samples) = count?;
        if let Some(hour) = usize::try_from(place).ok().and_then(|place| hours.get_mut(place)) {
            *hour = samples;
        }
    }
    Ok(hours)
}

/// Proves that the store can be written, by writing nothing that stays.
///
/// # Errors
/// Why it cannot.
pub fn prove_writable(db: &Connection) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO counters (name, value) VALUES ('writable', 1) ON CONFLICT DO UPDATE SET value = value + 1",
        [],
    )?;
    Ok(())
}
