//! Data for charts: short ranges of single streams, never a full stream.

use rusqlite::{Connection, params};

use crate::model::account::{Role, VisibleTo};
use crate::model::chart_data::{ChartStream, PeriodSummary, ValueSummary};
use crate::model::{consent_intervals::Interval, observation::Observation, patient::PatientId};
use crate::store::{error::StoreResult, people::visibility, privacy::withdrawal, samples::observation};

/// Lists a patient's visible streams.
pub fn list_streams(db: &Connection, viewer: VisibleTo, patient: PatientId) -> StoreResult<Vec<ChartStream>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT id, series_type, provider, daily_total, renamed_from_id, newest_instant FROM streams
         WHERE patient_id = ?1 AND entered_in_error = 0 AND {} AND {} ORDER BY id",
        withdrawal::visible_condition("streams.patient_id", "streams.code_id"),
        visibility::code_condition("streams.patient_id", "streams.code_id", 2, Role::Viewer)
    ))?;
    let streams = query.query_map(params![patient, viewer], |row| {
        let (stream, series_type, provider, daily_total, continues, newest) = row.try_into()?;
        Ok(ChartStream { stream, series_type, provider, daily_total, continues, newest })
    })?;
    Ok(streams.collect::<Result<_, _>>()?)
}

/// Reads one range of the primary key for each stream and period.
const SUMMARIZE: &str = "
    SELECT wanted.value, period.key, count(*), min(sample.value), total(sample.value), max(sample.value),
           count(sample.details ->> ?3), min(sample.details ->> ?3), total(sample.details ->> ?3),
           max(sample.details ->> ?3)
    FROM json_each(?1) AS wanted CROSS JOIN json_each(?2) AS period CROSS JOIN observations AS sample
    WHERE sample.stream_id = wanted.value AND sample.instant >= period.value ->> 0
      AND sample.instant < period.value ->> 1
    GROUP BY 1, 2";

/// Summarizes the values of each stream in each period; empty ones have no row. Only blood pressure has a
/// diastolic value to look for.
pub fn summarize(
    db: &Connection,
    streams: &[i64],
    periods: &[Interval],
    has_diastolic: bool,
) -> StoreResult<Vec<PeriodSummary>> {
    let mut query = db.prepare_cached(SUMMARIZE)?;
    let path = has_diastolic.then_some("$.measures.diastolic");
    let rows = query.query_map(params![ids(streams), bounds(periods), path], |row| {
        let sum = |first: usize| {
            Ok::<_, rusqlite::Error>(ValueSummary {
                samples: row.get(first)?,
                min: row.get(first + 1)?,
                sum: row.get(first + 2)?,
                max: row.get(first + 3)?,
            })
        };
        let diastolic = if row.get::<_, i64>(6)? > 0 { Some(sum(6)?) } else { None };
        Ok(PeriodSummary {
            stream: row.get(0)?,
            period: row.get::<_, u32>(1)? as usize,
            value: sum(2)?,
            diastolic,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists the observations of streams with few samples a day.
pub fn list_observations(
    db: &Connection,
    streams: &[i64],
    range: Interval,
) -> StoreResult<Vec<(i64, Observation)>> {
    let select = "SELECT instant, sample.value, utc_offset, revision, activity_context, details, stream_id
         FROM json_each(?1) AS wanted CROSS JOIN observations AS sample
         WHERE stream_id = wanted.value AND instant >= ?2 AND instant < ?3 ORDER BY stream_id, instant";
    let mut query = db.prepare_cached(select)?;
    let rows = query.query_map(params![ids(streams), range.from, range.until], |row| {
        Ok((row.get(6)?, observation::from_row(row)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn ids(streams: &[i64]) -> String {
    serde_json::Value::from(streams).to_string()
}

fn bounds(periods: &[Interval]) -> String {
    let bounds = periods.iter().map(|range| serde_json::json!([range.from.micros(), range.until.micros()]));
    bounds.collect::<serde_json::Value>().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_reads_ranges_of_the_primary_key() {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE observations (stream_id INTEGER NOT NULL, instant INTEGER NOT NULL,
             value REAL NOT NULL,
                                       details TEXT, PRIMARY KEY (stream_id, instant)) STRICT, WITHOUT ROWID",
        )
        .unwrap();
        let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {SUMMARIZE}")).unwrap();
        let steps = plan.query_map(params!["[1]", "[[0,1]]", None::<&str>], |row| row.get::<_, String>(3));
        let steps: Vec<String> = steps.unwrap().collect::<Result<_, _>>().unwrap();
        let reads = "SEARCH sample USING PRIMARY KEY (stream_id=? AND instant>? AND instant<?)";
        assert!(steps.iter().any(|step| step == reads), "{steps:?}");
    }
}
