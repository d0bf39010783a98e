//! Streams: what a sample's identity has besides its instant, kept once.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::observation::CONVERTER;
use crate::model::sample::Sample;
use crate::model::sample_details::Particulars;
use crate::model::stream_key::{Owner, StreamKey};
use crate::store::error::StoreError;

/// A stream's row, as far as a commit needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: i64,
    pub(crate) newest: Timestamp,
    pub(crate) continues: Option<i64>,
}

pub(crate) fn find(db: &Connection, owner: &Owner, key: &StreamKey) -> Result<Option<Known>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, newest_instant, renamed_from_id FROM streams
         WHERE patient_id = ? AND subject = ? AND system = ? AND series_type = ? AND provider = ? AND source = ?
           AND device = ? AND daily_total = ?",
    )?;
    let found = query.query_row(
        params![
            owner.patient,
            owner.subject,
            owner.system,
            key.series_type,
            key.provider,
            key.source,
            key.device,
            key.daily_total
        ],
        |row| Ok(Known { id: row.get(0)?, newest: row.get(1)?, continues: row.get(2)? }),
    );
    Ok(found.optional()?)
}

pub(crate) fn add(
    db: &Connection,
    owner: &Owner,
    key: &StreamKey,
    code: i64,
    newest: Timestamp,
) -> Result<i64, StoreError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO streams (patient_id, subject, system, series_type, provider, source, device, daily_total,
                             code_id, converter_version, newest_instant)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    Ok(insert.insert(params![
        owner.patient,
        owner.subject,
        owner.system,
        key.series_type,
        key.provider,
        key.source,
        key.device,
        key.daily_total,
        code,
        CONVERTER,
        newest
    ])?)
}

/// The other streams of one owner that differ from `key` in the names of device and source only.
pub(crate) fn siblings(
    db: &Connection,
    owner: &Owner,
    key: &StreamKey,
) -> Result<Vec<(i64, StreamKey)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, source, device FROM streams
         WHERE patient_id = ? AND subject = ? AND system = ? AND series_type = ? AND provider = ? AND daily_total = ?
           AND NOT (source = ? AND device = ?)",
    )?;
    let sibling =
        |row: &Row| Ok((row.get(0)?, StreamKey { source: row.get(1)?, device: row.get(2)?, ..key.clone() }));
    let rows = query.query_map(
        params![
            owner.patient,
            owner.subject,
            owner.system,
            key.series_type,
            key.provider,
            key.daily_total,
            key.source,
            key.device
        ],
        sibling,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest sample time that is kept of a type.
///
/// # Errors
/// Where the table cannot be read.
pub fn newest(db: &Connection, owner: &Owner, series_type: &str) -> Result<Option<Timestamp>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT max(newest_instant) FROM streams
         WHERE patient_id = ? AND subject = ? AND system = ? AND series_type = ? AND entered_in_error = 0",
    )?;
    let key = params![owner.patient, owner.subject, owner.system, series_type];
    Ok(query.query_row(key, |row| row.get(0))?)
}

pub(crate) fn set_newest(db: &Connection, stream: i64, newest: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE streams SET newest_instant = ?2 WHERE id = ?1 AND newest_instant < ?2")?
        .execute(params![stream, newest])?;
    Ok(())
}

pub(crate) fn set_continues(db: &Connection, stream: i64, before: i64) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE streams SET renamed_from_id = ?2 WHERE id = ?1")?
        .execute(params![stream, before])?;
    Ok(())
}

/// The last sample that a stream holds before an instant: when, and its value.
pub(crate) fn last_before(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
) -> Result<Option<(Timestamp, f64)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT instant, value FROM observations WHERE stream_id = ? AND instant < ? ORDER BY instant DESC LIMIT 1",
    )?;
    Ok(query.query_row(params![stream, instant], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The value of the first sample that a stream holds after an instant.
pub(crate) fn first_after(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
) -> Result<Option<f64>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT value FROM observations WHERE stream_id = ? AND instant > ? ORDER BY instant LIMIT 1",
    )?;
    Ok(query.query_row(params![stream, instant], |row| row.get(0)).optional()?)
}

/// The samples that a stream holds between two instants, both included, in order.
pub(crate) fn samples(
    db: &Connection,
    stream: i64,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Sample>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT instant, value, utc_offset, activity_context, details FROM observations
         WHERE stream_id = ? AND instant BETWEEN ? AND ? ORDER BY instant",
    )?;
    let rows = query.query_map(params![stream, from, until], |row| {
        let particulars = row.get::<_, Option<Particulars>>(4)?.map(Arc::new);
        Ok(Sample {
            instant: row.get(0)?,
            value: row.get(1)?,
            zone: row.get(2)?,
            context: row.get(3)?,
            particulars,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
