//! OW events (nights, workouts): each is stored under the instant at which it was first seen to begin.
//!
//! An event has its own id, and OW may move its beginning; it stays the same observation. Two events of a
//! stream that begin at the same instant are stored one microsecond apart; their time frames are unchanged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::{event_census::EventCensus, sample::Sample, sample_details::SampleDetails};
use crate::store::error::StoreResult;

/// Search range around an event for the event that it replaces. No night or workout moves further.
const NEAR: Duration = Duration::from_hours(72);

/// Samples of one stream, each at the instant under which it is stored.
#[derive(Debug, Default)]
pub(crate) struct PlacedEvents {
    /// In order of instants, each instant once.
    pub(crate) samples: Vec<Sample>,
    /// New ids of events that are stored already: id, instant.
    pub(crate) aliases: Vec<(Box<str>, Timestamp)>,
}

#[derive(Debug)]
struct StoredEvent {
    instant: Timestamp,
    /// The id under which it was first stored. It is part of the observation's identifier.
    id: Box<str>,
}

/// Moves samples to the instants under which they are stored. OW merges a night that came in two parts into
/// an event with a new id and drops the old ones: a stored event that is missing from the `census` and
/// overlaps a new one is the same event. `stream` is none if nothing of it is stored yet.
pub(crate) fn place_events(
    db: &Connection,
    stream: Option<i64>,
    samples: Vec<Sample>,
    census: Option<&EventCensus>,
) -> StoreResult<PlacedEvents> {
    if samples.iter().all(|sample| sample.event().is_none()) {
        return Ok(PlacedEvents { samples, aliases: Vec::new() });
    }
    let mut placed = PlacedEvents::default();
    let mut new: BTreeMap<(Timestamp, Box<str>), Sample> = BTreeMap::new();
    let mut known: BTreeMap<Timestamp, Sample> = BTreeMap::new();
    let mut by_id: BTreeMap<Box<str>, Sample> = BTreeMap::new();
    for sample in samples {
        match sample.event().map(Box::from) {
            Some(id) => by_id.insert(id, sample),
            // A sample without an event id is identified by its instant.
            None => known.insert(sample.instant, sample),
        };
    }
    for (id, sample) in by_id {
        match find_by_id(db, stream, &id)? {
            // If OW lists two ids of one stored event at the same time, the second id becomes a new event.
            Some((instant, first)) if !known.contains_key(&instant) => {
                known.insert(instant, moved_to(sample, instant, &first));
            }
            _ => {
                new.insert((sample.instant, id), sample);
            }
        }
    }
    for ((_, id), mut sample) in new {
        if let Some(replaced) = find_replaced(db, stream, &sample, census)?
            && !known.contains_key(&replaced.instant)
        {
            placed.aliases.push((id, replaced.instant));
            known.insert(replaced.instant, moved_to(sample, replaced.instant, &replaced.id));
            continue;
        }
        // Another event begins at the same instant: take the next free microsecond.
        while known.contains_key(&sample.instant) || is_occupied(db, stream, sample.instant)? {
            sample.instant = Timestamp::from_micros(sample.instant.micros() + 1);
        }
        known.insert(sample.instant, sample);
    }
    placed.samples = known.into_values().collect();
    Ok(placed)
}

/// Returns the sample with the instant and id under which its event is stored.
pub(crate) fn moved_to(mut sample: Sample, instant: Timestamp, id: &str) -> Sample {
    sample.instant = instant;
    if sample.event() != Some(id)
        && let Some(details) = &mut sample.details
    {
        Arc::make_mut(details).id = Some(id.into());
    }
    sample
}

/// Returns the stored event that `sample` replaces: it overlaps, lies in the census interval, and is no longer
/// listed.
fn find_replaced(
    db: &Connection,
    stream: Option<i64>,
    sample: &Sample,
    census: Option<&EventCensus>,
) -> StoreResult<Option<StoredEvent>> {
    let (Some(stream), Some(census), Some(frame)) = (stream, census, sample.frame()) else { return Ok(None) };
    let EventCensus { within, ids } = census;
    let select = "SELECT instant, details FROM observations
         WHERE stream_id = ?1 AND instant BETWEEN ?2 AND ?3 ORDER BY instant";
    let mut query = db.prepare_cached(select)?;
    let around = params![stream, frame.start.minus(NEAR), frame.end.plus(NEAR)];
    let rows = query.query_map(around, |row| Ok((row.get(0)?, row.get::<_, Option<SampleDetails>>(1)?)))?;
    for row in rows {
        let (instant, details): (Timestamp, _) = row?;
        let Some(SampleDetails { id: Some(id), frame: Some(other), .. }) = details else { continue };
        let overlaps = other.start < frame.end && frame.start < other.end;
        let was_asked_for = within.from <= other.start && other.end < within.until;
        // An event outside of the census interval was not requested, so its absence does not mean that OW deleted it.
        if overlaps && was_asked_for && !is_listed(db, stream, instant, ids)? {
            return Ok(Some(StoredEvent { instant, id }));
        }
    }
    Ok(None)
}

/// Returns true if OW still lists an event under any of its ids.
fn is_listed(db: &Connection, stream: i64, instant: Timestamp, listed: &[Box<str>]) -> StoreResult<bool> {
    let mut query =
        db.prepare_cached("SELECT event_id FROM event_ids WHERE stream_id = ? AND instant = ?")?;
    let ids = query.query_map(params![stream, instant], |row| row.get::<_, Box<str>>(0))?;
    for id in ids {
        if listed.contains(&id?) {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(crate) fn insert_aliases(
    db: &Connection,
    stream: i64,
    aliases: &[(Box<str>, Timestamp)],
) -> StoreResult<()> {
    let sql = "INSERT INTO event_ids (stream_id, event_id, instant) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
    let mut insert = db.prepare_cached(sql)?;
    for (id, instant) in aliases {
        insert.execute(params![stream, id, instant])?;
    }
    Ok(())
}

pub(crate) fn insert_id(db: &Connection, stream: i64, sample: &Sample) -> StoreResult<()> {
    if let Some(id) = sample.event() {
        db.prepare_cached("INSERT INTO event_ids (stream_id, event_id, instant) VALUES (?, ?, ?)")?
            .execute(params![stream, id, sample.instant])?;
    }
    Ok(())
}

/// Returns the instant and the first id of a stored event.
fn find_by_id(db: &Connection, stream: Option<i64>, id: &str) -> StoreResult<Option<(Timestamp, Box<str>)>> {
    let Some(stream) = stream else { return Ok(None) };
    let select =
        "SELECT instant, details ->> 'id' FROM event_ids JOIN observations USING (stream_id, instant)
         WHERE stream_id = ? AND event_id = ?";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_row(params![stream, id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn is_occupied(db: &Connection, stream: Option<i64>, instant: Timestamp) -> StoreResult<bool> {
    let Some(stream) = stream else { return Ok(false) };
    let mut query =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM observations WHERE stream_id = ? AND instant = ?)")?;
    Ok(query.query_row(params![stream, instant], |row| row.get(0))?)
}
