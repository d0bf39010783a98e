//! Events of OW's: each is kept under the instant at which it was first seen to begin.
//!
//! An event has an id of its own, and OW may move its beginning: it stays the same observation then. Two events of one
//! stream that begin at the same instant are kept a microsecond apart; their intervals stay what they are.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::event_census::Census;
use crate::model::sample::Sample;
use crate::model::sample_details::Particulars;
use crate::store::error::StoreError;

/// How far the place of an event may lie from where it is now: no sleep and no workout moves further.
const NEAR: Duration = Duration::from_hours(72);

/// Events of one stream, put in their places.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// All samples, at the instants under which they are, or will be, kept, in that order; each instant once.
    pub(crate) samples: Vec<Sample>,
    /// New ids of events that are kept already: id, instant.
    pub(crate) aliases: Vec<(Box<str>, Timestamp)>,
}

/// An event that is kept.
#[derive(Debug)]
struct Kept {
    instant: Timestamp,
    /// The id under which it was first kept, which names the observation for good.
    id: Box<str>,
}

/// Puts samples in their places. OW merges a night that came in two parts into an event of a new id, and forgets the old
/// one: an event that is not in the `census` any more, and overlaps a new one, is that one. Without a stream nothing is
/// kept yet.
pub(crate) fn settle(
    db: &Connection,
    stream: Option<i64>,
    samples: Vec<Sample>,
    census: Option<&Census>,
) -> Result<Settled, StoreError> {
    if samples.iter().all(|sample| sample.event().is_none()) {
        return Ok(Settled { samples, aliases: Vec::new() });
    }
    let mut settled = Settled::default();
    let mut new: BTreeMap<(Timestamp, Box<str>), Sample> = BTreeMap::new();
    let mut known: BTreeMap<Timestamp, Sample> = BTreeMap::new();
    let mut by_id: BTreeMap<Box<str>, Sample> = BTreeMap::new();
    for sample in samples {
        match sample.event().map(Box::from) {
            Some(id) => by_id.insert(id, sample),
            // Without an id the instant is all there is to tell it by.
            None => known.insert(sample.instant, sample),
        };
    }
    for (id, sample) in by_id {
        match kept_at(db, stream, &id)? {
            // Under two of its ids an event is shown twice: then they are two.
            Some((instant, first)) if !known.contains_key(&instant) => {
                known.insert(instant, at(sample, instant, &first));
            }
            _ => {
                new.insert((sample.instant, id), sample);
            }
        }
    }
    for ((_, id), mut sample) in new {
        if let Some(gone) = gone(db, stream, &sample, census)?
            && !known.contains_key(&gone.instant)
        {
            settled.aliases.push((id, gone.instant));
            known.insert(gone.instant, at(sample, gone.instant, &gone.id));
            continue;
        }
        while known.contains_key(&sample.instant) || is_kept(db, stream, sample.instant)? {
            sample.instant = Timestamp::from_micros(sample.instant.micros() + 1);
        }
        known.insert(sample.instant, sample);
    }
    settled.samples = known.into_values().collect();
    Ok(settled)
}

/// The sample at the place, and under the id, that its event has here.
pub(crate) fn at(mut sample: Sample, instant: Timestamp, id: &str) -> Sample {
    sample.instant = instant;
    if sample.event() != Some(id)
        && let Some(particulars) = &mut sample.particulars
    {
        Arc::make_mut(particulars).id = Some(id.into());
    }
    sample
}

/// The event that `sample` has taken the place of.
fn gone(
    db: &Connection,
    stream: Option<i64>,
    sample: &Sample,
    census: Option<&Census>,
) -> Result<Option<Kept>, StoreError> {
    let (Some(stream), Some(census), Some(frame)) = (stream, census, sample.frame()) else { return Ok(None) };
    let Census { within, ids } = census;
    let mut query = db.prepare_cached(
        "SELECT instant, details FROM observations
         WHERE stream_id = ?1 AND instant BETWEEN ?2 AND ?3 ORDER BY instant",
    )?;
    let around = params![stream, frame.start.minus(NEAR), frame.end.plus(NEAR)];
    let rows = query.query_map(around, |row| Ok((row.get(0)?, row.get::<_, Option<Particulars>>(1)?)))?;
    for row in rows {
        let (instant, particulars): (Timestamp, _) = row?;
        let Some(Particulars { id: Some(id), frame: Some(other), .. }) = particulars else { continue };
        let overlaps = other.start < frame.end && frame.start < other.end;
        let was_asked_for = within.from <= other.start && other.end < within.until;
        if overlaps && was_asked_for && !is_shown(db, stream, instant, ids)? {
            return Ok(Some(Kept { instant, id }));
        }
    }
    Ok(None)
}

/// Whether OW still shows an event, under any of the ids that it has had.
fn is_shown(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
    shown: &[Box<str>],
) -> Result<bool, StoreError> {
    let mut query =
        db.prepare_cached("SELECT event_id FROM event_ids WHERE stream_id = ? AND instant = ?")?;
    let ids = query.query_map(params![stream, instant], |row| row.get::<_, Box<str>>(0))?;
    for id in ids {
        if shown.contains(&id?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Remembers the new ids of events.
pub(crate) fn alias(
    db: &Connection,
    stream: i64,
    aliases: &[(Box<str>, Timestamp)],
) -> Result<(), StoreError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO event_ids (stream_id, event_id, instant) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )?;
    for (id, instant) in aliases {
        insert.execute(params![stream, id, instant])?;
    }
    Ok(())
}

/// Remembers under which instant a new event is kept.
pub(crate) fn place(db: &Connection, stream: i64, sample: &Sample) -> Result<(), StoreError> {
    if let Some(id) = sample.event() {
        db.prepare_cached("INSERT INTO event_ids (stream_id, event_id, instant) VALUES (?, ?, ?)")?
            .execute(params![stream, id, sample.instant])?;
    }
    Ok(())
}

/// Where an event is kept, and under which id it was first.
fn kept_at(
    db: &Connection,
    stream: Option<i64>,
    id: &str,
) -> Result<Option<(Timestamp, Box<str>)>, StoreError> {
    let Some(stream) = stream else { return Ok(None) };
    let mut query = db.prepare_cached(
        "SELECT instant, details ->> 'id' FROM event_ids JOIN observations USING (stream_id, instant)
         WHERE stream_id = ? AND event_id = ?",
    )?;
    Ok(query.query_row(params![stream, id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn is_kept(db: &Connection, stream: Option<i64>, instant: Timestamp) -> Result<bool, StoreError> {
    let Some(stream) = stream else { return Ok(false) };
    let mut query =
        db.prepare_cached("SELECT EXISTS (SELECT 1 FROM observations WHERE stream_id = ? AND instant = ?)")?;
    Ok(query.query_row(params![stream, instant], |row| row.get(0))?)
}
