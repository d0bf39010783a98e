//! Observations, read in short steps: a slow reader holds no snapshot and so no write-ahead log.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use super::commit::Sample;
use super::stream::{CONVERTER, StreamKey};
use super::{StoreError, withdrawal};
use crate::catalog::{self, CODES};
use crate::context::Context;
use crate::particulars::{Frame, Particulars};
use crate::patient::PatientId;
use crate::time::{Timestamp, ZoneOffset};

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

/// What all observations of one stream share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// The stream's row.
    pub id: i64,
    /// Whose.
    pub patient: PatientId,
    /// JHE's number of the patient.
    pub jhe_id: Option<i64>,
    /// The identity of the patient's samples.
    pub subject: String,
    /// `ow:normalized` or `ow:raw`.
    pub system: String,
    /// OW's series type.
    pub series_type: String,
    /// OW's `source.provider`.
    pub provider: String,
    /// OW's `source.source`.
    pub source: String,
    /// OW's `source.device`.
    pub device: String,
    /// Whether each sample is the total of a day.
    pub daily_total: bool,
    /// The terminology of the code.
    pub code_system: String,
    /// The code.
    pub code: String,
    /// What people call the code.
    pub display: String,
    /// Version of the renderer.
    pub converter: i64,
}

impl StreamInfo {
    /// Describes a stream that has no row yet, as it is rendered once it has one.
    pub fn unstored(key: &StreamKey, subject: &str, system: &str) -> Self {
        let code = catalog::series(key.series_type).map_or("", |series| series.code);
        let known = CODES.iter().find(|known| known.code == code);
        Self {
            id: 0,
            patient: PatientId::new(0),
            jhe_id: None,
            subject: subject.to_owned(),
            system: system.to_owned(),
            series_type: key.series_type.to_owned(),
            provider: key.provider.clone(),
            source: key.source.clone(),
            device: key.device.clone(),
            daily_total: key.daily_total,
            code_system: known.map_or("", |known| known.system).to_owned(),
            code: code.to_owned(),
            display: known.map_or("", |known| known.display).to_owned(),
            converter: CONVERTER,
        }
    }
}

/// One observation of a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// When it was measured.
    pub instant: Timestamp,
    /// The value.
    pub value: f64,
    /// The local offset, where the sample said.
    pub zone: Option<ZoneOffset>,
    /// How often OW has changed it since it was first kept.
    pub revision: i64,
    /// What the wearer did, where the provider said; in no document.
    pub context: Option<Context>,
    /// What it says beside the value.
    pub particulars: Option<Arc<Particulars>>,
}

impl Observation {
    /// The interval that it measures over; none for an instant.
    pub fn frame(&self) -> Option<Frame> {
        self.particulars.as_ref().and_then(|particulars| particulars.frame)
    }

    /// OW's id of the event that it is.
    pub fn event(&self) -> Option<&str> {
        self.particulars.as_ref().and_then(|particulars| particulars.id.as_deref())
    }
}

impl From<Sample> for Observation {
    /// Returns the observation that a sample becomes when it is stored first.
    fn from(sample: Sample) -> Self {
        let Sample { instant, value, zone, context, particulars } = sample;
        Self { instant, value, zone, revision: 0, context, particulars }
    }
}

/// Every stream, for [`stream_from_row`].
pub(super) const STREAMS: &str = "
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

pub(super) fn from_row(row: &Row) -> rusqlite::Result<Observation> {
    Ok(Observation {
        instant: row.get(0)?,
        value: row.get(1)?,
        zone: row.get(2)?,
        revision: row.get(3)?,
        context: row.get(4)?,
        particulars: row.get::<_, Option<Particulars>>(5)?.map(Arc::new),
    })
}

pub(super) fn stream_from_row(row: &Row) -> rusqlite::Result<StreamInfo> {
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
