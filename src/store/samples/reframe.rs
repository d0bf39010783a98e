//! Frames daily values anew after a correction of the patient's time zone.
//!
//! A daily value without an offset of its own covers the local day in the patient's time zone. The merge keeps the
//! stored frame, so the correction itself replaces it. The new frame is the one that the converter makes, so the next
//! read of the same record changes nothing.

use std::sync::Arc;

use jiff::tz::TimeZone;
use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::catalog::{method, series};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::{patient::PatientId, sample::Sample, sample_details::SampleDetails};
use crate::omh::day::day_of_stamp;
use crate::store::error::StoreResult;
use crate::store::operations::counter;
use crate::store::operations::hourly_counters::{self, Totals};
use crate::store::outbox::{enqueue, one_of_two_modes};
use crate::store::people::patient as patients;
use crate::store::samples::{commit_number, merge::Change, observation, write_change};

/// Gives the patient's days that no offset frames their frames in `zone`, as revisions. Returns their number.
pub(crate) fn reframe(
    db: &Connection,
    patient: PatientId,
    zone: &TimeZone,
    now: Timestamp,
) -> StoreResult<usize> {
    let is_of_jhe = patients::is_of_jhe(db, patient)?;
    let mut revised = 0;
    for stream in observation::list_patient_streams(db, patient)?.iter().filter(|stream| has_days(stream)) {
        let target = enqueue::find_target(db, stream.id)?;
        let is_exported = is_of_jhe && enqueue::is_sent(db, target.code)?;
        for stored in list_days(db, stream.id)? {
            let Some(sample) = in_zone(&stored, zone) else { continue };
            let change = Change::Revised(sample);
            let is_sent = is_exported && !one_of_two_modes::is_excluded(db, stream.id, stored.instant)?;
            let commit = commit_number::assign(db, None, now)?;
            write_change::update(db, stream.id, &change, is_sent, commit, now)?;
            if is_sent {
                write_change::enqueue(db, target, stream.id, &change, now)?;
            }
            revised += 1;
        }
    }
    counter::add(db, "revisions", revised)?;
    let totals = Totals { revised: i64::try_from(revised).unwrap_or(i64::MAX), ..Totals::default() };
    hourly_counters::add(db, now, &totals)?;
    Ok(usize::try_from(revised).unwrap_or(usize::MAX))
}

/// Returns true if samples of the stream are values of days. It spares a scan of the other streams, which are long.
fn has_days(stream: &StreamInfo) -> bool {
    series::find(&stream.series_type)
        .is_some_and(|series| method::find(series, &stream.provider, stream.daily_total).covers_day)
}

/// Lists the values of days that carry no offset.
fn list_days(db: &Connection, stream: i64) -> StoreResult<Vec<Observation>> {
    let select = format!(
        "{} WHERE stream_id = ? AND utc_offset IS NULL AND details ->> '$.frame' IS NOT NULL",
        observation::SELECT
    );
    let mut query = db.prepare_cached(&select)?;
    Ok(query.query_map(params![stream], observation::from_row)?.collect::<Result<_, _>>()?)
}

/// Returns the sample with its day in `zone`; none if the day is the same, or is not a local day.
fn in_zone(stored: &Observation, zone: &TimeZone) -> Option<Sample> {
    let Observation { instant, value, zone: offset, context, .. } = *stored;
    let details = stored.details.as_deref().filter(|details| !details.deleted)?;
    // Without an offset of its own, a sample has one in its frame only if a time zone gave it.
    let before = details.frame.filter(|frame| frame.start_zone.is_some())?;
    let frame = day_of_stamp(instant, None, zone).ok().filter(|frame| *frame != before)?;
    let details = SampleDetails { frame: Some(frame), ..details.clone() };
    Some(Sample { instant, value, zone: offset, context, details: Some(Arc::new(details)) })
}
