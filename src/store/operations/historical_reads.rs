//! Historical ranges that OW has synced and the daemon has not read yet. A range stays pending until it has
//! been read completely, across restarts and failures of OW.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::backoff::{Backoff, jitter};
use crate::common::time::Timestamp;
use crate::model::{consent_intervals::Interval, patient::PatientId};
use crate::store::{error::StoreResult, operations::poll_plan};

/// A range that webhooks name is read at most once in this time: webhooks may come every minute.
const WEBHOOK_PAUSE: Duration = Duration::from_hours(1);
/// Pauses after a failed read. The first is short: a tick or a restart of OW ends within minutes.
const BACKOFF: Backoff = Backoff { first: Duration::from_mins(1), longest: Duration::from_hours(1) };
/// Completed reads are kept this long. OW lists a run for a day, and a listed run must not be read again.
const RETENTION: Duration = Duration::from_hours(48);

/// A sync of past data, as OW reports it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoricalSync {
    /// OW user id.
    pub user: String,
    /// OW's id of the run; empty if webhooks named the samples.
    pub run: String,
    /// The run's last activity, as OW writes it; empty if unknown.
    pub last_activity: String,
}

/// A range of a patient's past that is due to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingRead {
    pub patient: PatientId,
    /// OW's id of the run; empty if webhooks named the samples.
    pub run: String,
    pub range: Interval,
}

/// Returns the syncs that are not recorded yet and whose user is linked to a patient with an active consent.
pub fn list_unrecorded(
    db: &Connection,
    syncs: &[HistoricalSync],
    now: Timestamp,
) -> StoreResult<Vec<(PatientId, HistoricalSync)>> {
    let mut query = db.prepare_cached(
        "SELECT patient_id FROM links WHERE ow_user_id = ?1 AND state = 'active' AND NOT EXISTS (
             SELECT 1 FROM historical_reads WHERE historical_reads.patient_id = links.patient_id
             AND ow_run_id = ?2 AND ow_run_id <> '' AND (?3 = '' OR ow_last_activity IN ('', ?3)))",
    )?;
    let mut unrecorded = Vec::new();
    for sync in syncs {
        let patient: Option<PatientId> =
            query.query_row(params![sync.user, sync.run, sync.last_activity], |row| row.get(0)).optional()?;
        if let Some(patient) = patient
            && poll_plan::is_readable(db, patient, now)?
        {
            unrecorded.push((patient, sync.clone()));
        }
    }
    Ok(unrecorded)
}

/// Schedules a historical read. It is due now, or an hour after the last read if a webhook named a range just
/// read. A pending read is widened.
pub fn schedule(
    db: &Connection,
    patient: PatientId,
    sync: &HistoricalSync,
    range: Interval,
    now: Timestamp,
) -> StoreResult<()> {
    // A completion far in the future comes from a clock that ran ahead.
    db.prepare_cached("DELETE FROM historical_reads WHERE completed_at NOT BETWEEN ? AND ?")?
        .execute([now.minus(RETENTION), now.plus(RETENTION)])?;
    let last_read: Option<Timestamp> = db
        .prepare_cached(
            "SELECT max(completed_at) FROM historical_reads
             WHERE patient_id = ?1 AND ?2 = '' AND (ow_run_id = '' OR since <= ?3)
               AND completed_at BETWEEN ?4 AND ?5",
        )?
        .query_row(params![patient, sync.run, range.from, now.minus(WEBHOOK_PAUSE), now], |row| row.get(0))?;
    let due = last_read.map_or(now, |read| read.plus(WEBHOOK_PAUSE));
    db.prepare_cached(
        "INSERT INTO historical_reads (patient_id, ow_run_id, ow_last_activity, since, until, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET ow_last_activity = excluded.ow_last_activity,
             since = iif(completed_at IS NULL, min(since, excluded.since), excluded.since),
             until = max(until, excluded.until),
             due_at = iif(completed_at IS NULL, due_at, excluded.due_at),
             attempts = iif(completed_at IS NULL, attempts, 0), completed_at = NULL",
    )?
    .execute(params![patient, sync.run, sync.last_activity, range.from, range.until, due])?;
    Ok(())
}

/// Returns the next due read of a linked patient.
pub fn find_due(db: &Connection, now: Timestamp) -> StoreResult<Option<PendingRead>> {
    // A due time beyond the maximum back-off can only come from a clock that ran ahead; it counts as due.
    let mut query = db.prepare_cached(
        "SELECT historical_reads.patient_id, ow_run_id, since, until FROM historical_reads
         JOIN links ON links.patient_id = historical_reads.patient_id AND links.state = 'active'
         WHERE completed_at IS NULL AND due_at NOT BETWEEN ?1 + 1 AND ?2
         ORDER BY due_at, historical_reads.patient_id, ow_run_id LIMIT 1",
    )?;
    let next = query.query_row([now, now.plus(BACKOFF.longest)], |row| {
        let range = Interval { from: row.get(2)?, until: row.get(3)? };
        Ok(PendingRead { patient: row.get(0)?, run: row.get(1)?, range })
    });
    Ok(next.optional()?)
}

/// Records a complete read. A range that was widened meanwhile stays pending, due after the pause.
pub fn complete(db: &Connection, read: &PendingRead, now: Timestamp) -> StoreResult<()> {
    let Interval { from, until } = read.range;
    db.prepare_cached(
        "UPDATE historical_reads
         SET attempts = 0, completed_at = iif(since = ?3 AND until = ?4, ?5, NULL), due_at = ?6
         WHERE patient_id = ?1 AND ow_run_id = ?2",
    )?
    .execute(params![read.patient, read.run, from, until, now, now.plus(WEBHOOK_PAUSE)])?;
    Ok(())
}

/// Records a failed read; it is due again after the back-off.
pub fn reschedule(db: &Connection, read: &PendingRead, now: Timestamp) -> StoreResult<()> {
    let mut query =
        db.prepare_cached("SELECT attempts FROM historical_reads WHERE patient_id = ? AND ow_run_id = ?")?;
    let attempts: Option<u32> =
        query.query_row(params![read.patient, read.run], |row| row.get(0)).optional()?;
    let due = now.plus(BACKOFF.pause(attempts.unwrap_or(0), jitter()));
    db.prepare_cached(
        "UPDATE historical_reads SET attempts = min(attempts + 1, 1000), due_at = ?
         WHERE patient_id = ? AND ow_run_id = ?",
    )?
    .execute(params![due, read.patient, read.run])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::iter::zip;

    use super::*;
    use crate::store::engine::open::in_memory;

    const DAY: Duration = Duration::from_hours(24);

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-21T12:00:00Z").unwrap()
    }

    fn minutes(minutes: u64) -> Timestamp {
        now().plus(Duration::from_mins(minutes))
    }

    /// A linked patient with a consent, and a linked one without.
    fn database() -> Connection {
        let db = in_memory();
        crate::store::samples::code::seed(&db).unwrap();
        db.execute_batch(
            "INSERT INTO patients (id, name, time_zone, created_at, external_id)
             VALUES (1, 'A', 'UTC', 0, 'a'), (2, 'B', 'UTC', 0, 'b');
             INSERT INTO links (patient_id, ow_user_id, state, linked_at)
             VALUES (1, 'one', 'active', 0), (2, 'two', 'active', 0);
             INSERT INTO consents (patient_id, code_id, granted_at) SELECT 1, id, 10 FROM codes
             WHERE code = 'omh:heart-rate:2.0';",
        )
        .unwrap();
        db
    }

    fn sync(run: &str, last_activity: &str) -> HistoricalSync {
        HistoricalSync { user: "one".into(), run: run.into(), last_activity: last_activity.into() }
    }

    fn is_unrecorded(db: &Connection, sync: HistoricalSync) -> bool {
        !list_unrecorded(db, &[sync], now()).unwrap().is_empty()
    }

    fn last_days(days: u32, until: Timestamp) -> Interval {
        Interval { from: now().minus(DAY * days), until }
    }

    fn schedule_run(db: &Connection, run: &str, range: Interval, now: Timestamp) {
        schedule(db, PatientId::new(1), &sync(run, "x"), range, now).unwrap();
    }

    #[test]
    fn a_run_is_read_once_and_again_after_new_activity() {
        let db = database();
        assert!(is_unrecorded(&db, sync("r", "x")));
        schedule_run(&db, "r", last_days(90, now()), now());
        assert!(
            !is_unrecorded(&db, sync("r", "x"))
                && !is_unrecorded(&db, sync("r", ""))
                && is_unrecorded(&db, sync("s", "x"))
        );
        let read = find_due(&db, now()).unwrap().unwrap();
        assert_eq!(read.range, last_days(90, now()));
        complete(&db, &read, now()).unwrap();
        assert_eq!(find_due(&db, minutes(600)).unwrap(), None);
        assert!(!is_unrecorded(&db, sync("r", "x")), "it was read");
        assert!(is_unrecorded(&db, sync("r", "y")), "it has new activity");
        schedule_run(&db, "r", last_days(90, minutes(5)), minutes(5));
        assert_eq!(find_due(&db, minutes(5)).unwrap().unwrap().range, last_days(90, minutes(5)));
    }

    #[test]
    fn a_user_who_cannot_be_read_is_not_recorded_yet() {
        let db = database();
        let of = |user: &str| is_unrecorded(&db, HistoricalSync { user: user.into(), ..sync("r", "x") });
        assert_eq!([of("one"), of("two"), of("three")], [true, false, false]);
    }

    #[test]
    fn a_failed_read_is_retried_with_growing_pauses() {
        let db = database();
        schedule_run(&db, "r", last_days(90, now()), now());
        let mut at = now();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let read = find_due(&db, at).unwrap().unwrap();
            reschedule(&db, &read, at).unwrap();
            let pause =
                (1..=60).find(|pause| find_due(&db, at.plus(Duration::from_mins(*pause))).unwrap().is_some());
            pauses.extend(pause);
            at = at.plus(Duration::from_mins(pause.unwrap()));
        }
        let longest = [1, 2, 4, 8, 16, 32, 60, 60];
        assert!(
            zip(&pauses, longest).all(|(pause, most)| (most * 3 / 4..=most).contains(pause)),
            "{pauses:?}"
        );
        assert!(find_due(&db, now().minus(DAY)).unwrap().is_some(), "a clock that ran ahead delays nothing");
    }

    #[test]
    fn webhooks_cause_one_read_of_a_range_per_hour() {
        let db = database();
        schedule_run(&db, "", last_days(3, now()), now());
        let read = find_due(&db, now()).unwrap().unwrap();
        // The range is widened during the read.
        schedule_run(&db, "", last_days(4, minutes(1)), minutes(1));
        complete(&db, &read, minutes(2)).unwrap();
        assert_eq!(find_due(&db, minutes(61)).unwrap(), None);
        let read = find_due(&db, minutes(62)).unwrap().unwrap();
        assert_eq!(read.range, last_days(4, minutes(1)));
        complete(&db, &read, minutes(62)).unwrap();
        for minute in 63..100 {
            schedule_run(&db, "", last_days(3, minutes(minute)), minutes(minute));
            assert_eq!(find_due(&db, minutes(minute)).unwrap(), None);
        }
        assert_eq!(
            find_due(&db, minutes(122)).unwrap().unwrap().range,
            last_days(3, minutes(99)),
            "the last webhook counts"
        );
    }

    #[test]
    fn webhooks_about_a_range_just_read_wait_and_a_run_does_not() {
        let db = database();
        schedule_run(&db, "r", last_days(90, now()), now());
        complete(&db, &find_due(&db, now()).unwrap().unwrap(), now()).unwrap();
        schedule_run(&db, "", last_days(3, minutes(1)), minutes(1));
        assert_eq!(find_due(&db, minutes(1)).unwrap(), None);
        schedule_run(&db, "s", last_days(2, minutes(2)), minutes(2));
        assert_eq!(find_due(&db, minutes(2)).unwrap().unwrap().run, "s");
    }

    #[test]
    fn completed_reads_are_deleted_after_the_retention() {
        let db = database();
        schedule_run(&db, "r", last_days(90, now()), now());
        complete(&db, &find_due(&db, now()).unwrap().unwrap(), now()).unwrap();
        schedule_run(&db, "s", last_days(90, now()), now().plus(DAY * 3));
        let runs: Vec<String> = db
            .prepare("SELECT ow_run_id FROM historical_reads")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(runs, ["s"]);
    }
}
