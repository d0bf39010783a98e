//! JHE gets at most one observation per patient, code, instant and provider, although both ingest modes may
//! bring one.
//!
//! The one of the two that is not exported has a row in `export_exclusions`, inserted in its
//! transaction. A setting decides which of the two is exported. One that was sent, or may have been, stays
//! the exported one.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::config::settings::IngestMode;
use crate::model::patient::PatientId;
use crate::model::stream_key::{StreamKey, StreamOwner};
use crate::store::{engine::setting, error::StoreResult, outbox::enqueue};

/// SQL condition: the other mode has an observation of the same sample that is not excluded. `own` is the
/// stream and `at` the instant.
const HAS_COUNTERPART: &str = "EXISTS (
    SELECT 1 FROM streams AS other
    JOIN observations AS theirs ON theirs.stream_id = other.id AND theirs.instant = at
    WHERE other.patient_id = own.patient_id AND other.code_id = own.code_id
      AND other.series_type = own.series_type AND other.provider = own.provider
      AND other.daily_total = own.daily_total AND other.system <> own.system AND other.entered_in_error = 0
      AND NOT EXISTS (SELECT 1 FROM export_exclusions AS out
                      WHERE out.stream_id = theirs.stream_id AND out.instant = theirs.instant))";

/// The check that a stream's observations need before they are enqueued.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModeGate {
    /// True if the stream's system is the exported one.
    is_sent: bool,
}

/// Returns the system whose observations go to JHE, according to the settings.
pub fn find_export_system(db: &Connection) -> StoreResult<&'static str> {
    Ok(setting::read_all(db)?.export_system())
}

/// Returns the gate of a stream; none if only one system has ever brought this data and it is the exported
/// one.
pub(crate) fn find_gate(
    db: &Connection,
    owner: &StreamOwner,
    key: &StreamKey,
    code: i64,
) -> StoreResult<Option<ModeGate>> {
    // A changed setting counts only once the switch has begun: it then moves the rows enqueued before, too.
    let system = find_applied_system(db)?.map_or_else(|| find_export_system(db).map(str::to_owned), Ok)?;
    let is_sent = system == owner.system;
    let select = "SELECT EXISTS (SELECT 1 FROM streams WHERE patient_id = ? AND code_id = ? AND provider = ?
         AND system <> ?)";
    let mut query = db.prepare_cached(select)?;
    let has_other: bool =
        query.query_row(params![owner.patient, code, key.provider, owner.system], |row| row.get(0))?;
    Ok((has_other || !is_sent).then_some(ModeGate { is_sent }))
}

/// Returns true if a new observation goes to JHE, and excludes it otherwise.
pub(crate) fn admit(db: &Connection, gate: ModeGate, stream: i64, instant: Timestamp) -> StoreResult<bool> {
    let excluded = !gate.is_sent || has_counterpart(db, stream, instant)?;
    if excluded {
        let insert =
            "INSERT INTO export_exclusions (stream_id, instant) VALUES (?, ?) ON CONFLICT DO NOTHING";
        db.prepare_cached(insert)?.execute(params![stream, instant])?;
    }
    Ok(!excluded)
}

fn has_counterpart(db: &Connection, stream: i64, instant: Timestamp) -> StoreResult<bool> {
    let select = format!(
        "SELECT {HAS_COUNTERPART} FROM (SELECT streams.*, ?2 AS at FROM streams WHERE id = ?1) AS own"
    );
    Ok(db.prepare_cached(&select)?.query_row(params![stream, instant], |row| row.get(0))?)
}

pub(crate) fn is_excluded(db: &Connection, stream: i64, instant: Timestamp) -> StoreResult<bool> {
    let select = "SELECT EXISTS (SELECT 1 FROM export_exclusions WHERE stream_id = ? AND instant = ?)";
    Ok(db.prepare_cached(select)?.query_row(params![stream, instant], |row| row.get(0))?)
}

/// Returns true if the outbox holds the observations of another system than the settings say.
pub fn needs_switch(db: &Connection) -> StoreResult<bool> {
    Ok(find_applied_system(db)?.as_deref() != Some(find_export_system(db)?))
}

/// Returns the system that the outbox was last adapted to; none during a switch.
fn find_applied_system(db: &Connection) -> StoreResult<Option<String>> {
    let mut query = db.prepare_cached("SELECT system FROM applied_export_system")?;
    Ok(query.query_row([], |row| row.get(0)).optional()?)
}

/// A switch of the outbox to another export system, in progress. Each step is one transaction, so that ticks
/// can write in between; what they store follows the setting already.
#[derive(Debug)]
pub struct SwitchExportMode {
    system: &'static str,
    stage: SwitchStage,
    /// Stream and instant of the last row that the stage has handled.
    after: (i64, Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SwitchStage {
    Begin,
    /// Pending rows of the other system are excluded.
    Exclude,
    /// Excluded observations of this system are enqueued.
    Admit,
}

/// Rows of one step: some tens of milliseconds.
const STEP: u32 = 2000;
const START: (i64, Timestamp) = (0, Timestamp::MIN);

impl SwitchExportMode {
    pub fn begin(db: &Connection) -> StoreResult<Self> {
        Ok(Self { system: find_export_system(db)?, stage: SwitchStage::Begin, after: START })
    }

    /// Takes a step; returns none after the last one. Pending rows of the other system that have certainly
    /// not arrived are excluded if this system has the same sample. Excluded observations of this system are
    /// enqueued unless JHE has, or will get, the other system's. If the setting changes in between, the
    /// switch starts again.
    pub fn step(mut self, db: &Connection, now: Timestamp) -> StoreResult<Option<Self>> {
        if self.system != find_export_system(db)? {
            self = Self::begin(db)?;
        }
        let next = match self.stage {
            SwitchStage::Begin if !needs_switch(db)? => return Ok(None),
            SwitchStage::Begin => {
                // Without a row the switch starts again if the process is killed in between.
                db.execute("DELETE FROM applied_export_system", [])?;
                None
            }
            SwitchStage::Exclude => {
                let until = end_of_step(db, "outbox", self.after)?;
                self.exclude(db, until)?;
                until
            }
            SwitchStage::Admit => {
                let until = end_of_step(db, "export_exclusions", self.after)?;
                self.admit(db, until, now)?;
                until
            }
        };
        self.after = next.unwrap_or(START);
        self.stage = match (self.stage, next) {
            (SwitchStage::Begin, _) => SwitchStage::Exclude,
            (stage, Some(_)) => stage,
            (SwitchStage::Exclude, None) => SwitchStage::Admit,
            (SwitchStage::Admit, None) => {
                let insert = "INSERT INTO applied_export_system (id, system) VALUES (1, ?)
                     ON CONFLICT DO UPDATE SET system = excluded.system";
                db.execute(insert, [self.system])?;
                return Ok(None);
            }
        };
        Ok(Some(self))
    }

    fn exclude(&self, db: &Connection, until: Option<(i64, Timestamp)>) -> StoreResult<()> {
        let (from, until) = (self.after, until.unwrap_or((i64::MAX, Timestamp::MAX)));
        let range = params![self.system, from.0, from.1, until.0, until.1];
        // HAVING leaves out what JHE has, or may have: that stays the exported observation.
        let insert = "INSERT INTO export_exclusions (stream_id, instant)
             SELECT outbox.stream_id, outbox.instant FROM outbox JOIN streams ON streams.id = outbox.stream_id
             WHERE (outbox.stream_id, outbox.instant) > (?2, ?3)
               AND (outbox.stream_id, outbox.instant) <= (?4, ?5) AND system <> ?1 AND EXISTS
                 (SELECT 1 FROM streams AS other JOIN observations AS theirs ON theirs.stream_id = other.id
                  WHERE other.patient_id = streams.patient_id AND other.code_id = streams.code_id
                    AND other.series_type = streams.series_type AND other.provider = streams.provider
                    AND other.daily_total = streams.daily_total AND other.system = ?1
                    AND other.entered_in_error = 0 AND theirs.instant = outbox.instant)
             GROUP BY outbox.stream_id, outbox.instant
             HAVING max(ambiguous) = 0 AND max(requeued) = 0 AND NOT EXISTS
                 (SELECT 1 FROM revisions WHERE revisions.stream_id = outbox.stream_id
                    AND revisions.instant = outbox.instant AND undelivered <> 1)
             ON CONFLICT DO NOTHING";
        db.prepare_cached(insert)?.execute(range)?;
        let delete =
            "DELETE FROM outbox WHERE (stream_id, instant) > (?2, ?3) AND (stream_id, instant) <= (?4, ?5)
               AND ambiguous = 0 AND requeued = 0 AND EXISTS
                 (SELECT 1 FROM export_exclusions JOIN streams ON streams.id = export_exclusions.stream_id
                    AND system <> ?1
                  WHERE export_exclusions.stream_id = outbox.stream_id
                    AND export_exclusions.instant = outbox.instant)";
        db.prepare_cached(delete)?.execute(range)?;
        Ok(())
    }

    fn admit(&self, db: &Connection, until: Option<(i64, Timestamp)>, now: Timestamp) -> StoreResult<()> {
        let (from, until) = (self.after, until.unwrap_or((i64::MAX, Timestamp::MAX)));
        let select = format!(
            "SELECT own.id, at
             FROM (SELECT export_exclusions.instant AS at, streams.* FROM export_exclusions
                   JOIN streams ON streams.id = export_exclusions.stream_id
                   WHERE system = ?1 AND (export_exclusions.stream_id, export_exclusions.instant) > (?2, ?3)
                     AND (export_exclusions.stream_id, export_exclusions.instant) <= (?4, ?5)) AS own
             WHERE NOT {HAS_COUNTERPART}"
        );
        let mut query = db.prepare_cached(&select)?;
        let range = params![self.system, from.0, from.1, until.0, until.1];
        let admitted: Vec<(i64, Timestamp)> =
            query.query_map(range, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let mut admit =
            db.prepare_cached("DELETE FROM export_exclusions WHERE stream_id = ? AND instant = ?")?;
        for (stream, instant) in admitted {
            admit.execute(params![stream, instant])?;
            enqueue::insert_admitted(db, stream, instant, now)?;
        }
        Ok(())
    }
}

/// Returns the last row of the step that begins after a row; none if the table ends within the step.
fn end_of_step(
    db: &Connection,
    table: &str,
    after: (i64, Timestamp),
) -> StoreResult<Option<(i64, Timestamp)>> {
    let select = format!(
        "SELECT stream_id, instant FROM {table}
         WHERE (stream_id, instant) > (?, ?) ORDER BY stream_id, instant
         LIMIT 1 OFFSET ?"
    );
    let mut query = db.prepare_cached(&select)?;
    let row = query.query_row(params![after.0, after.1, STEP - 1], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(row.optional()?)
}

/// Returns true if a patient has observations of both systems.
pub fn has_both_systems(db: &Connection, patient: PatientId) -> StoreResult<bool> {
    let mut query = db.prepare_cached(
        "SELECT count(DISTINCT system) > 1 FROM streams WHERE patient_id = ? AND entered_in_error = 0",
    )?;
    Ok(query.query_row([patient], |row| row.get(0))?)
}

/// Counts the patients with observations of both systems.
pub fn count_with_both_systems(db: &Connection) -> StoreResult<i64> {
    let select = "SELECT count(*) FROM (SELECT DISTINCT patient_id FROM streams WHERE system = ?1
         AND entered_in_error = 0) AS one
         WHERE EXISTS (SELECT 1 FROM streams WHERE system = ?2 AND patient_id = one.patient_id
         AND entered_in_error = 0)";
    let mut query = db.prepare_cached(select)?;
    let systems = [IngestMode::Raw.system(), IngestMode::Normalized.system()];
    Ok(query.query_row(systems, |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    const SAMPLES: u32 = STEP + STEP / 2;

    /// A patient with each sample from both systems. The API's are pending, the bucket's excluded, and the
    /// setting was just changed to the bucket.
    fn switched() -> Connection {
        let db = in_memory();
        crate::store::samples::code::seed(&db).unwrap();
        db.execute_batch(&format!(
            "INSERT INTO patients (id, name, time_zone, created_at, jhe_patient_id, external_id)
             VALUES (1, 'A', 'UTC', 0, 40001, 'x');
             WITH one (value) AS (VALUES (1), (2))
             INSERT INTO streams (id, patient_id, subject, system, series_type, provider, source, device,
             daily_total, code_id,
                                 converter_version, newest_instant)
             SELECT value, 1, 's', iif(value = 1, 'ow:normalized', 'ow:raw'), 'heart_rate', 'oura', '', '', 0,
                    (SELECT id FROM codes WHERE code = 'omh:heart-rate:2.0'), 1, 0 FROM one;
             WITH RECURSIVE at (instant) AS (VALUES (1) UNION ALL SELECT instant + 1 FROM at
             WHERE instant < {SAMPLES})
             INSERT INTO observations (stream_id, instant, value, revision, commit_number)
             SELECT streams.id, instant, 60.0, 0, 1 FROM at, streams;
             INSERT INTO outbox (stream_id, instant, revision, value, state, due_at, first_due_at)
             SELECT 1, instant, 0, value, 'pending', 0, 0 FROM observations WHERE stream_id = 1;
             INSERT INTO export_exclusions (stream_id, instant) SELECT 2, instant FROM observations
             WHERE stream_id = 2;
             INSERT INTO applied_export_system (id, system) VALUES (1, 'ow:normalized');
             INSERT INTO settings (key, value) VALUES ('ow.ingest_mode', 'raw');"
        ))
        .unwrap();
        db
    }

    fn count(db: &Connection, table: &str, stream: i64) -> u32 {
        let count = format!("SELECT count(*) FROM {table} WHERE stream_id = ?");
        db.query_row(&count, [stream], |row| row.get(0)).unwrap()
    }

    fn finish_switch(db: &Connection) -> u32 {
        let (mut switch, mut steps) = (Some(SwitchExportMode::begin(db).unwrap()), 0);
        while let Some(step) = switch {
            let before = db.total_changes();
            switch = step.step(db, Timestamp::MIN).unwrap();
            // Three tables are written, and a count of the outbox by a trigger.
            assert!(db.total_changes() - before <= u64::from(STEP) * 4, "a step is a short transaction");
            steps += 1;
        }
        steps
    }

    #[test]
    fn the_export_mode_is_switched_in_short_steps() {
        let db = switched();
        assert!(finish_switch(&db) >= 5);
        assert!(!needs_switch(&db).unwrap());
        assert_eq!((count(&db, "outbox", 1), count(&db, "outbox", 2)), (0, SAMPLES));
        assert_eq!((count(&db, "export_exclusions", 1), count(&db, "export_exclusions", 2)), (SAMPLES, 0));
    }

    #[test]
    fn a_switch_that_is_killed_or_reversed_loses_no_row() {
        for mode in ["raw", "normalized"] {
            for steps in 1..5 {
                let db = switched();
                let mut switch = SwitchExportMode::begin(&db).unwrap();
                for _ in 0..steps {
                    switch = switch.step(&db, Timestamp::MIN).unwrap().unwrap();
                }
                db.execute("UPDATE settings SET value = ?", [mode]).unwrap();
                assert!(needs_switch(&db).unwrap());
                finish_switch(&db);
                let waiting = count(&db, "outbox", 1) + count(&db, "outbox", 2);
                assert_eq!(waiting, SAMPLES, "{mode} after {steps} steps");
            }
        }
    }
}
