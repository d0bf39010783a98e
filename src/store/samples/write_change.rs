//! Writes one change of a sample: to the observations and revisions, and to the outbox.

use rusqlite::{CachedStatement, Connection, params};

use crate::common::{failpoint, time::Timestamp};
use crate::model::{observation::Observation, sample::Sample};
use crate::store::error::StoreResult;
use crate::store::outbox::enqueue::{self, ExportTarget};
use crate::store::outbox::one_of_two_modes::{self, ModeGate};
use crate::store::samples::{event, merge::Change};

/// Prepares the statement that inserts an observation.
pub(crate) fn prepare_insert(db: &Connection) -> StoreResult<CachedStatement<'_>> {
    Ok(db.prepare_cached(
        "INSERT INTO observations
         (stream_id, instant, value, utc_offset, revision, activity_context, details, commit_number)
         VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
    )?)
}

/// Writes a change. A value that is replaced and is not exported is marked as certainly not delivered. `insert` is
/// prepared once for many samples: to find it in the cache again costs a tenth of an insert.
pub(crate) fn write(
    db: &Connection,
    insert: &mut CachedStatement<'_>,
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
        Change::New(_) => {
            insert.execute(row)?;
            failpoint::at("change.placed");
            event::insert_id(db, stream, sample)?;
        }
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
