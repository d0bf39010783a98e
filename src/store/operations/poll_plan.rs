//! The plan of a tick: the patients to poll, each with the consented series types and their high-water marks.

use std::time::Duration;

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::{Timestamp, time_zone_or_utc};
use crate::config::settings::IngestMode;
use crate::model::catalog::{series::SERIES, series_type::SeriesType};
use crate::model::consent_intervals::ConsentIntervals;
use crate::model::consent_standing::ConsentStanding;
use crate::model::patient::{OwUser, PatientId};
use crate::store::error::StoreResult;
use crate::store::people::{collection_window, consent};

/// A stream whose newest sample is older than its type's mark by more than this is inactive and does not hold
/// the mark back. Otherwise an unused device would make every tick read weeks.
const ACTIVE_WITHIN: Duration = Duration::from_hours(7 * 24);

/// A linked patient with an active consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientPlan {
    pub patient: PatientId,
    pub link: i64,
    pub ow_user: OwUser,
    /// The subject of the patient's samples: the OW user id of the first link.
    pub subject: String,
    pub zone: TimeZone,
    /// The time of the link.
    pub linked: Timestamp,
    /// The time of the last read of a whole week.
    pub deep: Option<Timestamp>,
    /// The time of the last read of five weeks.
    pub wide: Option<Timestamp>,
    /// The last check of the OW user.
    pub checked: Option<Timestamp>,
    /// The newest stored sample.
    pub newest: Option<Timestamp>,
    /// The last check of the connections at OW.
    pub connections_checked: Option<Timestamp>,
    /// Samples that OW had and the store lacked at the last comparison.
    pub missing: i64,
    /// The start of the period that the patient's consents cover, if recorded.
    pub first_read: Option<Timestamp>,
    /// The active grants that the plan rests on.
    pub grants: Vec<i64>,
    pub series: Vec<SeriesPlan>,
}

impl PatientPlan {
    /// Returns how far back the first read goes: as the setting says, and no further than the patient agreed to.
    pub fn first_window(&self, setting: Duration, now: Timestamp) -> Duration {
        self.first_read.map_or(setting, |first| setting.min(now.since(first)))
    }
}

/// A series type that a patient consents to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesPlan {
    pub series: &'static SeriesType,
    pub allowed: ConsentIntervals,
    /// The beginning of the next hot read: the high-water mark, or the end of the slowest active stream if
    /// that is older.
    pub mark: Option<Timestamp>,
}

/// The reason why a patient is not polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotPolled {
    NoLink,
    /// OW no longer knows the linked user.
    NeedsRelink,
    NoConsent(ConsentStanding),
    /// JHE holds this patient's consents, and none is active.
    NoConsentAtJhe(ConsentStanding),
    /// The collection window of the patient's study has not begun.
    NotBegun,
}

/// Lists the patients who are not polled, with the reason; only `patient`, if given.
pub fn list_not_polled(
    db: &Connection,
    patient: Option<PatientId>,
    now: Timestamp,
) -> StoreResult<Vec<(PatientId, NotPolled)>> {
    let mut query = db.prepare_cached(
        "SELECT patients.id, links.state, jhe_patient_id IS NOT NULL FROM patients
         LEFT JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'
         WHERE ?1 IS NULL OR patients.id = ?1 ORDER BY patients.id",
    )?;
    let states = query.query_map([patient], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let mut not_polled = Vec::new();
    for state in states {
        let (patient, link, is_of_jhe): (PatientId, Option<String>, bool) = state?;
        let reason = match link.as_deref() {
            None => NotPolled::NoLink,
            Some("needs_relink") => NotPolled::NeedsRelink,
            Some(_) if is_readable(db, patient, now)? => continue,
            Some(_) => match consent::find_standing(db, patient, now)? {
                ConsentStanding::Active if begins_later(db, patient, now)? => NotPolled::NotBegun,
                standing if is_of_jhe => NotPolled::NoConsentAtJhe(standing),
                standing => NotPolled::NoConsent(standing),
            },
        };
        not_polled.push((patient, reason));
    }
    Ok(not_polled)
}

fn begins_later(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<bool> {
    Ok(collection_window::list_parts(db, patient)?.iter().any(|part| part.limits.0 > Some(now)))
}

/// Returns true if any series type of the patient may be read at `now`.
pub(crate) fn is_readable(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<bool> {
    for series in SERIES {
        if !consent::find_readable(db, patient, series.code, now)?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lists the patients with an active link and something to read at `now`, the least recently polled first; only
/// `patient`, if given.
pub fn list(
    db: &Connection,
    patient: Option<PatientId>,
    mode: &str,
    system: &str,
    now: Timestamp,
) -> StoreResult<Vec<PatientPlan>> {
    let mut query = db.prepare_cached(
        "SELECT links.patient_id, links.id, links.ow_user_id, coalesce(patients.subject, links.ow_user_id),
                links.linked_at, state.deep_read_at, state.wide_read_at, state.completeness_checked_at,
                coalesce(state.missing_samples, 0), patients.time_zone,
                state.newest_instant, state.connections_checked_at
         FROM links JOIN patients ON patients.id = links.patient_id
         LEFT JOIN sync_status AS state ON state.patient_id = links.patient_id
         WHERE links.state = 'active' AND (?1 IS NULL OR links.patient_id = ?1)
         ORDER BY coalesce(state.polled_at, 0), links.patient_id",
    )?;
    let mut plans = query.query_map([patient], from_row)?.collect::<Result<Vec<PatientPlan>, _>>()?;
    for plan in &mut plans {
        plan.series = list_series(db, plan, mode, system, now)?;
        plan.first_read = consent::find_first_read(db, plan.patient)?;
        plan.grants = consent::list_active_grants(db, plan.patient)?;
    }
    plans.retain(|plan| !plan.series.is_empty());
    Ok(plans)
}

fn from_row(row: &Row) -> rusqlite::Result<PatientPlan> {
    Ok(PatientPlan {
        patient: row.get(0)?,
        link: row.get(1)?,
        ow_user: row.get(2)?,
        subject: row.get(3)?,
        linked: row.get(4)?,
        deep: row.get(5)?,
        wide: row.get(6)?,
        checked: row.get(7)?,
        missing: row.get(8)?,
        // Names are checked when they are set. A name that a later release of the tz database dropped counts
        // as UTC.
        zone: time_zone_or_utc(row.get_ref(9)?.as_str()?),
        newest: row.get(10)?,
        connections_checked: row.get(11)?,
        first_read: None,
        grants: Vec::new(),
        series: Vec::new(),
    })
}

fn list_series(
    db: &Connection,
    plan: &PatientPlan,
    mode: &str,
    system: &str,
    now: Timestamp,
) -> StoreResult<Vec<SeriesPlan>> {
    let mut plans = Vec::new();
    for series in SERIES {
        let allowed = consent::find_readable(db, plan.patient, series.code, now)?;
        if !allowed.is_empty() {
            let mark = find_effective_mark(db, plan, mode, system, series.series_type)?;
            plans.push(SeriesPlan { series, allowed, mark });
        }
    }
    Ok(plans)
}

/// Returns the high-water mark of a type, or the end of its slowest active stream if that is older. A stream
/// that another one continues under a new name is not active.
fn find_effective_mark(
    db: &Connection,
    plan: &PatientPlan,
    mode: &str,
    system: &str,
    series_type: &str,
) -> StoreResult<Option<Timestamp>> {
    let mut query = db.prepare_cached(
        "SELECT instant FROM high_water_marks WHERE link_id = ? AND mode = ? AND series_type = ?",
    )?;
    let mark: Option<Timestamp> =
        query.query_row(params![plan.link, mode, series_type], |row| row.get(0)).optional()?;
    // Raw mode lists payloads by storage time, for all types at once: no stream holds its mark back.
    let Some(mark) = mark.filter(|_| mode != IngestMode::Raw.as_str()) else { return Ok(mark) };
    let mut query = db.prepare_cached(
        "SELECT min(newest_instant) FROM streams
         WHERE patient_id = ? AND subject = ? AND system = ? AND series_type = ? AND newest_instant >= ?
           AND id NOT IN (SELECT renamed_from_id FROM streams
                          WHERE patient_id = ?1 AND renamed_from_id IS NOT NULL)",
    )?;
    let key = params![plan.patient, plan.subject, system, series_type, mark.minus(ACTIVE_WITHIN)];
    let slowest: Option<Timestamp> = query.query_row(key, |row| row.get(0))?;
    Ok(Some(slowest.map_or(mark, |slowest| slowest.min(mark))))
}

/// Returns the patients who are linked to these OW users, and omits users without a patient.
pub fn find_by_ow_users(db: &Connection, users: &[String]) -> StoreResult<Vec<(String, PatientId)>> {
    let mut query = db.prepare_cached(
        "SELECT ow_user_id, patient_id FROM json_each(?) AS wanted
         JOIN links ON links.ow_user_id = wanted.value AND links.state = 'active'",
    )?;
    let rows = query
        .query_map([serde_json::Value::from(users).to_string()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Counts a patient's observations of one system and type in a range. It reads every row, so it is meant for
/// the daily comparison with OW's own count only.
pub fn count_observations(
    db: &Connection,
    patient: PatientId,
    system: &str,
    series_type: &str,
    from: Timestamp,
    until: Timestamp,
) -> StoreResult<i64> {
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM streams JOIN observations ON observations.stream_id = streams.id
         WHERE streams.patient_id = ? AND system = ? AND series_type = ? AND entered_in_error = 0
         AND instant >= ? AND instant < ?",
    )?;
    Ok(query.query_row(params![patient, system, series_type, from, until], |row| row.get(0))?)
}
