//! One change, written: to what is kept, and to what JHE is to get.

use rusqlite::{Connection, params};

use super::merge::{Change, Sample};
use super::observation::Observation;
use super::queue::{self, Target};
use super::twin::{self, Gate};
use super::{StoreError, event};
use crate::failpoint;
use crate::time::Timestamp;

/// Writes one change. What is not for JHE, and is replaced, JHE has surely not got.
pub(super) fn write(
    db: &Connection,
    stream: i64,
    change: &Change,
    is_exported: bool,
    commit: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    match change {
        Change::New(sample) => {
            let Sample { instant, value, zone, context, ref particulars } = *sample;
            db.prepare_cached(
                "INSERT INTO observations (stream_id, instant, value, utc_offset, revision, activity_context, details,
                                           commit_number)
                 VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
            )?
            .execute(params![stream, instant, value, zone, context, particulars, commit])?;
            failpoint::at("change.placed");
            event::place(db, stream, sample)
        }
        Change::Revised { sample, .. } => {
            let Sample { instant, value, zone, context, ref particulars } = *sample;
            db.prepare_cached(
                "INSERT INTO revisions (stream_id, instant, revision, value, utc_offset, details, replaced_at,
                 undelivered,
                                        commit_number)
                 SELECT stream_id, instant, revision, value, utc_offset, details, ?3, ?4, ?5 FROM observations
                 WHERE stream_id = ?1 AND instant = ?2",
            )?
            .execute(params![stream, instant, now, !is_exported, commit])?;
            failpoint::at("change.replaced");
            db.prepare_cached(
                "UPDATE observations SET value = ?3, utc_offset = ?4, activity_context = ?5, details = ?6,
                 revision = revision + 1,
                                         commit_number = ?7
                 WHERE stream_id = ?1 AND instant = ?2",
            )?
            .execute(params![stream, instant, value, zone, context, particulars, commit])?;
            failpoint::at("change.revised");
            Ok(())
        }
        Change::Placed(sample) => {
            db.prepare_cached(
                "UPDATE observations SET utc_offset = ?3, activity_context = ?4, details = ?5, commit_number = ?6
                 WHERE stream_id = ?1 AND instant = ?2",
            )?
            .execute(params![
                stream,
                sample.instant,
                sample.zone,
                sample.context,
                sample.particulars,
                commit
            ])?;
            Ok(())
        }
    }
}

/// Whether a change is for JHE where the other system may have brought the same sample.
pub(super) fn goes(db: &Connection, gate: Gate, stream: i64, change: &Change) -> Result<bool, StoreError> {
    match change {
        Change::New(sample) => twin::admits(db, gate, stream, sample.instant),
        Change::Revised { sample, .. } => Ok(!twin::is_left_out(db, stream, sample.instant)?),
        Change::Placed(_) => Ok(true),
    }
}

/// Queues what is new for JHE, in the transaction that keeps it.
pub(super) fn export(
    db: &Connection,
    target: Target,
    stream: i64,
    change: &Change,
    now: Timestamp,
) -> Result<(), StoreError> {
    match change {
        Change::New(sample) => {
            let Sample { instant, value, zone, context, particulars } = sample.clone();
            let first = Observation { instant, value, zone, revision: 0, context, particulars };
            queue::first(db, target, stream, &first, now)
        }
        Change::Revised { sample, .. } => queue::changed(db, target, stream, sample.instant, now),
        Change::Placed(_) => Ok(()),
    }
}
