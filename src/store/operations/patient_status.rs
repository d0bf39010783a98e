//! The polling status of each patient. The poller records it; pages, metrics and the doctor read it without
//! counting samples.

use rusqlite::{Connection, params};

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::account::{Role, VisibleTo};
use crate::model::study::StudyId;
use crate::model::{consent_intervals::Grant, consent_standing::ConsentStanding, patient::PatientId};
use crate::store::people::device_connection::{self, DeviceConnection};
use crate::store::people::{collection_window, consent, visibility};
use crate::store::{error::StoreResult, privacy::withdrawal};

/// SQL condition on `links` and `sync_status`: the last sync of a linked patient ended in an error.
pub(crate) const IS_IN_ERROR: &str = "links.state <> 'unlinked' AND sync_status.last_error IS NOT NULL";
/// Hours in the sparkline, including the current one.
pub const SPARK_HOURS: u32 = 24;

/// The infrequent reads that a turn has made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RareReads {
    /// The last week was read.
    pub deep: bool,
    /// The last five weeks were read.
    pub wide: bool,
    /// The OW user was checked.
    pub checked: bool,
}

/// The result of a patient's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnResult {
    /// Everything was read.
    Read {
        has_new_samples: bool,
        /// Parts that could not be read, such as objects in a bucket.
        error: Option<String>,
    },
    /// It failed at OW; the error.
    FailedAtOw(String),
    /// It failed elsewhere; the error.
    FailedElsewhere(String),
}

/// One row of the list of patients.
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one patient")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientOverview {
    pub patient: PatientId,
    /// The study number instead where the account may see no names.
    pub name: String,
    /// `ow:<uuid>`, if there is a link.
    pub link: Option<String>,
    /// OW no longer knows the linked user.
    pub needs_relink: bool,
    /// The scopes that the patient has ever granted and that a device delivers.
    pub scopes: Vec<(String, Vec<Grant>)>,
    pub newest: Option<Timestamp>,
    pub polled: Option<Timestamp>,
    pub error: Option<String>,
    /// Consecutive complete polls without new samples, up to the last poll.
    pub empty_polls: i64,
    /// Samples of the last 24 hours, by sample time.
    pub last_day: i64,
    /// IANA name or fixed offset.
    pub time_zone: String,
    /// The offset that the samples of three days carried, where the time zone has another.
    pub contradicting_offset: Option<ZoneOffset>,
    /// Samples of the last full days that OW counts and the store does not have.
    pub missing: i64,
    /// An invitation is open.
    pub invited: bool,
    /// Every study that the consents are for is over, also for late data.
    pub completed: bool,
    /// The patient is in a study. JHE's patients always count as enrolled: JHE enrols them.
    pub enrolled: bool,
    /// Current and past devices.
    pub devices: Vec<DeviceConnection>,
    /// Samples in each of the last [`SPARK_HOURS`] hours, the oldest first.
    pub hours: Vec<i64>,
}

/// The patients that a list shows. All conditions apply together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientFilter {
    pub visible_to: VisibleTo,
    /// Ids above this one.
    pub after: i64,
    /// Part of the name, or the id; empty for all.
    pub search: String,
    /// Ids up to this one.
    pub until: Option<i64>,
    pub among: Option<Vec<PatientId>>,
}

impl PatientFilter {
    /// Selects one patient.
    pub fn one(patient: PatientId, visible_to: VisibleTo) -> Self {
        let (after, until) = (patient.get() - 1, Some(patient.get()));
        Self { visible_to, after, until, search: String::new(), among: None }
    }
}

/// Records the result of a patient's turn, unless the patient was erased meanwhile.
pub fn record_turn(
    db: &Connection,
    patient: PatientId,
    result: &TurnResult,
    reads: RareReads,
    now: Timestamp,
) -> StoreResult<()> {
    let (error, is_read, has_new_samples, is_at_ow) = match result {
        TurnResult::Read { has_new_samples, error } => (error.as_deref(), true, *has_new_samples, false),
        TurnResult::FailedAtOw(error) => (Some(error.as_str()), false, false, true),
        TurnResult::FailedElsewhere(error) => (Some(error.as_str()), false, false, false),
    };
    let RareReads { deep, wide, checked } = reads;
    db.prepare_cached(
        "INSERT INTO sync_status (patient_id, polled_at, last_error, deep_read_at, wide_read_at,
                                  completeness_checked_at, fully_read_at, empty_polls, failed_polls)
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
    .execute(params![patient, now, error, deep, wide, checked, is_read, has_new_samples, is_at_ow])?;
    Ok(())
}

/// Records the last time that OW pulled from a patient's provider, if it pulls from any.
pub fn record_provider_pull(
    db: &Connection,
    patient: PatientId,
    pulled: Option<Timestamp>,
    now: Timestamp,
) -> StoreResult<()> {
    db.prepare_cached(
        "INSERT INTO sync_status (patient_id, provider_pulled_at, connections_checked_at)
         SELECT id, ?2, ?3 FROM patients WHERE id = ?1
         ON CONFLICT DO UPDATE SET provider_pulled_at = excluded.provider_pulled_at,
                                   connections_checked_at = excluded.connections_checked_at",
    )?
    .execute(params![patient, pulled, now])?;
    Ok(())
}

/// Moves a patient to the end of the next tick, after a turn that exceeded its time limit.
pub fn move_to_end(db: &Connection, patient: PatientId) -> StoreResult<()> {
    db.prepare_cached(
        "UPDATE sync_status SET polled_at = (SELECT max(polled_at) + 1 FROM sync_status)
         WHERE patient_id = ?",
    )?
    .execute([patient])?;
    Ok(())
}

/// Records the number of samples of the last full days that OW counts and the store does not have. If there
/// are any, the next tick reads five weeks.
pub fn record_missing(db: &Connection, patient: PatientId, missing: i64) -> StoreResult<()> {
    db.prepare_cached(
        "INSERT INTO sync_status (patient_id, missing_samples) VALUES (?1, ?2)
         ON CONFLICT DO UPDATE SET missing_samples = ?2",
    )?
    .execute(params![patient, missing])?;
    Ok(())
}

/// Lists the patients that match the filter, at most `limit`, by id.
pub fn list(
    db: &Connection,
    now: Timestamp,
    filter: &PatientFilter,
    limit: u32,
) -> StoreResult<Vec<PatientOverview>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT patients.id, {label} AS label, links.ow_user_id, links.state = 'needs_relink',
                {newest}, state.polled_at, state.last_error, coalesce(state.missing_samples, 0),
                coalesce(state.empty_polls, 0),
                EXISTS (SELECT 1 FROM invitations WHERE patient_id = patients.id AND used_at IS NULL
                        AND revoked_at IS NULL AND expires_at > ?1),
                patients.jhe_patient_id IS NOT NULL
                    OR EXISTS (SELECT 1 FROM enrolments WHERE patient_id = patients.id),
                patients.time_zone, state.contradicting_offset
         FROM patients
         LEFT JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'
         LEFT JOIN sync_status AS state ON state.patient_id = patients.id
         WHERE patients.id > ?2 AND patients.id <= coalesce(?3, 9223372036854775807)
           AND (?4 = '' OR instr(lower(label), lower(?4)) > 0 OR patients.id = ?4) AND {}
           AND (?7 IS NULL OR patients.id IN (SELECT value FROM json_each(?7)))
         ORDER BY patients.id LIMIT ?5",
        visibility::patient_condition("patients.id", 6, Role::Viewer),
        label = visibility::patient_label(6),
        newest = visibility::newest_instant(6)
    ))?;
    let PatientFilter { visible_to, after, until, search, among } = filter;
    let among = among.as_ref().map(|among| {
        let ids: Vec<i64> = among.iter().map(|patient| patient.get()).collect();
        serde_json::Value::from(ids).to_string()
    });
    let rows = query.query_map(params![now, after, until, search, limit, visible_to, among], |row| {
        Ok(PatientOverview {
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
            time_zone: row.get(11)?,
            contradicting_offset: row.get(12)?,
            scopes: Vec::new(),
            completed: false,
            devices: Vec::new(),
            hours: Vec::new(),
            last_day: 0,
        })
    })?;
    let mut overviews = rows.collect::<Result<Vec<PatientOverview>, _>>()?;
    for one in &mut overviews {
        one.scopes = consent::list_deliverable_scopes(db, *visible_to, one.patient)?;
        one.completed = consent::find_standing(db, one.patient, now)? == ConsentStanding::Completed;
        one.devices = device_connection::list(db, one.patient)?;
        one.hours = list_hours(db, *visible_to, one.patient, now)?;
        one.last_day = one.hours.iter().sum();
    }
    Ok(overviews)
}

fn list_hours(
    db: &Connection,
    viewer: VisibleTo,
    patient: PatientId,
    now: Timestamp,
) -> StoreResult<Vec<i64>> {
    let first = now.hour() - i64::from(SPARK_HOURS) + 1;
    let (patient_column, code_column) = ("hourly_sample_counts.patient_id", "hourly_sample_counts.code_id");
    let mut query = db.prepare_cached(&format!(
        "SELECT hour - ?2, sum(samples) FROM hourly_sample_counts
         WHERE patient_id = ?1 AND hour >= ?2 AND hour <= ?3 AND {} AND {} GROUP BY hour",
        withdrawal::visible_condition(patient_column, code_column),
        visibility::code_condition(patient_column, code_column, 4, Role::Viewer)
    ))?;
    let mut hours: Vec<i64> = (0..SPARK_HOURS).map(|_| 0).collect();
    let mut rows = query.query(params![patient, first, now.hour(), viewer])?;
    while let Some(row) = rows.next()? {
        if let Some(hour) = hours.get_mut(usize::from(row.get::<_, u8>(0)?)) {
            *hour = row.get(1)?;
        }
    }
    Ok(hours)
}

/// Linked patients with a consent, and the age of their data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Freshness {
    pub patients: i64,
    /// The newest sample of all.
    pub newest: Option<Timestamp>,
    /// The patients among them who are polled: a device delivers a scope that they consent to.
    pub polled: i64,
    /// The polled patients whose last sync failed.
    pub in_error: i64,
}

pub fn find_freshness(db: &Connection, now: Timestamp) -> StoreResult<Freshness> {
    let query = format!(
        "SELECT count(*), max(newest_instant), count(*) FILTER (WHERE is_polled),
                count(*) FILTER (WHERE is_polled AND is_in_error)
         FROM (SELECT newest_instant, {IS_IN_ERROR} AS is_in_error,
                      EXISTS (SELECT 1 FROM consents WHERE patient_id = links.patient_id
                              AND withdrawn_at IS NULL AND {} AND {reads}) AS is_polled
               FROM links LEFT JOIN sync_status ON sync_status.patient_id = links.patient_id
               WHERE links.state = 'active' AND EXISTS
                   (SELECT 1 FROM consents WHERE patient_id = links.patient_id AND withdrawn_at IS NULL
                    AND {reads}))",
        consent::deliverable_condition("consents"),
        reads = collection_window::reads_condition("?1")
    );
    let counted = db.query_row(&query, [now], |row| {
        let (patients, newest) = (row.get(0)?, row.get(1)?);
        Ok(Freshness { patients, newest, polled: row.get(2)?, in_error: row.get(3)? })
    });
    Ok(counted?)
}

/// Lists the linked patients with a consent that a device delivers and for which data are collected, who are in none of
/// the studies up to `last`.
pub fn list_polled_outside(
    db: &Connection,
    last: Option<StudyId>,
    now: Timestamp,
) -> StoreResult<Vec<PatientId>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT patient_id FROM links WHERE state = 'active'
           AND NOT EXISTS
             (SELECT 1 FROM enrolments WHERE enrolments.patient_id = links.patient_id AND study_id <= ?2)
           AND EXISTS
             (SELECT 1 FROM consents WHERE patient_id = links.patient_id AND withdrawn_at IS NULL AND {} AND {})",
        consent::deliverable_condition("consents"),
        collection_window::collects_condition("?1", "?1")
    ))?;
    Ok(query.query_map(params![now, last], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Lists the patients whose OW user is gone.
pub fn list_needing_relink(db: &Connection) -> StoreResult<Vec<PatientId>> {
    let mut query =
        db.prepare("SELECT patient_id FROM links WHERE state = 'needs_relink' ORDER BY patient_id")?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Returns the number of rejected samples and the number of their patients.
pub fn count_rejected(db: &Connection) -> StoreResult<(i64, i64)> {
    let query = "SELECT count(*), count(DISTINCT patient_id) FROM rejected_samples";
    Ok(db.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Checks that the store can be written, by a write.
pub fn check_writable(db: &Connection) -> StoreResult<()> {
    db.execute(
        "INSERT INTO counters (name, value) VALUES ('writable', 1)
         ON CONFLICT DO UPDATE SET value = value + 1",
        [],
    )?;
    Ok(())
}
