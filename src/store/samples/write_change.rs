//! One change, written: to what is kept, and to what JHE is to get.

use rusqlite::{Connection, params};

use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::model::observation::Observation;
use crate::model::sample::Sample;
use crate::store::error::StoreError;
use crate::store::outbox::enqueue::Target;
use crate::store::outbox::one_of_two_modes::Gate;
use crate::store::outbox::{enqueue, one_of_two_modes};
use crate::store::samples::event;
use crate::store::samples::merge::Change;

/// Writes one change. What is not for JHE, and is replaced, JHE has surely not got.
pub(crate) fn write(
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
pub(crate) fn goes(db: &Connection, gate: Gate, stream: i64, change: &Change) -> Result<bool, StoreError> {
    match change {
        Change::New(sample) => one_of_two_modes::admits(db, gate, stream, sample.instant),
        Change::Revised { sample, .. } => Ok(!one_of_two_modes::is_left_out(db, stream, sample.instant)?),
        Change::Placed(_) => Ok(true),
    }
}

/// Queues what is new for JHE, in the transaction that keeps it.
pub(crate) fn export(
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
            enqueue::first(db, target, stream, &first, now)
        }
        Change::Revised { sample, .. } => enqueue::changed(db, target, stream, sample.instant, now),
        Change::Placed(_) => Ok(()),
    }
}
