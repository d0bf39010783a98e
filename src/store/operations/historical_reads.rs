//! The past that OW has fetched and that is still to be read here: kept until it was read to its end, however often the
//! daemon ends or OW fails meanwhile.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::backoff::{Backoff, jitter};
use crate::common::time::Timestamp;
use crate::model::consent_intervals::Interval;
use crate::model::patient::PatientId;
use crate::store::error::StoreError;
use crate::store::operations::poll_plan;

/// A range that was read within this time is not read again because messages tell of samples in it: they come by the
/// minute.
const NOT_AGAIN: Duration = Duration::from_hours(1);
/// A range that could not be read to its end is tried again: a tick or OW's restart is over in minutes.
const BACKOFF: Backoff = Backoff { first: Duration::from_mins(1), longest: Duration::from_hours(1) };
/// What was read is remembered for longer than OW lists its runs, which is a day.
const REMEMBERED: Duration = Duration::from_hours(48);

/// Something that OW fetched of the past, as it tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// OW's user.
    pub user: String,
    /// OW's name of the run; empty where messages told of samples.
    pub run: String,
    /// The run's last sign of life, as OW's list has it; empty where that is not known.
    pub last_update: String,
}

/// A patient's past that is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Whose.
    pub patient: PatientId,
    /// OW's name of the run; empty where messages told of samples.
    pub run: String,
    /// What is to be read.
    pub range: Interval,
}

/// Of what OW tells, that which is not noted yet and can be read: whose user is linked to a patient who consents to
/// something. The rest is no news until it can be.
///
/// # Errors
/// Where the tables cannot be read.
pub fn news(db: &Connection, told: &[Told]) -> Result<Vec<(PatientId, Told)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT patient_id FROM links WHERE ow_user_id = ?1 AND state = 'active' AND NOT EXISTS (
             SELECT 1 FROM historical_reads WHERE historical_reads.patient_id = links.patient_id
             AND ow_run_id = ?2 AND ow_run_id <> ''
                                  AND (?3 = '' OR ow_last_activity IN ('', ?3)))",
    )?;
    let mut news = Vec::new();
    for one in told {
        let patient: Option<PatientId> =
            query.query_row(params![one.user, one.run, one.last_update], |row| row.get(0)).optional()?;
        if let Some(patient) = patient
            && poll_plan::consents(db, patient)?
        {
            news.push((patient, one.clone()));
        }
    }
    Ok(news)
}

/// Notes that a range is to be read: at once, but for what messages tell of a range that was read of late. What waits
/// already grows.
///
/// # Errors
/// Where the table cannot be written.
pub fn add(
    db: &Connection,
    patient: PatientId,
    told: &Told,
    range: Interval,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM historical_reads WHERE completed_at NOT BETWEEN ? AND ?")?
        .execute([now.minus(REMEMBERED), now.plus(REMEMBERED)])?;
    let of_late: Option<Timestamp> = db
        .prepare_cached(
            "SELECT max(completed_at) FROM historical_reads
             WHERE patient_id = ?1 AND ?2 = '' AND (ow_run_id = '' OR since <= ?3) AND completed_at BETWEEN ?4 AND ?5",
        )?
        .query_row(params![patient, told.run, range.from, now.minus(NOT_AGAIN), now], |row| row.get(0))?;
    let due = of_late.map_or(now, |read| read.plus(NOT_AGAIN));
    db.prepare_cached(
        "INSERT INTO historical_reads (patient_id, ow_run_id, ow_last_activity, since, until, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT DO UPDATE SET ow_last_activity = excluded.ow_last_activity,
             since = iif(completed_at IS NULL, min(since, excluded.since), excluded.since),
             until = max(until, excluded.until),
             due_at = iif(completed_at IS NULL, due_at, excluded.due_at),
             attempts = iif(completed_at IS NULL, attempts, 0), completed_at = NULL",
    )?
    .execute(params![patient, told.run, told.last_update, range.from, range.until, due])?;
    Ok(())
}

/// What is to be read next, where anything is: whose link stands, and whose time has come. A time further off than any
/// is set was set by a clock that was ahead.
///
/// # Errors
/// Where the table cannot be read.
pub fn next(db: &Connection, now: Timestamp) -> Result<Option<Owed>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT historical_reads.patient_id, ow_run_id, since, until FROM historical_reads
         JOIN links ON links.patient_id = historical_reads.patient_id AND links.state = 'active'
         WHERE completed_at IS NULL AND due_at NOT BETWEEN ?1 + 1 AND ?2
         ORDER BY due_at, historical_reads.patient_id, ow_run_id LIMIT 1",
    )?;
    let next = query.query_row([now, now.plus(BACKOFF.longest)], |row| {
        let range = Interval { from: row.get(2)?, until: row.get(3)? };
        Ok(Owed { patient: row.get(0)?, run: row.get(1)?, range })
    });
    Ok(next.optional()?)
}

/// Notes that a range was read to its end. Where more was told of meanwhile, that is still to be read, but not at once.
///
/// # Errors
/// Where the table cannot be written.
pub fn done(db: &Connection, owed: &Owed, now: Timestamp) -> Result<(), StoreError> {
    let Interval { from, until } = owed.range;
    db.prepare_cached(
        "UPDATE historical_reads SET attempts = 0, completed_at = iif(since = ?3
         AND until = ?4, ?5, NULL), due_at = ?6
         WHERE patient_id = ?1 AND ow_run_id = ?2",
    )?
    .execute(params![owed.patient, owed.run, from, until, now, now.plus(NOT_AGAIN)])?;
    Ok(())
}

/// Notes that a range could not be read to its end: it is tried again, ever later.
///
/// # Errors
/// Where the table cannot be written.
pub fn failed(db: &Connection, owed: &Owed, now: Timestamp) -> Result<(), StoreError> {
    let mut query =
        db.prepare_cached("SELECT attempts FROM historical_reads WHERE patient_id = ? AND ow_run_id = ?")?;
    let tries: Option<u32> = query.query_row(params![owed.patient, owed.run], |row| row.get(0)).optional()?;
    let pause = BACKOFF.pause(tries.unwrap_or(0), jitter());
    db.prepare_cached(
        "UPDATE historical_reads SET attempts = min(attempts + 1, 1000), due_at = ? WHERE patient_id = ?
         AND ow_run_id = ?",
    )?
    .execute(params![now.plus(pause), owed.patient, owed.run])?;
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

    /// One patient who is linked and consents, and one who is linked only.
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

    fn told(run: &str, last_update: &str) -> Told {
        Told { user: "one".into(), run: run.into(), last_update: last_update.into() }
    }

    fn is_news(db: &Connection, told: Told) -> bool {
        !news(db, &[told]).unwrap().is_empty()
    }

    fn back(days: u32, until: Timestamp) -> Interval {
        Interval { from: now().minus(DAY * days), until }
    }

    fn add(db: &Connection, run: &str, range: Interval, now: Timestamp) {
        crate::store::operations::historical_reads::add(db, PatientId::new(1), &told(run, "x"), range, now)
            .unwrap();
    }

    #[test]
    fn a_run_is_owed_once_and_again_where_it_went_on() {
        let db = database();
        assert!(is_news(&db, told("r", "x")));
        add(&db, "r", back(90, now()), now());
        assert!(
            !is_news(&db, told("r", "x")) && !is_news(&db, told("r", "")) && is_news(&db, told("s", "x"))
        );
        let owed = next(&db, now()).unwrap().unwrap();
        assert_eq!(owed.range, back(90, now()));
        done(&db, &owed, now()).unwrap();
        assert_eq!(next(&db, minutes(600)).unwrap(), None);
        assert!(!is_news(&db, told("r", "x")), "it was read");
        assert!(is_news(&db, told("r", "y")), "it went on");
        add(&db, "r", back(90, minutes(5)), minutes(5));
        assert_eq!(next(&db, minutes(5)).unwrap().unwrap().range, back(90, minutes(5)));
    }

    #[test]
    fn who_cannot_be_read_is_no_news_yet() {
        let db = database();
        let of = |user: &str| is_news(&db, Told { user: user.into(), ..told("r", "x") });
        assert_eq!([of("one"), of("two"), of("three")], [true, false, false]);
    }

    #[test]
    fn what_fails_is_tried_again_ever_later_until_it_was_read() {
        let db = database();
        add(&db, "r", back(90, now()), now());
        let mut at = now();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let owed = next(&db, at).unwrap().unwrap();
            failed(&db, &owed, at).unwrap();
            let pause =
                (1..=60).find(|pause| next(&db, at.plus(Duration::from_mins(*pause))).unwrap().is_some());
            pauses.extend(pause);
            at = at.plus(Duration::from_mins(pause.unwrap()));
        }
        let longest = [1, 2, 4, 8, 16, 32, 60, 60];
        assert!(
            zip(&pauses, longest).all(|(pause, most)| (most * 3 / 4..=most).contains(pause)),
            "{pauses:?}"
        );
        assert!(next(&db, now().minus(DAY)).unwrap().is_some(), "a clock that was ahead puts nothing off");
    }

    #[test]
    fn messages_have_a_range_read_once_an_hour() {
        let db = database();
        add(&db, "", back(3, now()), now());
        let owed = next(&db, now()).unwrap().unwrap();
        // More is told of while it is read.
        add(&db, "", back(4, minutes(1)), minutes(1));
        done(&db, &owed, minutes(2)).unwrap();
        assert_eq!(next(&db, minutes(61)).unwrap(), None);
        let owed = next(&db, minutes(62)).unwrap().unwrap();
        assert_eq!(owed.range, back(4, minutes(1)));
        done(&db, &owed, minutes(62)).unwrap();
        for minute in 63..100 {
            add(&db, "", back(3, minutes(minute)), minutes(minute));
            assert_eq!(next(&db, minutes(minute)).unwrap(), None);
        }
        assert_eq!(
            next(&db, minutes(122)).unwrap().unwrap().range,
            back(3, minutes(99)),
            "what came last is read"
        );
    }

    #[test]
    fn messages_about_what_a_run_had_read_wait_and_a_run_never_does() {
        let db = database();
        add(&db, "r", back(90, now()), now());
        done(&db, &next(&db, now()).unwrap().unwrap(), now()).unwrap();
        add(&db, "", back(3, minutes(1)), minutes(1));
        assert_eq!(next(&db, minutes(1)).unwrap(), None);
        add(&db, "s", back(2, minutes(2)), minutes(2));
        assert_eq!(next(&db, minutes(2)).unwrap().unwrap().run, "s");
    }

    #[test]
    fn what_was_read_is_forgotten_in_time() {
        let db = database();
        add(&db, "r", back(90, now()), now());
        done(&db, &next(&db, now()).unwrap().unwrap(), now()).unwrap();
        add(&db, "s", back(90, now()), now().plus(DAY * 3));
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
