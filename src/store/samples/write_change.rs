//! Writes one change of a sample: to the observations and revisions, and to the outbox.

use rusqlite::{Connection, params};

use crate::common::{failpoint, time::Timestamp};
use crate::model::{observation::Observation, sample::Sample};
use crate::store::error::StoreResult;
use crate::store::outbox::enqueue::{self, ExportTarget};
use crate::store::outbox::one_of_two_modes::{self, ModeGate};
use crate::store::samples::{event, merge::Change};

/// Rows of one INSERT. SQLite opens its cursors anew for each statement: twenty rows take two thirds of the time
/// of twenty statements.
const ROWS: usize = 20;

/// Inserts new samples of a stream.
pub(crate) fn insert(db: &Connection, stream: i64, samples: &[&Sample], commit: i64) -> StoreResult<()> {
    let (many, rest) = samples.split_at(samples.len() - samples.len() % ROWS);
    for (rows, samples) in [(ROWS, many), (1, rest)] {
        if samples.is_empty() {
            continue;
        }
        let mut insert = db.prepare_cached(&format!(
            "INSERT INTO observations
             (stream_id, instant, value, utc_offset, revision, activity_context, details, commit_number)
             VALUES {}",
            vec!["(?, ?, ?, ?, 0, ?, ?, ?)"; rows].join(", ")
        ))?;
        for samples in samples.chunks(rows) {
            let mut place = 0;
            for Sample { instant, value, zone, context, details } in samples {
                for column in params![stream, instant, value, zone, context, details, commit] {
                    place += 1;
                    insert.raw_bind_parameter(place, column)?;
                }
            }
            insert.raw_execute()?;
            failpoint::at("change.placed");
        }
    }
    samples.iter().try_for_each(|sample| event::insert_id(db, stream, sample))
}

/// Writes a change of a stored sample. A value that is replaced and is not exported is marked as certainly not
/// delivered.
pub(crate) fn update(
    db: &Connection,
    stream: i64,
    change: &Change,
    is_exported: bool,
    commit: i64,
    now: Timestamp,
) -> StoreResult<()> {
    let (Change::New(sample) | Change::Revised(sample) | Change::Relocated(sample)) = change;
    let Sample { instant, value, zone, context, ref details } = *sample;
    let row = params![stream, instant, value, zone, context, details, commit];
    match change {
        Change::New(_) => {}
        Change::Revised(_) => {
            let insert = "INSERT INTO revisions (stream_id, instant, revision, value, utc_offset, details,
                                                 replaced_at, undelivered, commit_number)
                 SELECT stream_id, instant, revision, value, utc_offset, details, ?3, ?4, ?5 FROM observations
                 WHERE stream_id = ?1 AND instant = ?2";
            db.prepare_cached(insert)?.execute(params![stream, instant, now, !is_exported, commit])?;
            failpoint::at("change.replaced");
            let update = "UPDATE observations SET value = ?3, utc_offset = ?4, activity_context = ?5,
                     details = ?6, revision = revision + 1, commit_number = ?7
                 WHERE stream_id = ?1 AND instant = ?2";
            db.prepare_cached(update)?.execute(row)?;
            failpoint::at("change.revised");
        }
        Change::Relocated(_) => {
            let update = "UPDATE observations SET utc_offset = ?4, activity_context = ?5, details = ?6,
                     commit_number = ?7
                 WHERE stream_id = ?1 AND instant = ?2";
            db.prepare_cached(update)?.execute(row)?;
        }
    }
    Ok(())
}

/// Returns true if JHE gets this change. A new sample that the other ingest mode delivers is recorded as excluded.
pub(crate) fn admit(db: &Connection, gate: ModeGate, stream: i64, change: &Change) -> StoreResult<bool> {
    match change {
        Change::New(sample) => one_of_two_modes::admit(db, gate, stream, sample.instant),
        Change::Revised(sample) => Ok(!one_of_two_modes::is_excluded(db, stream, sample.instant)?),
        Change::Relocated(_) => Ok(true),
    }
}

/// Inserts a change into the outbox, in the transaction that stores it.
pub(crate) fn enqueue(
    db: &Connection,
    target: ExportTarget,
    stream: i64,
    change: &Change,
    now: Timestamp,
) -> StoreResult<()> {
    match change {
        Change::New(sample) => {
            let Sample { instant, value, zone, context, details } = sample.clone();
            let first = Observation { instant, value, zone, revision: 0, context, details };
            enqueue::insert_first(db, target, stream, &first, now)
        }
        Change::Revised(sample) => enqueue::insert_revision(db, target, stream, sample.instant, now),
        Change::Relocated(_) => Ok(()),
    }
}
