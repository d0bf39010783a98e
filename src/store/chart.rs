//! What charts are drawn from.

use rusqlite::{Connection, params};

use super::StoreError;
use crate::intervals::Interval;
use crate::patient::PatientId;

/// The observations of one stretch of time, summed up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The stretch.
    pub range: Interval,
    /// How many there are; the rest is 0 where there are none.
    pub samples: i64,
    /// The least value.
    pub least: f64,
    /// Their mean.
    pub mean: f64,
    /// The greatest value.
    pub most: f64,
}

/// A patient's observations of one code, summed up for each of these stretches of time.
///
/// # Errors
/// Where the tables cannot be read.
pub fn buckets(
    db: &Connection,
    patient: PatientId,
    code: &str,
    ranges: &[Interval],
) -> Result<Vec<Bucket>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT count(*), coalesce(min(value), 0), coalesce(avg(value), 0), coalesce(max(value), 0)
         FROM stream JOIN observation ON observation.stream = stream.id
         WHERE patient = ? AND stream.code = (SELECT id FROM code WHERE code = ?) AND set_aside = 0
           AND instant >= ? AND instant < ?",
    )?;
    let mut buckets = Vec::with_capacity(ranges.len());
    for &range in ranges {
        buckets.push(query.query_row(params![patient, code, range.from, range.until], |row| {
            Ok(Bucket {
                range,
                samples: row.get(0)?,
                least: row.get(1)?,
                mean: row.get(2)?,
                most: row.get(3)?,
            })
        })?);
    }
    Ok(buckets)
}
