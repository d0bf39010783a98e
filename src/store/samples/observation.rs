//! Reads observations page by page. A slow reader must not hold a snapshot open, since the write-ahead log
//! grows meanwhile.

use std::sync::Arc;

use rusqlite::{Connection, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::{Role, VisibleTo};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::{patient::PatientId, sample_details::SampleDetails, study::StudyId};
use crate::store::{error::StoreResult, people::visibility, privacy::withdrawal};

/// Rows of one page: a few milliseconds of reading, and little memory.
pub const PAGE_ROWS: u32 = 1000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObservationFilter {
    pub patient: Option<PatientId>,
    pub code: Option<String>,
    /// Only patients enrolled in it, and codes that it asks for.
    pub study: Option<StudyId>,
    /// Inclusive.
    pub since: Option<Timestamp>,
    /// Exclusive.
    pub until: Option<Timestamp>,
}

/// Selects observations for [`from_row`].
pub(crate) const SELECT: &str =
    "SELECT instant, value, utc_offset, revision, activity_context, details FROM observations";

/// Selects streams for [`stream_from_row`].
pub(crate) const SELECT_STREAMS: &str = "
    SELECT streams.id, streams.patient_id, jhe_patient_id, streams.subject, streams.system, series_type,
           provider, source, device, daily_total, codes.system, codes.code, codes.display, converter_version
    FROM streams JOIN codes ON codes.id = streams.code_id JOIN patients ON patients.id = streams.patient_id";

/// Lists the visible streams that a filter selects, patient by patient.
pub fn list_streams(
    db: &Connection,
    viewer: VisibleTo,
    filter: &ObservationFilter,
) -> StoreResult<Vec<StreamInfo>> {
    let mut query = db.prepare_cached(&format!(
        "{SELECT_STREAMS} WHERE entered_in_error = 0 AND (?1 IS NULL OR streams.patient_id = ?1)
           AND (?2 IS NULL OR codes.code = ?2)
           AND (?3 IS NULL OR EXISTS (
                SELECT 1 FROM enrolments JOIN study_codes USING (study_id)
                WHERE study_id = ?3 AND enrolments.patient_id = streams.patient_id
                  AND study_codes.code_id = streams.code_id))
           AND {} AND {} ORDER BY streams.patient_id, streams.id",
        withdrawal::visible_condition("streams.patient_id", "streams.code_id"),
        visibility::code_condition("streams.patient_id", "streams.code_id", 4, Role::Viewer)
    ))?;
    Ok(query
        .query_map(params![filter.patient, filter.code, filter.study, viewer], stream_from_row)?
        .collect::<Result<_, _>>()?)
}

/// Lists a patient's streams, including hidden ones, except those entered in error.
pub fn list_patient_streams(db: &Connection, patient: PatientId) -> StoreResult<Vec<StreamInfo>> {
    let mut query = db.prepare_cached(&format!(
        "{SELECT_STREAMS} WHERE streams.patient_id = ? AND entered_in_error = 0 ORDER BY streams.id"
    ))?;
    Ok(query.query_map([patient], stream_from_row)?.collect::<Result<_, _>>()?)
}

/// Lists the streams of a patient and a code, including those entered in error.
pub fn list_all_streams(db: &Connection, patient: PatientId, code: &str) -> StoreResult<Vec<StreamInfo>> {
    let select = format!("{SELECT_STREAMS} WHERE streams.patient_id = ? AND codes.code = ?");
    let mut query = db.prepare_cached(&select)?;
    Ok(query.query_map(params![patient, code], stream_from_row)?.collect::<Result<_, _>>()?)
}

/// Lists up to [`PAGE_ROWS`] observations of a stream after the instant `after`.
pub fn list_page(
    db: &Connection,
    stream: i64,
    after: Option<Timestamp>,
    filter: &ObservationFilter,
) -> StoreResult<Vec<Observation>> {
    let since = filter.since.unwrap_or(Timestamp::MIN).micros();
    let from = after.map_or(since, |after| since.max(after.micros() + 1));
    let until = filter.until.unwrap_or(Timestamp::MAX);
    let mut query = db.prepare_cached(&format!(
        "{SELECT} WHERE stream_id = ? AND instant >= ? AND instant < ? ORDER BY instant LIMIT ?"
    ))?;
    Ok(query.query_map(params![stream, from, until, PAGE_ROWS], from_row)?.collect::<Result<_, _>>()?)
}

/// An observation, and the index of its stream in a list of streams.
pub type IndexedObservation = (usize, Observation);

/// Lists the newest observations of several streams, newest first. `before` continues after an instant and a
/// stream.
pub fn list_newest(
    db: &Connection,
    streams: &[StreamInfo],
    before: Option<(Timestamp, i64)>,
    limit: usize,
) -> StoreResult<Vec<IndexedObservation>> {
    let (instant, row) = before.unwrap_or((Timestamp::MAX, 0));
    let select = format!(
        "{SELECT} WHERE stream_id = ?1 AND (instant < ?2 OR (instant = ?2 AND ?1 < ?3))
         ORDER BY instant DESC LIMIT ?4"
    );
    let mut query = db.prepare_cached(&select)?;
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

pub fn get(db: &Connection, stream: i64, instant: Timestamp) -> StoreResult<Observation> {
    let select = "SELECT instant, value, utc_offset, revision, activity_context, details FROM observations
         WHERE stream_id = ? AND instant = ?";
    Ok(db.prepare_cached(select)?.query_row(params![stream, instant], from_row)?)
}

/// Lists the earlier values of an observation, oldest first, each with the time of its replacement.
pub fn list_revisions(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
) -> StoreResult<Vec<(Observation, Timestamp)>> {
    let select = "SELECT instant, value, utc_offset, revision, NULL, details, replaced_at FROM revisions
         WHERE stream_id = ? AND instant = ? ORDER BY revision";
    let mut query = db.prepare_cached(select)?;
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
        details: row.get::<_, Option<SampleDetails>>(5)?.map(Arc::new),
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
