//! Compares the local offsets that a patient's samples carry with the patient's time zone.

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::{Timestamp, ZoneOffset, midnight_in, offset_at, time_zone_or_utc};
use crate::model::patient::PatientId;
use crate::store::error::StoreResult;

/// Days with another offset that contradict the time zone. Fewer are a journey.
const DAYS: u32 = 3;
/// Days in which they are looked for.
const WITHIN_DAYS: i64 = 14;
/// Samples that are read per stream and day, the newest.
const SAMPLES: u32 = 20;

/// Finds the offset that contradicts the patient's time zone, and records it; records none if they agree.
pub fn check(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<()> {
    let mut query = db.prepare_cached("SELECT time_zone FROM patients WHERE id = ?")?;
    let Some(zone) = query.query_row([patient], |row| row.get::<_, String>(0)).optional()? else {
        return Ok(());
    };
    let offset = find_contradicting(db, patient, &time_zone_or_utc(&zone), now)?;
    let update = "UPDATE sync_status SET contradicting_offset = ?2
         WHERE patient_id = ?1 AND contradicting_offset IS NOT ?2";
    db.prepare_cached(update)?.execute(params![patient, offset])?;
    Ok(())
}

/// Lists the patients whose samples contradict the time zone.
pub fn list_contradicting(db: &Connection) -> StoreResult<Vec<PatientId>> {
    let select =
        "SELECT patient_id FROM sync_status WHERE contradicting_offset IS NOT NULL ORDER BY patient_id";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Returns the one offset of the newest [`DAYS`] days with any, if `zone` has another at each of their samples.
fn find_contradicting(
    db: &Connection,
    patient: PatientId,
    zone: &TimeZone,
    now: Timestamp,
) -> StoreResult<Option<ZoneOffset>> {
    let Some(today) = now.to_jiff().map(|now| zone.to_datetime(now).date()) else { return Ok(None) };
    let (mut found, mut days) = (None, 0);
    for back in 0..WITHIN_DAYS {
        let day = today.saturating_sub(jiff::Span::new().days(back));
        let (Ok(from), Ok(until)) = (midnight_in(zone, day), midnight_in(zone, day.saturating_add(ONE_DAY)))
        else {
            return Ok(None);
        };
        let carried = list_carried(db, patient, from, until)?;
        let Some((_, first)) = carried.first().copied() else { continue };
        let contradicts =
            |(at, offset): &(Timestamp, ZoneOffset)| *offset == first && *offset != offset_at(zone, *at);
        if !carried.iter().all(contradicts) || found.is_some_and(|found| found != first) {
            return Ok(None);
        }
        (found, days) = (Some(first), days + 1);
        if days == DAYS {
            return Ok(found);
        }
    }
    Ok(None)
}

const ONE_DAY: std::time::Duration = std::time::Duration::from_hours(24);

/// Lists the newest samples of each stream that carry an offset.
fn list_carried(
    db: &Connection,
    patient: PatientId,
    from: Timestamp,
    until: Timestamp,
) -> StoreResult<Vec<(Timestamp, ZoneOffset)>> {
    let mut streams = db.prepare_cached(
        "SELECT id FROM streams WHERE patient_id = ? AND entered_in_error = 0 AND newest_instant >= ?",
    )?;
    let mut query = db.prepare_cached(
        "SELECT instant, utc_offset FROM
             (SELECT instant, utc_offset FROM observations WHERE stream_id = ? AND instant >= ? AND instant < ?
              ORDER BY instant DESC LIMIT ?)
         WHERE utc_offset IS NOT NULL",
    )?;
    let mut carried = Vec::new();
    for stream in streams.query_map(params![patient, from], |row| row.get::<_, i64>(0))? {
        let rows =
            query.query_map(params![stream?, from, until, SAMPLES], |row| Ok((row.get(0)?, row.get(1)?)))?;
        carried.extend(rows.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(carried)
}
