//! What JHE has not acknowledged.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::common::failpoint;
use crate::common::time::Timestamp;
use crate::model::export_health::Exporting;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::outbox_counts::Counts;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::operations::hourly_counters;
use crate::store::operations::hourly_counters::Totals;
use crate::store::outbox::enqueue;
use crate::store::privacy::withdrawal;

/// An observation that waits to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// The row of its stream.
    pub stream: i64,
    /// What is to be sent.
    pub observation: Observation,
    /// How often it has had to be sent again.
    pub attempts: u32,
    /// Whether an earlier attempt may have arrived.
    pub ambiguous: bool,
}

/// For how long what was taken is not taken again, whatever becomes of the process: as long as JHE may take to
/// answer, and a quiet minute.
const LEASE: Duration = Duration::from_mins(2);
/// How much later than somebody looked what waits longest may have been put off, and still counts as put off.
const SLACK: Duration = Duration::from_hours(1);

/// What becomes of an observation that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// JHE has it.
    Done,
    /// JHE will not have it; the text says why.
    Dead(String),
    /// It waits until consent returns.
    Consent,
    /// It waits until somebody has mended what the text says, and is tried again then.
    Configuration(String, Timestamp),
    /// It was not sent after all.
    Unsent,
    /// It is sent again at this time; whether it has arrived may not be known.
    Again {
        /// When.
        due: Timestamp,
        /// Whether it may have arrived.
        ambiguous: bool,
        /// What went wrong.
        why: String,
    },
}

/// What of the outbox is to be sent at `?2`: of an instant the oldest row only, whose end the newer ones wait for. What
/// would wait for longer than anything does, was put off by a clock that was ahead; what was put off while somebody
/// thought about what is due, was not.
fn due() -> String {
    let longest = (enqueue::STILL_TOTAL + SLACK).as_micros();
    format!(
        "state IN ('pending', 'configuration') AND due_at NOT BETWEEN ?2 + 1 AND ?2 + {longest} AND NOT EXISTS
             (SELECT 1 FROM outbox AS older WHERE older.stream_id = outbox.stream_id
             AND older.instant = outbox.instant
              AND older.revision < outbox.revision)"
    )
}

/// The streams of JHE's patients that have something to send at `now`; only of `patient`, where one is given.
///
/// # Errors
/// Where the tables cannot be read.
pub fn ready(
    db: &Connection,
    patient: Option<PatientId>,
    now: Timestamp,
) -> Result<Vec<StreamInfo>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "{} WHERE jhe_patient_id IS NOT NULL AND entered_in_error = 0 AND (?1 IS NULL OR streams.patient_id = ?1)
           AND EXISTS (SELECT 1 FROM outbox WHERE outbox.stream_id = streams.id AND {})
         ORDER BY streams.patient_id, streams.id",
        crate::store::samples::observation::STREAMS,
        due()
    ))?;
    let streams =
        query.query_map(params![patient, now], crate::store::samples::observation::stream_from_row)?;
    Ok(streams.collect::<Result<_, _>>()?)
}

/// Takes what of a stream is to be sent at `now`, the oldest measurements first. Until it is settled, or for
/// [`LEASE`], it is not taken again: a process may die while JHE still works on what it sent.
///
/// # Errors
/// Where the table cannot be read or written.
pub fn take(db: &Connection, stream: i64, now: Timestamp, limit: usize) -> Result<Vec<Waiting>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT instant, value, utc_offset, revision, NULL, details, attempts, ambiguous FROM outbox
         WHERE stream_id = ?1 AND {} ORDER BY instant LIMIT ?3",
        due()
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![stream, now, limit], |row| {
        let observation = crate::store::samples::observation::from_row(row)?;
        Ok(Waiting { stream, observation, attempts: row.get(6)?, ambiguous: row.get(7)? })
    })?;
    let taken = rows.collect::<Result<Vec<Waiting>, _>>()?;
    let mut lease = db.prepare_cached(
        "UPDATE outbox SET due_at = ?4, ambiguous = 1 WHERE stream_id = ?1 AND instant = ?2 AND revision = ?3",
    )?;
    for one in &taken {
        let Observation { instant, revision, .. } = one.observation;
        lease.execute(params![stream, instant, revision, now.plus(LEASE)])?;
        failpoint::at("outbox.leased");
    }
    Ok(taken)
}

/// Notes what became of what was sent.
///
/// # Errors
/// Where the tables cannot be written.
pub fn settle(db: &Connection, settled: &[(Waiting, Verdict)], now: Timestamp) -> Result<(), StoreError> {
    let mut totals = Totals::default();
    for (waiting, verdict) in settled {
        match verdict {
            Verdict::Done => totals.delivered += 1,
            Verdict::Dead(_) => totals.dead += 1,
            Verdict::Consent | Verdict::Configuration(..) => totals.parked += 1,
            Verdict::Unsent | Verdict::Again { .. } => {}
        }
        settle_one(db, waiting, verdict, now)?;
    }
    hourly_counters::add(db, now, &totals)
}

fn settle_one(
    db: &Connection,
    waiting: &Waiting,
    verdict: &Verdict,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Waiting { stream, observation, .. } = waiting;
    let (state, due, ambiguous, detail) = match verdict {
        Verdict::Done => {
            db.prepare_cached("DELETE FROM outbox WHERE stream_id = ? AND instant = ? AND revision = ?")?
                .execute(params![stream, observation.instant, observation.revision])?;
            failpoint::at("outbox.done");
            return Ok(());
        }
        Verdict::Dead(why) => ("dead", None, false, why.as_str()),
        Verdict::Consent => ("consent", Some(now), false, ""),
        Verdict::Configuration(why, due) => ("configuration", Some(*due), false, why.as_str()),
        Verdict::Unsent => ("pending", Some(now), false, ""),
        Verdict::Again { due, ambiguous, why } => ("pending", Some(*due), *ambiguous, why.as_str()),
    };
    let ambiguous = ambiguous || waiting.ambiguous;
    db.prepare_cached(
        "UPDATE outbox SET state = ?4, due_at = coalesce(?5, due_at), ambiguous = ?6, reason = ?7,
                           attempts = attempts + ?8
         WHERE stream_id = ?1 AND instant = ?2 AND revision = ?3",
    )?
    .execute(params![
        stream,
        observation.instant,
        observation.revision,
        state,
        due,
        ambiguous,
        detail,
        matches!(verdict, Verdict::Again { .. })
    ])?;
    failpoint::at("outbox.again");
    enqueue::not_taken(db, *stream, observation.instant, now)
}

/// Parks what waits of a patient and a code until consent returns.
///
/// # Errors
/// Where the table cannot be written.
pub fn park(db: &Connection, patient: PatientId, code: &str) -> Result<(), StoreError> {
    move_of(db, patient, code, "state IN ('pending', 'configuration')", "consent", Timestamp::MIN)
}

/// Lets what waited for consent go on. What was not due yet when it was parked, is not before its time.
///
/// # Errors
/// Where the table cannot be written.
pub fn unpark(db: &Connection, patient: PatientId, code: &str, now: Timestamp) -> Result<(), StoreError> {
    move_of(db, patient, code, "state = 'consent'", "pending", now)
}

fn move_of(
    db: &Connection,
    patient: PatientId,
    code: &str,
    from: &str,
    to: &str,
    not_before: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached(&format!(
        "UPDATE outbox SET state = ?3, due_at = max(due_at, ?4), first_due_at = max(first_due_at, ?4)
         WHERE {from} AND stream_id IN
             (SELECT streams.id FROM streams JOIN codes ON codes.id = streams.code_id WHERE patient_id = ?1
             AND codes.code = ?2)"
    ))?
    .execute(params![patient, code, to, not_before])?;
    Ok(())
}

/// The patients some of whose observations wait for consent.
///
/// # Errors
/// Where the table cannot be read.
pub fn parked(db: &Connection) -> Result<BTreeSet<PatientId>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT DISTINCT patient_id FROM outbox_counts JOIN streams ON streams.id = stream_id
         WHERE state = 'consent' AND rows > 0",
    )?;
    Ok(query.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Queues once more what JHE would not have; answers how much that is.
///
/// # Errors
/// Where the table cannot be written.
pub fn retry_dead(db: &Connection, patient: Option<PatientId>, now: Timestamp) -> Result<usize, StoreError> {
    Ok(db.execute(
        "UPDATE outbox SET state = 'pending', due_at = ?2, first_due_at = ?2, reason = NULL, attempts = 0
         WHERE state = 'dead' AND stream_id IN (SELECT id FROM streams WHERE ?1 IS NULL OR patient_id = ?1)",
        params![patient, now],
    )?)
}

/// How much is in which state, of one patient or of all.
///
/// # Errors
/// Where the table cannot be read.
pub fn counts(db: &Connection, patient: Option<PatientId>) -> Result<Counts, StoreError> {
    let of_one = "SELECT state, sum(rows) FROM streams JOIN outbox_counts ON streams.id = stream_id
                  WHERE patient_id = ?1 GROUP BY state";
    let of_all = "SELECT state, rows FROM outbox_totals WHERE ?1 IS NULL";
    let mut query = db.prepare_cached(if patient.is_some() { of_one } else { of_all })?;
    let mut counts = Counts::default();
    let mut rows = query.query([patient])?;
    while let Some(row) = rows.next()? {
        let count = row.get(1)?;
        match row.get_ref(0)?.as_str().unwrap_or_default() {
            "pending" => counts.pending = count,
            "consent" => counts.consent = count,
            "configuration" => counts.configuration = count,
            _ => counts.dead = count,
        }
    }
    Ok(counts)
}

/// How many observations JHE took in the last 24 hours, the hour that runs included.
///
/// # Errors
/// Where the table cannot be read.
pub fn delivered(db: &Connection, now: Timestamp) -> Result<i64, StoreError> {
    let mut query =
        db.prepare_cached("SELECT coalesce(sum(delivered), 0) FROM hourly_counters WHERE hour > ?")?;
    Ok(query.query_row([now.hour() - 24], |row| row.get(0))?)
}

/// Since when what waits longest could have been sent; none where nothing is due at `now`. What is still being held
/// back, since it may change, does not wait yet.
///
/// # Errors
/// Where the table cannot be read.
pub fn oldest(db: &Connection, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
    let mut query = db.prepare_cached("SELECT min(first_due_at) FROM outbox WHERE state = 'pending'")?;
    let oldest: Option<Timestamp> = query.query_row([], |row| row.get(0))?;
    Ok(oldest.filter(|oldest| *oldest <= now))
}

/// What is held back until it has been still for long enough: totals of days, and values that were changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Still {
    /// How many observations.
    pub count: i64,
    /// When the first of them is to be sent.
    pub next: Timestamp,
}

impl fmt::Display for Still {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, next } = self;
        let (verb, they) = if *count == 1 { (" waits", "it is") } else { ("s wait", "they are") };
        write!(f, "{count} observation{verb} until {they} still: the next at {next}")
    }
}

/// What is held back at `now`, of one patient or of all; none where nothing is. Only what waits is looked at.
///
/// # Errors
/// Where the table cannot be read.
pub fn still(
    db: &Connection,
    patient: Option<PatientId>,
    now: Timestamp,
) -> Result<Option<Still>, StoreError> {
    let of_one =
        "SELECT count(*), min(first_due_at) FROM streams JOIN outbox ON outbox.stream_id = streams.id
                  WHERE patient_id = ?1 AND state = 'pending' AND first_due_at > ?2";
    let of_all = "SELECT count(*), min(first_due_at) FROM outbox
                  WHERE ?1 IS NULL AND state = 'pending' AND first_due_at > ?2";
    let mut query = db.prepare_cached(if patient.is_some() { of_one } else { of_all })?;
    let (count, next): (i64, Option<Timestamp>) =
        query.query_row(params![patient, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(next.map(|next| Still { count, next }))
}

/// How the export stands, as far as somebody has to know of it.
///
/// # Errors
/// Where the tables cannot be read.
pub fn standing(db: &Connection, now: Timestamp) -> Result<Exporting, StoreError> {
    let hours = hourly_counters::since(db, now.hour() - 23)?;
    let refused = hours.iter().find(|(_, totals)| totals.dead > 0);
    Ok(Exporting {
        oldest: oldest(db, now)?,
        is_taken: hours.iter().any(|(hour, totals)| *hour >= now.hour() - 1 && totals.delivered > 0),
        is_held: counts(db, None)?.configuration > 0,
        refused: refused.map(|(hour, _)| Timestamp::of_hour(*hour)),
    })
}

/// An observation that does not get on, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// When it was measured.
    pub instant: Timestamp,
    /// Its state, as the table writes it.
    pub state: String,
    /// JHE's words, or ours.
    pub detail: String,
    /// How often it has had to be sent again.
    pub attempts: i64,
}

/// What of a patient does not get on: refused, or waiting for somebody to mend something; at most `limit`.
///
/// # Errors
/// Where the tables cannot be read.
pub fn stuck(db: &Connection, patient: PatientId, limit: u32) -> Result<Vec<Stuck>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "SELECT instant, state, coalesce(reason, ''), attempts FROM streams
         JOIN outbox ON outbox.stream_id = streams.id
         WHERE patient_id = ? AND (state IN ('dead', 'configuration') OR attempts > 1) AND {}
         ORDER BY instant DESC LIMIT ?",
        withdrawal::is_shown("streams.patient_id", "streams.code_id")
    ))?;
    let rows = query.query_map(params![patient, limit], |row| {
        Ok(Stuck { instant: row.get(0)?, state: row.get(1)?, detail: row.get(2)?, attempts: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
