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
    now: Timestamp,
) -> Result<(), StoreError> {
    match change {
        Change::New(sample) => {
            let Sample { instant, value, zone, context, ref particulars } = *sample;
            db.prepare_cached(
                "INSERT INTO observation (stream, instant, value, zone, revision, context, particulars)
                 VALUES (?, ?, ?, ?, 0, ?, ?)",
            )?
            .execute(params![stream, instant, value, zone, context, particulars])?;
            failpoint::at("change.placed");
            event::place(db, stream, sample)
        }
        Change::Revised { sample, .. } => {
            let Sample { instant, value, zone, context, ref particulars } = *sample;
            db.prepare_cached(
                "INSERT INTO revision (stream, instant, revision, value, zone, particulars, replaced_at, unsent)
                 SELECT stream, instant, revision, value, zone, particulars, ?3, ?4 FROM observation
                 WHERE stream = ?1 AND instant = ?2",
            )?
            .execute(params![stream, instant, now, !is_exported])?;
            failpoint::at("change.replaced");
            db.prepare_cached(
                "UPDATE observation SET value = ?3, zone = ?4, context = ?5, particulars = ?6, revision = revision + 1
                 WHERE stream = ?1 AND instant = ?2",
            )?
            .execute(params![stream, instant, value, zone, context, particulars])?;
            failpoint::at("change.revised");
            Ok(())
        }
        Change::Placed(sample) => {
            db.prepare_cached(
                "UPDATE observation SET zone = ?3, context = ?4, particulars = ?5 WHERE stream = ?1 AND instant = ?2",
            )?
            .execute(params![stream, sample.instant, sample.zone, sample.context, sample.particulars])?;
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
