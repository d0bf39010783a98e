//! What a tick has to know of each patient before it asks OW for anything.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::config::settings::IngestMode;
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::Series;
use crate::model::consent_intervals::Allowed;
use crate::model::patient::{OwUser, PatientId};
use crate::store::error::StoreError;
use crate::store::people::consent;

/// A stream that has been silent for longer than this, seen from its type's mark, holds the mark back no
/// more: a device that was put away must not make every tick read weeks.
const ACTIVE: Duration = Duration::from_hours(7 * 24);

/// A patient who is linked and consents to something: worth asking OW about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Who.
    pub patient: PatientId,
    /// The link that stands.
    pub link: i64,
    /// OW's user.
    pub ow_user: OwUser,
    /// The identity of the patient's samples.
    pub subject: String,
    /// Where the patient's days begin.
    pub zone: TimeZone,
    /// When the link was made.
    pub linked: Timestamp,
    /// The last read of a week.
    pub deep: Option<Timestamp>,
    /// The last read of five weeks.
    pub wide: Option<Timestamp>,
    /// The last check of the OW user itself.
    pub checked: Option<Timestamp>,
    /// The newest sample that is kept.
    pub newest: Option<Timestamp>,
    /// When OW was last asked about the connections.
    pub devices: Option<Timestamp>,
    /// How many samples OW counted beyond what is kept, when that was last compared.
    pub missing: i64,
    /// What may be asked for.
    pub wanted: Vec<Wanted>,
}

/// A series type that a patient consents to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The type.
    pub series: &'static Series,
    /// The times that may be ingested.
    pub allowed: Allowed,
    /// From where the next hot read goes on: the high-water mark, held back to the slowest active stream.
    pub mark: Option<Timestamp>,
}

/// Why OW is not asked about a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// There is no link.
    NoLink,
    /// OW no longer knows the linked user.
    NeedsRelink,
    /// No consent stands.
    NoConsent,
    /// No consent stands at JHE, which is the truth about it.
    NoConsentAtJhe,
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLink => "Not polled: there is no link to an OW user yet.",
            Self::NeedsRelink => "Not polled: OW no longer knows the linked user.",
            Self::NoConsent => "Not polled: no consent stands.",
            Self::NoConsentAtJhe => "Not polled: no consent stands at JHE.",
        })
    }
}

/// Everybody about whom OW is not asked, and why; only `patient`, where one is given.
///
/// # Errors
/// Where the tables cannot be read.
pub fn idle(db: &Connection, patient: Option<PatientId>) -> Result<Vec<(PatientId, Idle)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT patients.id, links.state, jhe_patient_id IS NOT NULL FROM patients
         LEFT JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'
         WHERE ?1 IS NULL OR patients.id = ?1 ORDER BY patients.id",
    )?;
    let states = query.query_map([patient], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut idle = Vec::new();
    for state in states {
        let (patient, link, is_of_jhe): (PatientId, Option<String>, bool) = state?;
        match link.as_deref() {
            None => idle.push((patient, Idle::NoLink)),
            Some("needs_relink") => idle.push((patient, Idle::NeedsRelink)),
            Some(_) if consents(db, patient)? => {}
            Some(_) if is_of_jhe => idle.push((patient, Idle::NoConsentAtJhe)),
            Some(_) => idle.push((patient, Idle::NoConsent)),
        }
    }
    Ok(idle)
}

pub(crate) fn consents(db: &Connection, patient: PatientId) -> Result<bool, StoreError> {
    for series in SERIES {
        if !consent::allowed(db, patient, series.code)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Everybody with a link that stands and a consent that stands, those longest unpolled first; only
/// `patient`, where one is given.
///
/// # Errors
/// Where the tables cannot be read.
pub fn due(
    db: &Connection,
    patient: Option<PatientId>,
    mode: &str,
    system: &str,
) -> Result<Vec<Due>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT links.patient_id, links.id, links.ow_user_id, coalesce(patients.subject, links.ow_user_id),
         links.linked_at,
                state.deep_read_at, state.wide_read_at, state.completeness_checked_at,
                coalesce(state.missing_samples, 0), patients.time_zone,
                state.newest_instant, state.connections_checked_at
         FROM links JOIN patients ON patients.id = links.patient_id
         LEFT JOIN sync_status AS state ON state.patient_id = links.patient_id
         WHERE links.state = 'active' AND (?1 IS NULL OR links.patient_id = ?1)
         ORDER BY coalesce(state.polled_at, 0), links.patient_id",
    )?;
    let linked = query.query_map([patient], from_row)?.collect::<Result<Vec<Due>, _>>()?;
    let mut due = Vec::with_capacity(linked.len());
    for mut one in linked {
        one.wanted = wanted(db, &one, mode, system)?;
        if !one.wanted.is_empty() {
            due.push(one);
        }
    }
    Ok(due)
}

fn from_row(row: &Row) -> rusqlite::Result<Due> {
    Ok(Due {
        patient: row.get(0)?,
        link: row.get(1)?,
        ow_user: row.get(2)?,
        subject: row.get(3)?,
        linked: row.get(4)?,
        deep: row.get(5)?,
        wide: row.get(6)?,
        checked: row.get(7)?,
        missing: row.get(8)?,
        // Names are checked when they are set; one that a later release of the data dropped counts as UTC.
        zone: time_zone_or_utc(row.get_ref(9)?.as_str()?),
        newest: row.get(10)?,
        devices: row.get(11)?,
        wanted: Vec::new(),
    })
}

fn wanted(db: &Connection, due: &Due, mode: &str, system: &str) -> Result<Vec<Wanted>, StoreError> {
    let mut wanted = Vec::new();
    for series in SERIES {
        let allowed = consent::allowed(db, due.patient, series.code)?;
        if !allowed.is_empty() {
            let mark = effective_mark(db, due, mode, system, series.series_type)?;
            wanted.push(Wanted { series, allowed, mark });
        }
    }
    Ok(wanted)
}

/// The mark of a type, held back to the slowest of its streams that were active in the days before it. A
/// stream that another one continues under a new name has ended and holds nothing back. Payloads are listed by when they
/// were stored, for all types at once: there nothing is held back.
fn effective_mark(
    db: &Connection,
    due: &Due,
    mode: &str,
    system: &str,
    series_type: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT instant FROM high_water_marks WHERE link_id = ? AND mode = ? AND series_type = ?",
    )?;
    let mark: Option<Timestamp> =
        query.query_row(params![due.link, mode, series_type], |row| row.get(0)).optional()?;
    let Some(mark) = mark.filter(|_| mode != IngestMode::Raw.as_str()) else { return Ok(mark) };
    let mut query = db.prepare_cached(
        "SELECT min(newest_instant) FROM streams
         WHERE patient_id = ? AND subject = ? AND system = ? AND series_type = ? AND newest_instant >= ?
           AND id NOT IN (SELECT renamed_from_id FROM streams WHERE patient_id = ?1 AND renamed_from_id IS NOT NULL)",
    )?;
    let slowest: Option<Timestamp> = query
        .query_row(params![due.patient, due.subject, system, series_type, mark.minus(ACTIVE)], |row| {
            row.get(0)
        })?;
    Ok(Some(slowest.map_or(mark, |slowest| slowest.min(mark))))
}

/// The patients who are linked to these OW users; users who are nobody's are left out.
///
/// # Errors
/// Where the tables cannot be read.
pub fn of_users(db: &Connection, users: &[String]) -> Result<Vec<(String, PatientId)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT ow_user_id, patient_id FROM json_each(?) AS wanted
         JOIN links ON links.ow_user_id = wanted.value AND links.state = 'active'",
    )?;
    let rows = query
        .query_map([serde_json::Value::from(users).to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many observations of one system and type a patient has in a stretch of time. For the daily comparison with
/// OW's own count only: it reads every row.
///
/// # Errors
/// Where the table cannot be read.
pub fn count(
    db: &Connection,
    patient: PatientId,
    system: &str,
    series_type: &str,
    from: Timestamp,
    until: Timestamp,
) -> Result<i64, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM streams JOIN observations ON observations.stream_id = streams.id
         WHERE streams.patient_id = ? AND system = ? AND series_type = ? AND entered_in_error = 0
         AND instant >= ? AND instant < ?",
    )?;
    Ok(query.query_row(params![patient, system, series_type, from, until], |row| row.get(0))?)
}
