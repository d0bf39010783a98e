//! Observations, read in short steps: a slow reader holds no snapshot and so no write-ahead log.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use crate::common::time::Timestamp;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::PatientId;
use crate::model::sample_details::Particulars;
use crate::store::error::StoreError;
use crate::store::privacy::withdrawal;

/// Rows of one step: some milliseconds of reading, and little memory.
pub const STEP: u32 = 1000;

/// Which observations are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this patient only.
    pub patient: Option<PatientId>,
    /// Of this code only.
    pub code: Option<String>,
    /// From this instant on.
    pub since: Option<Timestamp>,
    /// Before this instant.
    pub until: Option<Timestamp>,
}

/// Every stream, for [`stream_from_row`].
pub(crate) const STREAMS: &str = "
    SELECT streams.id, streams.patient_id, jhe_patient_id, streams.subject, streams.system, series_type,
    provider, source,
           device, daily_total, codes.system, codes.code, codes.display, converter_version
    FROM streams JOIN codes ON codes.id = streams.code_id JOIN patients ON patients.id = streams.patient_id";

/// The streams that may hold what `filter` wants, patient by patient, but those that are set aside or hidden.
///
/// # Errors
/// Where the tables cannot be read.
pub fn streams(db: &Connection, filter: &Filter) -> Result<Vec<StreamInfo>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "{STREAMS} WHERE entered_in_error = 0 AND (?1 IS NULL OR streams.patient_id = ?1) AND (?2 IS NULL
         OR codes.code = ?2)
           AND {} ORDER BY streams.patient_id, streams.id",
        withdrawal::is_shown("streams.patient_id", "streams.code_id")
    ))?;
    let streams = query.query_map(params![filter.patient, filter.code], stream_from_row)?;
    Ok(streams.collect::<Result<_, _>>()?)
}

/// Every stream of a patient that was not set aside, also where it is hidden.
///
/// # Errors
/// Where the tables cannot be read.
pub fn own_streams(db: &Connection, patient: PatientId) -> Result<Vec<StreamInfo>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "{STREAMS} WHERE streams.patient_id = ? AND entered_in_error = 0 ORDER BY streams.id"
    ))?;
    let streams = query.query_map([patient], stream_from_row)?;
    Ok(streams.collect::<Result<_, _>>()?)
}

/// Every stream of a patient and a code, also those that are set aside.
///
/// # Errors
/// Where the tables cannot be read.
pub fn all_streams(db: &Connection, patient: PatientId, code: &str) -> Result<Vec<StreamInfo>, StoreError> {
    let mut query =
        db.prepare_cached(&format!("{STREAMS} WHERE streams.patient_id = ? AND codes.code = ?"))?;
    let streams = query.query_map(params![patient, code], stream_from_row)?;
    Ok(streams.collect::<Result<_, _>>()?)
}

/// The next [`STEP`] observations of a stream after the instant `after`, within `filter`.
///
/// # Errors
/// Where the table cannot be read.
pub fn step(
    db: &Connection,
    stream: i64,
    after: Option<Timestamp>,
    filter: &Filter,
) -> Result<Vec<Observation>, StoreError> {
    let since = filter.since.unwrap_or(Timestamp::MIN).micros();
    let from = after.map_or(since, |after| since.max(after.micros() + 1));
    let until = filter.until.unwrap_or(Timestamp::MAX);
    let mut query = db.prepare_cached(
        "SELECT instant, value, utc_offset, revision, activity_context, details FROM observations
         WHERE stream_id = ? AND instant >= ? AND instant < ? ORDER BY instant LIMIT ?",
    )?;
    let rows = query.query_map(params![stream, from, until, STEP], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An observation and the stream it belongs to, by its place in a list of streams.
pub type Placed = (usize, Observation);

/// The newest observations of these streams before the place `before` (instant, row of the stream), newest
/// first, at most `limit`.
///
/// # Errors
/// Where the table cannot be read.
pub fn newest(
    db: &Connection,
    streams: &[StreamInfo],
    before: Option<(Timestamp, i64)>,
    limit: usize,
) -> Result<Vec<Placed>, StoreError> {
    let (instant, row) = before.unwrap_or((Timestamp::MAX, 0));
    let mut query = db.prepare_cached(
        "SELECT instant, value, utc_offset, revision, activity_context, details FROM observations
         WHERE stream_id = ?1 AND (instant < ?2 OR (instant = ?2 AND ?1 < ?3)) ORDER BY instant DESC LIMIT ?4",
    )?;
    let mut newest = Vec::new();
    for (place, stream) in streams.iter().enumerate() {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map(params![stream.id, instant, row, limit], from_row)?;
        for observation in rows {
            newest.push((place, observation?));
        }
    }
    newest.sort_by_key(|(place, observation)| std::cmp::Reverse((observation.instant, streams[*place].id)));
    newest.truncate(limit);
    Ok(newest)
}

/// The observation of a stream at an instant.
///
/// # Errors
/// Where there is none, or the table cannot be read.
pub fn at(db: &Connection, stream: i64, instant: Timestamp) -> Result<Observation, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT instant, value, utc_offset, revision, activity_context, details FROM observations
         WHERE stream_id = ? AND instant = ?",
    )?;
    Ok(query.query_row(params![stream, instant], from_row)?)
}

/// What an observation was before, oldest first, each with the time at which it was replaced.
///
/// # Errors
/// Where the table cannot be read.
pub fn replaced(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
) -> Result<Vec<(Observation, Timestamp)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT instant, value, utc_offset, revision, NULL, details, replaced_at FROM revisions
         WHERE stream_id = ? AND instant = ? ORDER BY revision",
    )?;
    let rows = query.query_map(params![stream, instant], |row| Ok((from_row(row)?, row.get(6)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn from_row(row: &Row) -> rusqlite::Result<Observation> {
    Ok(Observation {
        instant: row.get(0)?,
        value: row.get(1)?,
        zone: row.get(2)?,
        revision: row.get(3)?,
        context: row.get(4)?,
        particulars: row.get::<_, Option<Particulars>>(5)?.map(Arc::new),
    })
}

pub(crate) fn stream_from_row(row: &Row) -> rusqlite::Result<StreamInfo> {
    Ok(StreamInfo {
        id: row.get(0)?,
        patient: row.get(1)?,
        jhe_id: row.get(2)?,
        subject: row.get(3)?,
        system: row.get(4)?,
        series_type: row.get(5)?,
        provider: row.get(6)?,
        source: row.get(7)?,
        device: row.get(8)?,
        daily_total: row.get(9)?,
        code_system: row.get(10)?,
        code: row.get(11)?,
        display: row.get(12)?,
        converter: row.get(13)?,
    })
}
