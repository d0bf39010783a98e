//! Reads and updates outbox rows: due rows, delivery results, and counts.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use rusqlite::{Connection, params};

use crate::common::{failpoint, time::Timestamp};
use crate::model::account::{Role, VisibleTo};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::sample_details::SampleDetails;
use crate::model::{export_health::ExportHealth, outbox_counts::OutboxCounts, patient::PatientId};
use crate::store::operations::counter;
use crate::store::operations::hourly_counters::{self, Totals};
use crate::store::people::visibility;
use crate::store::{error::StoreResult, outbox::enqueue, privacy::withdrawal, samples::observation};

/// An outbox row that waits for delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboxEntry {
    pub stream: i64,
    pub observation: Observation,
    /// Number of earlier attempts that ended in a retry.
    pub attempts: u32,
    /// True if an earlier attempt may have arrived.
    pub ambiguous: bool,
}

/// A leased row is not due for this long, even if the process dies: JHE's answer timeout plus one minute.
const LEASE: Duration = Duration::from_mins(2);
/// The counter of observations that JHE has without an identifier: a worker of JHE was killed while it stored them.
pub(crate) const ORPHANS: &str = "delivered_without_identifier";
/// Time for which JHE refuses a row for an unknown reason, and takes others, before the row is suspect.
const SUSPECT_AFTER: Duration = Duration::from_hours(24);
/// So many rejections in one hour are no faults of single values: something has changed, here or at JHE.
const MANY: i64 = 50;
/// The reason of a row that a change of a collection window has parked.
const OUTSIDE: &str = "outside the collection window";
/// Tolerance for a due time that was set after `now` was read.
const SLACK: Duration = Duration::from_hours(1);

/// The outcome of sending one observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// JHE has its content, without an identifier.
    Orphan,
    /// JHE has another value of it. The current one goes under `next`, the first free revision.
    Differs {
        next: i64,
    },
    /// JHE rejects it, for this reason.
    Dead(String),
    /// Parked until consent returns.
    NoConsent,
    /// Parked until an operator has resolved the reason; tried again at this time.
    Configuration(String, Timestamp),
    /// Leased, but not sent.
    Unsent,
    Retry {
        due: Timestamp,
        /// True if it may have arrived.
        ambiguous: bool,
        /// True if JHE refused this entry, for a reason that is not known to lie in it.
        is_refused: bool,
        why: String,
    },
}

/// Returns a SQL condition on rows that are due at `?2`. Per instant only the oldest revision is due; the
/// newer ones wait until it is resolved. A due time beyond the longest wait can only come from a clock that
/// ran ahead; it counts as due.
fn due() -> String {
    let longest = (enqueue::DAILY_TOTAL_QUIET_PERIOD + SLACK).as_micros();
    format!(
        "state IN ('pending', 'configuration') AND due_at NOT BETWEEN ?2 + 1 AND ?2 + {longest} AND NOT EXISTS
             (SELECT 1 FROM outbox AS older
              WHERE older.stream_id = outbox.stream_id AND older.instant = outbox.instant
                AND older.revision < outbox.revision)"
    )
}

/// Lists the streams of JHE's patients that have due rows, of one patient or of all.
pub fn list_ready_streams(
    db: &Connection,
    patient: Option<PatientId>,
    now: Timestamp,
) -> StoreResult<Vec<StreamInfo>> {
    let mut query = db.prepare_cached(&format!(
        "{} WHERE jhe_patient_id IS NOT NULL AND entered_in_error = 0
         AND (?1 IS NULL OR streams.patient_id = ?1)
           AND EXISTS (SELECT 1 FROM outbox WHERE outbox.stream_id = streams.id AND {})
         ORDER BY streams.patient_id, streams.id",
        observation::SELECT_STREAMS,
        due()
    ))?;
    Ok(query.query_map(params![patient, now], observation::stream_from_row)?.collect::<Result<_, _>>()?)
}

/// Returns due rows of a stream, the oldest measurements first, and leases them for [`LEASE`]: if this
/// process dies, JHE may still work on its request.
pub fn lease(db: &Connection, stream: i64, now: Timestamp, limit: usize) -> StoreResult<Vec<OutboxEntry>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT instant, value, utc_offset, revision, NULL, details, attempts, ambiguous FROM outbox
         WHERE stream_id = ?1 AND {} ORDER BY instant LIMIT ?3",
        due()
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![stream, now, limit], |row| {
        let observation = observation::from_row(row)?;
        Ok(OutboxEntry { stream, observation, attempts: row.get(6)?, ambiguous: row.get(7)? })
    })?;
    let taken = rows.collect::<Result<Vec<OutboxEntry>, _>>()?;
    // Until the verdict is applied, each row counts as one that may have arrived.
    let update = "UPDATE outbox SET due_at = ?4, ambiguous = 1
         WHERE stream_id = ?1 AND instant = ?2 AND revision = ?3";
    let mut lease = db.prepare_cached(update)?;
    for one in &taken {
        let Observation { instant, revision, .. } = one.observation;
        lease.execute(params![stream, instant, revision, now.plus(LEASE)])?;
        failpoint::at("outbox.leased");
    }
    Ok(taken)
}

pub fn apply_verdicts(db: &Connection, sent: &[(OutboxEntry, Verdict)], now: Timestamp) -> StoreResult<()> {
    let (mut totals, mut orphans) = (Totals::default(), 0);
    for (entry, verdict) in sent {
        match verdict {
            Verdict::Delivered => totals.delivered += 1,
            Verdict::Orphan => (totals.delivered, orphans) = (totals.delivered + 1, orphans + 1),
            Verdict::Dead(_) => totals.dead += 1,
            Verdict::NoConsent | Verdict::Configuration(..) => totals.parked += 1,
            Verdict::Unsent | Verdict::Retry { .. } | Verdict::Differs { .. } => {}
        }
        apply_verdict(db, entry, verdict, now)?;
    }
    counter::add(db, ORPHANS, orphans)?;
    hourly_counters::add(db, now, &totals)
}

fn apply_verdict(db: &Connection, entry: &OutboxEntry, verdict: &Verdict, now: Timestamp) -> StoreResult<()> {
    let OutboxEntry { stream, observation: Observation { instant, revision, .. }, .. } = *entry;
    let (state, due, ambiguous, detail) = match verdict {
        Verdict::Delivered | Verdict::Orphan => {
            db.prepare_cached("DELETE FROM outbox WHERE stream_id = ? AND instant = ? AND revision = ?")?
                .execute(params![stream, instant, revision])?;
            failpoint::at("outbox.done");
            return Ok(());
        }
        Verdict::Differs { next } => return enqueue::renumber(db, stream, &entry.observation, *next, now),
        Verdict::Dead(why) => ("dead", Some(now), false, why.as_str()),
        Verdict::NoConsent => ("consent", Some(now), false, ""),
        Verdict::Configuration(why, due) => ("configuration", Some(*due), false, why.as_str()),
        Verdict::Unsent => ("pending", Some(now), false, ""),
        Verdict::Retry { due, ambiguous, why, .. } => ("pending", Some(*due), *ambiguous, why.as_str()),
    };
    // An earlier attempt may have arrived even if this one did not.
    let ambiguous = ambiguous || entry.ambiguous;
    let is_retry = matches!(verdict, Verdict::Retry { .. });
    db.prepare_cached(
        "UPDATE outbox SET state = ?4, due_at = coalesce(?5, due_at), ambiguous = ?6, reason = ?7,
                           attempts = attempts + ?8
         WHERE stream_id = ?1 AND instant = ?2 AND revision = ?3",
    )?
    .execute(params![stream, instant, revision, state, due, ambiguous, detail, is_retry])?;
    failpoint::at("outbox.again");
    if let Verdict::Retry { is_refused: true, .. } = verdict {
        note_refusal(db, entry, now)?;
    }
    enqueue::resolve_undelivered(db, stream, instant, now)
}

/// Notes that JHE refused a row for an unknown reason. If it has done so for a day while it took others, the row
/// is suspect and waits for an operator.
fn note_refusal(db: &Connection, entry: &OutboxEntry, now: Timestamp) -> StoreResult<()> {
    let OutboxEntry { stream, observation: Observation { instant, revision, .. }, .. } = *entry;
    let day_ago = now.minus(SUSPECT_AFTER);
    db.prepare_cached(
        "UPDATE outbox SET refused_since = coalesce(refused_since, ?4), state = CASE WHEN refused_since <= ?5
             AND EXISTS (SELECT 1 FROM hourly_counters WHERE hour >= ?6 AND delivered > 0)
             THEN 'suspect' ELSE state END
         WHERE stream_id = ?1 AND instant = ?2 AND revision = ?3",
    )?
    .execute(params![stream, instant, revision, now, day_ago, day_ago.hour() + 1])?;
    Ok(())
}

/// Makes the rows that wait for a change of configuration due now, of one patient or of all.
pub fn retry_configuration(db: &Connection, patient: Option<PatientId>, now: Timestamp) -> StoreResult<()> {
    let update = "UPDATE outbox SET due_at = ?2 WHERE state = 'configuration' AND due_at > ?2
         AND stream_id IN (SELECT id FROM streams WHERE ?1 IS NULL OR patient_id = ?1)";
    db.execute(update, params![patient, now])?;
    Ok(())
}

/// Parks the rows of a patient and a code until consent returns.
pub fn park(db: &Connection, patient: PatientId, code: &str) -> StoreResult<()> {
    move_state(db, patient, code, "state IN ('pending', 'configuration')", "consent", Timestamp::MIN)
}

/// Releases the rows that wait for consent. A row that was not due when it was parked keeps its due time.
pub fn unpark(db: &Connection, patient: PatientId, code: &str, now: Timestamp) -> StoreResult<()> {
    let from = format!("state = 'consent' AND reason IS NOT '{OUTSIDE}'");
    move_state(db, patient, code, &from, "pending", now)
}

/// Lists the codes of a patient's rows.
pub fn list_codes(db: &Connection, patient: PatientId) -> StoreResult<Vec<String>> {
    let select = "SELECT DISTINCT code FROM outbox_counts JOIN streams ON streams.id = stream_id
         JOIN codes ON codes.id = code_id WHERE patient_id = ? AND rows > 0";
    Ok(db.prepare_cached(select)?.query_map([patient], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Parks the waiting rows of a patient and a code for which `is_inside` is false, and releases those that were parked so
/// before.
pub fn park_unless(
    db: &Connection,
    patient: PatientId,
    code: &str,
    now: Timestamp,
    is_inside: impl Fn(Timestamp, Option<&SampleDetails>) -> bool,
) -> StoreResult<()> {
    let mut query = db.prepare_cached(
        "SELECT stream_id, instant, revision, details, state = 'consent' FROM streams
         JOIN codes ON codes.id = code_id JOIN outbox ON outbox.stream_id = streams.id
         WHERE patient_id = ?1 AND code = ?2
           AND (state IN ('pending', 'configuration', 'suspect') OR state = 'consent' AND reason = ?3)",
    )?;
    let rows = query.query_map(params![patient, code, OUTSIDE], |row| {
        let (instant, details): (Timestamp, Option<SampleDetails>) = (row.get(1)?, row.get(3)?);
        let is_inside = is_inside(instant, details.as_ref());
        let key: (i64, Timestamp, i64) = (row.get(0)?, instant, row.get(2)?);
        Ok((key, is_inside, row.get::<_, bool>(4)?))
    })?;
    for row in rows.collect::<Result<Vec<_>, _>>()? {
        let ((stream, instant, revision), is_inside, is_parked) = row;
        let (state, reason) = match (is_inside, is_parked) {
            (true, true) => ("pending", None),
            (false, false) => ("consent", Some(OUTSIDE)),
            _ => continue,
        };
        db.prepare_cached(
            "UPDATE outbox SET state = ?4, reason = ?5, due_at = max(due_at, ?6), first_due_at = max(first_due_at, ?6)
             WHERE stream_id = ?1 AND instant = ?2 AND revision = ?3",
        )?
        .execute(params![stream, instant, revision, state, reason, now])?;
    }
    Ok(())
}

fn move_state(
    db: &Connection,
    patient: PatientId,
    code: &str,
    from: &str,
    to: &str,
    not_before: Timestamp,
) -> StoreResult<()> {
    db.prepare_cached(&format!(
        "UPDATE outbox SET state = ?3, due_at = max(due_at, ?4), first_due_at = max(first_due_at, ?4)
         WHERE {from} AND stream_id IN
             (SELECT streams.id FROM streams JOIN codes ON codes.id = streams.code_id 
              WHERE patient_id = ?1 AND codes.code = ?2)"
    ))?
    .execute(params![patient, code, to, not_before])?;
    Ok(())
}

/// Lists the patients with rows that wait for consent.
pub fn list_patients_without_consent(db: &Connection) -> StoreResult<BTreeSet<PatientId>> {
    let select = "SELECT DISTINCT patient_id FROM outbox_counts JOIN streams ON streams.id = stream_id
         WHERE state = 'consent' AND rows > 0";
    Ok(db.prepare_cached(select)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Makes dead and suspect rows pending again, of one patient or of all, that were refused at `since` or later.
/// Returns their number.
pub fn retry_refused(
    db: &Connection,
    patient: Option<PatientId>,
    since: Timestamp,
    now: Timestamp,
) -> StoreResult<usize> {
    let update =
        "UPDATE outbox SET state = 'pending', due_at = ?2, first_due_at = ?2, reason = NULL, attempts = 0,
                           refused_since = NULL
         WHERE state IN ('dead', 'suspect') AND due_at >= ?3
           AND stream_id IN (SELECT id FROM streams WHERE ?1 IS NULL OR patient_id = ?1)";
    Ok(db.execute(update, params![patient, now, since])?)
}

/// Dead and suspect rows with one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedGroup {
    pub reason: String,
    pub rows: i64,
    pub patients: i64,
}

/// Lists the dead and suspect rows that were refused at `since` or later, by reason, the most frequent one first.
pub fn list_refused(db: &Connection, since: Timestamp, limit: u32) -> StoreResult<Vec<RefusedGroup>> {
    let mut query = db.prepare_cached(
        "SELECT coalesce(reason, ''), count(*), count(DISTINCT patient_id)
         FROM outbox_counts JOIN streams ON streams.id = outbox_counts.stream_id
         JOIN outbox ON outbox.stream_id = streams.id AND outbox.state = outbox_counts.state
         WHERE outbox_counts.state IN ('dead', 'suspect') AND outbox_counts.rows > 0 AND due_at >= ?
         GROUP BY reason ORDER BY 2 DESC LIMIT ?",
    )?;
    let rows = query.query_map(params![since, limit], |row| {
        let (reason, rows, patients) = row.try_into()?;
        Ok(RefusedGroup { reason, rows, patients })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the number of outbox rows by state, of one patient or of all.
pub fn count_by_state(
    db: &Connection,
    viewer: VisibleTo,
    patient: Option<PatientId>,
) -> StoreResult<OutboxCounts> {
    // Triggers maintain both tables, so that no page has to count rows.
    let of_one = format!(
        "SELECT state, sum(rows) FROM streams JOIN outbox_counts ON streams.id = stream_id
         WHERE patient_id = ?1 AND {} GROUP BY state",
        visibility::code_condition("streams.patient_id", "streams.code_id", 2, Role::Viewer)
    );
    let of_all = "SELECT state, rows FROM outbox_totals WHERE ?1 IS NULL AND ?2 IS NULL";
    let mut query = db.prepare_cached(if patient.is_some() { &of_one } else { of_all })?;
    let mut counts = OutboxCounts::default();
    let mut rows = query.query(params![patient, viewer])?;
    while let Some(row) = rows.next()? {
        let count = row.get(1)?;
        match row.get_ref(0)?.as_str().unwrap_or_default() {
            "pending" => counts.pending = count,
            "consent" => counts.consent = count,
            "configuration" => counts.configuration = count,
            "suspect" => counts.suspect = count,
            _ => counts.dead = count,
        }
    }
    Ok(counts)
}

/// Counts the observations that JHE accepted in the last 24 hours, including the current hour.
pub fn count_delivered(db: &Connection, now: Timestamp) -> StoreResult<i64> {
    let mut query =
        db.prepare_cached("SELECT coalesce(sum(delivered), 0) FROM hourly_counters WHERE hour > ?")?;
    Ok(query.query_row([now.hour() - 24], |row| row.get(0))?)
}

/// Returns when the oldest due row became due. Rows in their quiet period are not due.
pub fn find_oldest_due(db: &Connection, now: Timestamp) -> StoreResult<Option<Timestamp>> {
    let mut query = db.prepare_cached("SELECT min(first_due_at) FROM outbox WHERE state = 'pending'")?;
    let oldest: Option<Timestamp> = query.query_row([], |row| row.get(0))?;
    Ok(oldest.filter(|oldest| *oldest <= now))
}

/// The rows in their quiet period: daily totals, and values that have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldBack {
    pub count: i64,
    /// Due time of the first of them.
    pub next: Timestamp,
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, next } = self;
        let (verb, subject) = if *count == 1 { (" waits", "it") } else { ("s wait", "they") };
        write!(f, "{count} observation{verb} because {subject} may still change: the next at {next}")
    }
}

/// Counts the rows in their quiet period, of one patient or of all; none if there is no such row.
pub fn count_held_back(
    db: &Connection,
    patient: Option<PatientId>,
    now: Timestamp,
) -> StoreResult<Option<HeldBack>> {
    let of_one =
        "SELECT count(*), min(first_due_at) FROM streams JOIN outbox ON outbox.stream_id = streams.id
                  WHERE patient_id = ?1 AND state = 'pending' AND first_due_at > ?2";
    let of_all = "SELECT count(*), min(first_due_at) FROM outbox
                  WHERE ?1 IS NULL AND state = 'pending' AND first_due_at > ?2";
    let mut query = db.prepare_cached(if patient.is_some() { of_one } else { of_all })?;
    let (count, next): (i64, Option<Timestamp>) =
        query.query_row(params![patient, now], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(next.map(|next| HeldBack { count, next }))
}

pub fn find_health(db: &Connection, now: Timestamp) -> StoreResult<ExportHealth> {
    // The current hour and the 23 before it.
    let hours = hourly_counters::list_since(db, now.hour() - 23)?;
    let refused = hours.iter().find(|(_, totals)| totals.dead > 0);
    let many = hours.iter().find(|(_, totals)| totals.dead >= MANY);
    Ok(ExportHealth {
        oldest_due: find_oldest_due(db, now)?,
        is_accepting: hours.iter().any(|(hour, totals)| *hour >= now.hour() - 1 && totals.delivered > 0),
        has_unconfigured: count_by_state(db, VisibleTo::Everybody, None)?.configuration > 0,
        first_refusal: refused.map(|(hour, _)| Timestamp::from_hour(*hour)),
        first_mass_refusal: many.map(|(hour, _)| Timestamp::from_hour(*hour)),
    })
}

/// An outbox row that is not delivered, and the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StuckEntry {
    pub instant: Timestamp,
    pub state: String,
    /// The reason, as JHE or this program words it.
    pub detail: String,
    pub attempts: i64,
}

/// Lists a patient's visible rows that are dead, suspect, parked for configuration, or were tried more than once.
pub fn list_stuck(
    db: &Connection,
    viewer: VisibleTo,
    patient: PatientId,
    limit: u32,
) -> StoreResult<Vec<StuckEntry>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT instant, state, coalesce(reason, ''), attempts FROM streams
         JOIN outbox ON outbox.stream_id = streams.id
         WHERE patient_id = ?1 AND (state IN ('dead', 'suspect', 'configuration') OR attempts > 1) AND {} AND {}
         ORDER BY instant DESC LIMIT ?3",
        withdrawal::visible_condition("streams.patient_id", "streams.code_id"),
        visibility::code_condition("streams.patient_id", "streams.code_id", 2, Role::Viewer)
    ))?;
    let rows = query.query_map(params![patient, viewer, limit], |row| {
        let (instant, state, detail, attempts) = row.try_into()?;
        Ok(StuckEntry { instant, state, detail, attempts })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
