//! Streams: the parts of a sample's identity besides its instant.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::stream_key::{StreamKey, StreamOwner};
use crate::model::{observation::CONVERTER, sample::Sample, sample_details::SampleDetails};
use crate::store::error::StoreResult;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredStream {
    pub(crate) id: i64,
    pub(crate) newest: Timestamp,
    pub(crate) renamed_from: Option<i64>,
}

pub(crate) fn find(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
) -> StoreResult<Option<StoredStream>> {
    let StreamOwner { patient, subject, system } = owner;
    let StreamKey { series_type, provider, source, device, daily_total } = key;
    let select = "SELECT id, newest_instant, renamed_from_id FROM streams
         WHERE patient_id = ? AND subject = ? AND system = ? AND series_type = ? AND provider = ?
         AND source = ?
           AND device = ? AND daily_total = ?";
    let mut query = db.prepare_cached(select)?;
    let found = query.query_row(
        params![patient, subject, system, series_type, provider, source, device, daily_total],
        |row| Ok(StoredStream { id: row.get(0)?, newest: row.get(1)?, renamed_from: row.get(2)? }),
    );
    Ok(found.optional()?)
}

pub(crate) fn insert(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
    code: i64,
    newest: Timestamp,
) -> StoreResult<i64> {
    let StreamOwner { patient, subject, system } = owner;
    let StreamKey { series_type, provider, source, device, daily_total } = key;
    let mut insert = db.prepare_cached(
        "INSERT INTO streams (patient_id, subject, system, series_type, provider, source, device, daily_total,
                             code_id, converter_version, newest_instant)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    Ok(insert.insert(params![
        patient,
        subject,
        system,
        series_type,
        provider,
        source,
        device,
        daily_total,
        code,
        CONVERTER,
        newest
    ])?)
}

/// Lists the owner's other streams that differ from `key` only in device or source.
pub(crate) fn list_siblings(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
) -> StoreResult<Vec<(i64, StreamKey)>> {
    let StreamOwner { patient, subject, system } = owner;
    let StreamKey { series_type, provider, source, device, daily_total } = key;
    let select = "SELECT id, source, device FROM streams
         WHERE patient_id = ? AND subject = ? AND system = ? AND series_type = ? AND provider = ?
         AND daily_total = ?
           AND NOT (source = ? AND device = ?)";
    let mut query = db.prepare_cached(select)?;
    let sibling =
        |row: &Row| Ok((row.get(0)?, StreamKey { source: row.get(1)?, device: row.get(2)?, ..key.clone() }));
    let rows = query.query_map(
        params![patient, subject, system, series_type, provider, daily_total, source, device],
        sibling,
    )?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the newest sample time of a series type.
pub fn find_newest(
    db: &Connection,
    owner: &StreamOwner,
    series_type: &str,
) -> StoreResult<Option<Timestamp>> {
    let select = "SELECT max(newest_instant) FROM streams
         WHERE patient_id = ? AND subject = ? AND system = ? AND series_type = ? AND entered_in_error = 0";
    let mut query = db.prepare_cached(select)?;
    let key = params![owner.patient, owner.subject, owner.system, series_type];
    Ok(query.query_row(key, |row| row.get(0))?)
}

pub(crate) fn set_newest(db: &Connection, stream: i64, newest: Timestamp) -> StoreResult<()> {
    db.prepare_cached("UPDATE streams SET newest_instant = ?2 WHERE id = ?1 AND newest_instant < ?2")?
        .execute(params![stream, newest])?;
    Ok(())
}

pub(crate) fn set_renamed_from(db: &Connection, stream: i64, before: i64) -> StoreResult<()> {
    db.prepare_cached("UPDATE streams SET renamed_from_id = ?2 WHERE id = ?1")?
        .execute(params![stream, before])?;
    Ok(())
}

/// Returns instant and value of the last sample before an instant.
pub(crate) fn find_last_before(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
) -> StoreResult<Option<(Timestamp, f64)>> {
    let select = "SELECT instant, value FROM observations
         WHERE stream_id = ? AND instant < ? ORDER BY instant DESC LIMIT 1";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_row(params![stream, instant], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Returns the value of the first sample after an instant.
pub(crate) fn find_first_after(db: &Connection, stream: i64, instant: Timestamp) -> StoreResult<Option<f64>> {
    let mut query = db.prepare_cached(
        "SELECT value FROM observations WHERE stream_id = ? AND instant > ? ORDER BY instant LIMIT 1",
    )?;
    Ok(query.query_row(params![stream, instant], |row| row.get(0)).optional()?)
}

/// Lists the samples between two instants, both inclusive, in order.
pub(crate) fn list_samples(
    db: &Connection,
    stream: i64,
    from: Timestamp,
    until: Timestamp,
) -> StoreResult<Vec<Sample>> {
    let select = "SELECT instant, value, utc_offset, activity_context, details FROM observations
         WHERE stream_id = ? AND instant BETWEEN ? AND ? ORDER BY instant";
    let mut query = db.prepare_cached(select)?;
    let rows = query.query_map(params![stream, from, until], |row| {
        let details = row.get::<_, Option<SampleDetails>>(4)?.map(Arc::new);
        Ok(Sample {
            instant: row.get(0)?,
            value: row.get(1)?,
            zone: row.get(2)?,
            context: row.get(3)?,
            details,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
