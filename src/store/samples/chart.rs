//! What charts are drawn from: short ranges of single streams, never a whole one.

use rusqlite::{Connection, params};

use crate::model::chart_data::{Line, Part, Sum};
use crate::model::consent_intervals::Interval;
use crate::model::observation::Observation;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::privacy::withdrawal;
use crate::store::samples::observation;

/// A patient's streams, but those that are set aside or hidden.
///
/// # Errors
/// Where the table cannot be read.
pub fn lines(db: &Connection, patient: PatientId) -> Result<Vec<Line>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT id, series_type, provider, daily_total, renamed_from_id, newest_instant FROM streams
         WHERE patient_id = ? AND entered_in_error = 0 AND {} ORDER BY id",
        withdrawal::is_shown("streams.patient_id", "streams.code_id")
    ))?;
    let lines = query.query_map([patient], |row| {
        Ok(Line {
            stream: row.get(0)?,
            series_type: row.get(1)?,
            provider: row.get(2)?,
            daily_total: row.get(3)?,
            continues: row.get(4)?,
            newest: row.get(5)?,
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}

/// Ranges of the primary key, one for each stream and stretch, in one go.
const PARTS: &str = "
    SELECT wanted.value, stretch.key, count(*), min(sample.value), total(sample.value), max(sample.value),
           count(sample.details ->> ?3), min(sample.details ->> ?3), total(sample.details ->> ?3),
           max(sample.details ->> ?3)
    FROM json_each(?1) AS wanted CROSS JOIN json_each(?2) AS stretch CROSS JOIN observations AS sample
    WHERE sample.stream_id = wanted.value AND sample.instant >= stretch.value ->> 0
      AND sample.instant < stretch.value ->> 1
    GROUP BY 1, 2";

/// What these streams have in each of these stretches of time; nothing stands for an empty one. Only blood pressures
/// have a diastolic part to look for.
///
/// # Errors
/// Where the table cannot be read.
pub fn parts(
    db: &Connection,
    streams: &[i64],
    stretches: &[Interval],
    has_diastolic: bool,
) -> Result<Vec<Part>, StoreError> {
    let mut query = db.prepare_cached(PARTS)?;
    let path = has_diastolic.then_some("$.measures.diastolic");
    let rows = query.query_map(params![list(streams), bounds(stretches), path], |row| {
        let sum = |first: usize| {
            Ok::<_, rusqlite::Error>(Sum {
                samples: row.get(first)?,
                least: row.get(first + 1)?,
                total: row.get(first + 2)?,
                most: row.get(first + 3)?,
            })
        };
        let diastolic = if row.get::<_, i64>(6)? > 0 { Some(sum(6)?) } else { None };
        Ok(Part { stream: row.get(0)?, place: row.get::<_, u32>(1)? as usize, value: sum(2)?, diastolic })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The observations of these streams in a stretch of time, stream by stream: for streams of a few samples a day.
///
/// # Errors
/// Where the table cannot be read.
pub fn between(
    db: &Connection,
    streams: &[i64],
    range: Interval,
) -> Result<Vec<(i64, Observation)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT instant, sample.value, utc_offset, revision, activity_context, details, stream_id
         FROM json_each(?1) AS wanted CROSS JOIN observations AS sample
         WHERE stream_id = wanted.value AND instant >= ?2 AND instant < ?3 ORDER BY stream_id, instant",
    )?;
    let rows = query.query_map(params![list(streams), range.from, range.until], |row| {
        Ok((row.get(6)?, observation::from_row(row)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn list(streams: &[i64]) -> String {
    serde_json::Value::from(streams).to_string()
}

fn bounds(stretches: &[Interval]) -> String {
    let bounds = stretches.iter().map(|range| serde_json::json!([range.from.micros(), range.until.micros()]));
    bounds.collect::<serde_json::Value>().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stream_is_ever_read_whole() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE observations (stream_id INTEGER NOT NULL, instant INTEGER NOT NULL, value REAL NOT NULL,
                                       details TEXT, PRIMARY KEY (stream_id, instant)) STRICT, WITHOUT ROWID",
        )
        .unwrap();
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {PARTS}")).unwrap();
        let steps = plan.query_map(params!["[1]", "[[0,1]]", None::<&str>], |row| row.get::<_, String>(3));
        let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
        let reads = "SEARCH sample USING PRIMARY KEY (stream_id=? AND instant>? AND instant<?)";
        assert!(steps.iter().any(|step| step == reads), "{steps:?}");
    }
}
