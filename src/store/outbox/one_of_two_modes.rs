//! Both modes may bring one sample: JHE gets at most one observation of a patient, a code, an instant and a provider.
//!
//! Of two such observations the one that is not exported has a row in `export_exclusions`, inserted in its transaction.
//! Which of the two goes is decided by a setting; what has been sent, or may have been, stays decided.

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::config::settings::IngestMode;
use crate::model::stream_key::{Owner, StreamKey};
use crate::store::engine::setting;
use crate::store::error::StoreError;
use crate::store::outbox::enqueue;

/// Whether the other system has an observation of the same sample that is for JHE. `own` is the stream, `at` the
/// instant.
const HAS_TWIN: &str = "EXISTS (
    SELECT 1 FROM streams AS other JOIN observations AS twin ON twin.stream_id = other.id AND twin.instant = at
    WHERE other.patient_id = own.patient_id AND other.code_id = own.code_id AND other.series_type = own.series_type
      AND other.provider = own.provider AND other.daily_total = own.daily_total AND other.system <> own.system
      AND other.entered_in_error = 0
      AND NOT EXISTS (SELECT 1 FROM export_exclusions AS out WHERE out.stream_id = twin.stream_id
      AND out.instant = twin.instant))";

/// What has to be looked at before an observation is queued.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    /// Whether the system is the one that goes to JHE.
    is_sent: bool,
}

/// The system whose observations go to JHE, as the settings say now.
///
/// # Errors
/// Where they cannot be read.
pub fn exported(db: &Connection) -> Result<&'static str, StoreError> {
    Ok(setting::all(db)?.export_system())
}

/// What has to be looked at for a stream; none where only one system has ever brought anything, which is the one
/// that goes to JHE.
pub(crate) fn gate(
    db: &Connection,
    owner: &Owner,
    key: &StreamKey,
    code: i64,
) -> Result<Option<Gate>, StoreError> {
    // What the outbox stands for, until it is put right: what is kept meanwhile is then moved with the rest.
    let system = settled(db)?.map_or_else(|| exported(db).map(str::to_owned), Ok)?;
    let is_sent = system == owner.system;
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM streams WHERE patient_id = ? AND code_id = ? AND provider = ? AND system <> ?)",
    )?;
    let has_other: bool =
        query.query_row(params![owner.patient, code, key.provider, owner.system], |row| row.get(0))?;
    Ok((has_other || !is_sent).then_some(Gate { is_sent }))
}

/// Whether a new observation is for JHE; notes where it is not.
pub(crate) fn admits(
    db: &Connection,
    gate: Gate,
    stream: i64,
    instant: Timestamp,
) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT {HAS_TWIN} FROM (SELECT streams.*, ?2 AS at FROM streams WHERE id = ?1) AS own"
    ))?;
    let is_left_out = !gate.is_sent || query.query_row(params![stream, instant], |row| row.get(0))?;
    if is_left_out {
        db.prepare_cached(
            "INSERT INTO export_exclusions (stream_id, instant) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )?
        .execute(params![stream, instant])?;
    }
    Ok(!is_left_out)
}

/// Whether an observation is not for JHE.
pub(crate) fn is_left_out(db: &Connection, stream: i64, instant: Timestamp) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM export_exclusions WHERE stream_id = ? AND instant = ?)",
    )?;
    Ok(query.query_row(params![stream, instant], |row| row.get(0))?)
}

/// Whether the outbox stands as another system's than the settings say.
///
/// # Errors
/// Where the tables cannot be read.
pub fn is_to_settle(db: &Connection) -> Result<bool, StoreError> {
    Ok(settled(db)?.as_deref() != Some(exported(db)?))
}

/// The system that the outbox was last put right for.
fn settled(db: &Connection) -> Result<Option<String>, StoreError> {
    let mut query = db.prepare_cached("SELECT system FROM applied_export_system")?;
    Ok(query.query_row([], |row| row.get(0)).optional()?)
}

/// How far the outbox has been put right after the system that goes to JHE has changed. It is done in steps, a
/// transaction each, so that ticks can write between them: what they keep meanwhile follows the setting already.
#[derive(Debug)]
pub struct Settling {
    system: &'static str,
    stage: Stage,
    /// The last stream and instant that were looked at in the stage.
    after: (i64, Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begin,
    /// What waits of the other system gives way.
    GiveWay,
    /// What was left out of this one is queued.
    Admit,
}

/// The rows that one step looks at: some tens of milliseconds.
const STEP: u32 = 2000;
/// Before every stream.
const FIRST: (i64, Timestamp) = (0, Timestamp::MIN);

impl Settling {
    /// Nothing done yet.
    ///
    /// # Errors
    /// Where the settings cannot be read.
    pub fn begin(db: &Connection) -> Result<Self, StoreError> {
        Ok(Self { system: exported(db)?, stage: Stage::Begin, after: FIRST })
    }

    /// Takes a step; answers what is left, or none. What waits of the other system, has surely not arrived, and is
    /// here from this one too, gives way; what was left out of this one is queued, where JHE has not got the other's
    /// and gets it no more. A setting that is changed meanwhile begins anew.
    ///
    /// # Errors
    /// Where the tables cannot be written.
    pub fn step(mut self, db: &Connection, now: Timestamp) -> Result<Option<Self>, StoreError> {
        if self.system != exported(db)? {
            self = Self::begin(db)?;
        }
        let next = match self.stage {
            Stage::Begin if !is_to_settle(db)? => return Ok(None),
            Stage::Begin => {
                // Until the last step the outbox stands for no system: whoever is killed in the middle begins again.
                db.execute("DELETE FROM applied_export_system", [])?;
                None
            }
            Stage::GiveWay => {
                let until = end_of_step(db, "outbox", self.after)?;
                self.give_way(db, until)?;
                until
            }
            Stage::Admit => {
                let until = end_of_step(db, "export_exclusions", self.after)?;
                self.admit(db, until, now)?;
                until
            }
        };
        self.after = next.unwrap_or(FIRST);
        self.stage = match (self.stage, next) {
            (Stage::Begin, _) => Stage::GiveWay,
            (stage, Some(_)) => stage,
            (Stage::GiveWay, None) => Stage::Admit,
            (Stage::Admit, None) => {
                db.execute(
                    "INSERT INTO applied_export_system (id, system) VALUES (1, ?)
                     ON CONFLICT DO UPDATE SET system = excluded.system",
                    [self.system],
                )?;
                return Ok(None);
            }
        };
        Ok(Some(self))
    }

    fn give_way(&self, db: &Connection, until: Option<(i64, Timestamp)>) -> Result<(), StoreError> {
        let (from, until) = (self.after, until.unwrap_or((i64::MAX, Timestamp::MAX)));
        let range = params![self.system, from.0, from.1, until.0, until.1];
        db.prepare_cached(
            "INSERT INTO export_exclusions (stream_id, instant)
             SELECT outbox.stream_id, outbox.instant FROM outbox JOIN streams ON streams.id = outbox.stream_id
             WHERE (outbox.stream_id, outbox.instant) > (?2, ?3) AND (outbox.stream_id, outbox.instant) <= (?4, ?5)
               AND system <> ?1 AND EXISTS
                 (SELECT 1 FROM streams AS other JOIN observations AS twin ON twin.stream_id = other.id
                  WHERE other.patient_id = streams.patient_id AND other.code_id = streams.code_id
                  AND other.series_type = streams.series_type
                    AND other.provider = streams.provider AND other.daily_total = streams.daily_total
                    AND other.system = ?1 AND other.entered_in_error = 0 AND twin.instant = outbox.instant)
             GROUP BY outbox.stream_id, outbox.instant
             HAVING max(ambiguous) = 0 AND max(requeued) = 0 AND NOT EXISTS
                 (SELECT 1 FROM revisions WHERE revisions.stream_id = outbox.stream_id
                 AND revisions.instant = outbox.instant
                  AND undelivered <> 1)
             ON CONFLICT DO NOTHING",
        )?
        .execute(range)?;
        db.prepare_cached(
            "DELETE FROM outbox WHERE (stream_id, instant) > (?2, ?3) AND (stream_id, instant) <= (?4, ?5)
               AND ambiguous = 0 AND requeued = 0 AND EXISTS
                 (SELECT 1 FROM export_exclusions JOIN streams ON streams.id = export_exclusions.stream_id
                 AND system <> ?1
                  WHERE export_exclusions.stream_id = outbox.stream_id
                  AND export_exclusions.instant = outbox.instant)",
        )?
        .execute(range)?;
        Ok(())
    }

    fn admit(
        &self,
        db: &Connection,
        until: Option<(i64, Timestamp)>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (from, until) = (self.after, until.unwrap_or((i64::MAX, Timestamp::MAX)));
        let mut query = db.prepare_cached(&format!(
            "SELECT own.id, at
             FROM (SELECT export_exclusions.instant AS at, streams.* FROM export_exclusions
             JOIN streams ON streams.id = export_exclusions.stream_id
                   WHERE system = ?1 AND (export_exclusions.stream_id, export_exclusions.instant) > (?2, ?3)
                     AND (export_exclusions.stream_id, export_exclusions.instant) <= (?4, ?5)) AS own
             WHERE NOT {HAS_TWIN}"
        ))?;
        let range = params![self.system, from.0, from.1, until.0, until.1];
        let admitted: Vec<(i64, Timestamp)> =
            query.query_map(range, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let mut admit =
            db.prepare_cached("DELETE FROM export_exclusions WHERE stream_id = ? AND instant = ?")?;
        for (stream, instant) in admitted {
            admit.execute(params![stream, instant])?;
            enqueue::after_all(db, stream, instant, now)?;
        }
        Ok(())
    }
}

/// The last row of a step that begins after a row of a table; none where the table ends in it.
fn end_of_step(
    db: &Connection,
    table: &str,
    after: (i64, Timestamp),
) -> Result<Option<(i64, Timestamp)>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT stream_id, instant FROM {table} WHERE (stream_id, instant) > (?, ?) ORDER BY stream_id, instant
         LIMIT 1 OFFSET ?"
    ))?;
    let row = query.query_row(params![after.0, after.1, STEP - 1], |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(row.optional()?)
}

/// Whether a patient has observations of both systems.
///
/// # Errors
/// Where the table cannot be read.
pub fn has_both(db: &Connection, patient: crate::model::patient::PatientId) -> Result<bool, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT count(DISTINCT system) > 1 FROM streams WHERE patient_id = ? AND entered_in_error = 0",
    )?;
    Ok(query.query_row([patient], |row| row.get(0))?)
}

/// How many patients have observations of both systems.
///
/// # Errors
/// Where the table cannot be read.
pub fn with_both(db: &Connection) -> Result<i64, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM (SELECT DISTINCT patient_id FROM streams WHERE system = ?1
         AND entered_in_error = 0) AS one
         WHERE EXISTS (SELECT 1 FROM streams WHERE system = ?2 AND patient_id = one.patient_id
         AND entered_in_error = 0)",
    )?;
    let systems = [IngestMode::Raw.system(), IngestMode::Normalized.system()];
    Ok(query.query_row(systems, |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    const SAMPLES: u32 = STEP + STEP / 2;

    /// Every sample of one patient from both systems; those of the API wait for JHE, those of the bucket are left out,
    /// and now they are to go.
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

    fn settle(db: &Connection) -> u32 {
        let (mut settling, mut steps) = (Some(Settling::begin(db).unwrap()), 0);
        while let Some(step) = settling {
            let before = db.total_changes();
            settling = step.step(db, Timestamp::MIN).unwrap();
            // Three tables are written, and a count of the outbox by a trigger.
            assert!(db.total_changes() - before <= u64::from(STEP) * 4, "a step is a short transaction");
            steps += 1;
        }
        steps
    }

    #[test]
    fn the_outbox_is_put_right_in_steps() {
        let db = switched();
        assert!(settle(&db) >= 5);
        assert!(!is_to_settle(&db).unwrap());
        assert_eq!((count(&db, "outbox", 1), count(&db, "outbox", 2)), (0, SAMPLES));
        assert_eq!((count(&db, "export_exclusions", 1), count(&db, "export_exclusions", 2)), (SAMPLES, 0));
    }

    #[test]
    fn whoever_is_killed_in_the_middle_or_switches_back_then_loses_nothing() {
        for mode in ["raw", "normalized"] {
            for steps in 1..5 {
                let db = switched();
                let mut settling = Settling::begin(&db).unwrap();
                for _ in 0..steps {
                    settling = settling.step(&db, Timestamp::MIN).unwrap().unwrap();
                }
                db.execute("UPDATE settings SET value = ?", [mode]).unwrap();
                assert!(is_to_settle(&db).unwrap());
                settle(&db);
                let waiting = count(&db, "outbox", 1) + count(&db, "outbox", 2);
                assert_eq!(waiting, SAMPLES, "{mode} after {steps} steps");
            }
        }
    }
}
