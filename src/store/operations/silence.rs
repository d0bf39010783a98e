//! Who is silent, and since when that is known: one pass over the patients, and never over what they measured.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::Reach;
use crate::model::patient::PatientId;
use crate::model::silence::{Cause, Devices, Known, Silence, silence};
use crate::store::error::StoreError;
use crate::store::people::{consent, visibility};

/// Everybody within reach who is silent at `now`, in the order of their numbers: whose newest sample is `after` old.
///
/// # Errors
/// Where the tables cannot be read.
pub fn all(
    db: &Connection,
    reach: Reach,
    after: Duration,
    now: Timestamp,
) -> Result<BTreeMap<PatientId, Silence>, StoreError> {
    find(db, reach, None, after, now)
}

/// Whether one patient is silent.
///
/// # Errors
/// Where the tables cannot be read.
pub fn of(
    db: &Connection,
    patient: PatientId,
    after: Duration,
    now: Timestamp,
) -> Result<Option<Silence>, StoreError> {
    Ok(find(db, Reach::Everybody, Some(patient), after, now)?.remove(&patient))
}

/// How many are silent of each cause; those of which nobody is are left out.
pub fn by_cause(silent: &BTreeMap<PatientId, Silence>) -> BTreeMap<Cause, usize> {
    let mut counts = BTreeMap::new();
    for silence in silent.values() {
        *counts.entry(silence.cause).or_default() += 1;
    }
    counts
}

fn find(
    db: &Connection,
    reach: Reach,
    only: Option<PatientId>,
    after: Duration,
    now: Timestamp,
) -> Result<BTreeMap<PatientId, Silence>, StoreError> {
    // Who never agreed to anything is not expected to deliver anything: a refusal ends as it begins.
    let mut query = db.prepare_cached(&format!(
        "SELECT patients.id, state.newest_instant, links.linked_at, links.state = 'active', state.fully_read_at,
                coalesce(state.failed_polls, 0), state.provider_pulled_at, state.connections_checked_at,
                EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = patients.id
                AND withdrawn_at IS NULL AND {}),
                (SELECT max(changed_at) FROM connections WHERE connections.patient_id = patients.id
                AND state = 'active'),
                EXISTS (SELECT 1 FROM connections WHERE connections.patient_id = patients.id
                AND state IN ('ending', 'ended')),
                EXISTS (SELECT 1 FROM connections WHERE connections.patient_id = patients.id
                AND state = 'authorizing')
         FROM patients JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'
         LEFT JOIN sync_status AS state ON state.patient_id = patients.id
         WHERE (?1 IS NULL OR patients.id = ?1) AND coalesce(state.newest_instant, links.linked_at) <= ?2 AND {}
           AND EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = patients.id
                       AND (withdrawn_at IS NULL OR withdrawn_at > granted_at))
         ORDER BY patients.id",
        consent::IS_DELIVERED,
        visibility::of_patients("patients.id", 3)
    ))?;
    let rows = query.query_map(params![only, now.minus(after), reach], known)?;
    let mut silent = BTreeMap::new();
    for row in rows {
        let (patient, known) = row?;
        if let Some(silence) = silence(&known, after, now) {
            silent.insert(patient, silence);
        }
    }
    Ok(silent)
}

fn known(row: &Row) -> rusqlite::Result<(PatientId, Known)> {
    let active: Option<Timestamp> = row.get(9)?;
    let devices = match (active, row.get(10)?, row.get(11)?) {
        (Some(since), ..) => Devices::Active(since),
        (None, true, _) => Devices::Ended,
        (None, false, true) => Devices::Authorizing,
        (None, false, false) => Devices::Unknown,
    };
    let known = Known {
        newest: row.get(1)?,
        linked: row.get(2)?,
        is_known_at_ow: row.get(3)?,
        read: row.get(4)?,
        failures: row.get(5)?,
        pulled: row.get(6)?,
        asked: row.get(7)?,
        consents: row.get(8)?,
        devices,
    };
    Ok((row.get(0)?, known))
}

/// A silence as it was first noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noticed {
    /// Whose.
    pub patient: PatientId,
    /// Since when, and why as of now.
    pub silence: Silence,
}

/// What is news about who is silent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct News {
    /// Every silence that goes on, each since it was first noticed: late samples that do not end it make no other one
    /// of it.
    pub going_on: Vec<Noticed>,
    /// Those that have ended, of people who are still expected to deliver.
    pub ended: Vec<Noticed>,
}

/// Whether [`note`] would have anything to write.
///
/// # Errors
/// Where the tables cannot be read.
pub fn is_news(db: &Connection, after: Duration, now: Timestamp) -> Result<bool, StoreError> {
    let (silent, known) = (all(db, Reach::Everybody, after, now)?, noticed(db)?);
    let cause = |(patient, silence): (&PatientId, &Silence)| (*patient, silence.cause);
    Ok(!silent.iter().map(cause).eq(known.iter().map(cause)))
}

/// Notes who is silent now, and answers with what that means.
///
/// # Errors
/// Where the tables cannot be read or written.
pub fn note(db: &Connection, after: Duration, now: Timestamp) -> Result<News, StoreError> {
    let silent = all(db, Reach::Everybody, after, now)?;
    let mut known = noticed(db)?;
    let mut news = News::default();
    for (patient, silence) in silent {
        let before = known.remove(&patient);
        let since = match before {
            Some(before) if before.cause == silence.cause => before.since,
            Some(before) => {
                db.prepare_cached("UPDATE silences SET cause = ?2 WHERE patient_id = ?1")?
                    .execute(params![patient, silence.cause.as_str()])?;
                before.since
            }
            None => {
                insert(db, patient, silence, now)?;
                silence.since
            }
        };
        news.going_on.push(Noticed { patient, silence: Silence { since, ..silence } });
    }
    for (patient, silence) in known {
        db.prepare_cached("DELETE FROM silences WHERE patient_id = ?")?.execute([patient])?;
        // A link that was ended, or a longer time in the settings, brings no samples.
        if newest(db, patient)? > Some(silence.since) {
            news.ended.push(Noticed { patient, silence });
        }
    }
    Ok(news)
}

fn insert(db: &Connection, patient: PatientId, silence: Silence, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO silences (patient_id, since, cause, detected_at) VALUES (?, ?, ?, ?)")?
        .execute(params![patient, silence.since, silence.cause.as_str(), now])?;
    Ok(())
}

fn noticed(db: &Connection) -> Result<BTreeMap<PatientId, Silence>, StoreError> {
    let mut query = db.prepare_cached("SELECT patient_id, since, cause FROM silences")?;
    let rows = query.query_map([], |row| {
        // A cause of a later version is as good as another: it is put right at once.
        let cause = Cause::of(row.get_ref(2)?.as_str()?).unwrap_or(Cause::NotWorn);
        Ok((row.get(0)?, Silence { since: row.get(1)?, cause }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn newest(db: &Connection, patient: PatientId) -> Result<Option<Timestamp>, StoreError> {
    let mut query = db.prepare_cached("SELECT max(newest_instant) FROM sync_status WHERE patient_id = ?")?;
    Ok(query.query_row([patient], |row| row.get(0))?)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    const HOUR: Duration = Duration::from_hours(1);
    const AFTER: Duration = Duration::from_hours(36);

    pub(crate) fn start() -> Timestamp {
        Timestamp::parse("2026-11-21T12:00:00Z").unwrap()
    }

    /// A patient who consents, and whose newest sample and last good turn are of the start.
    pub(crate) fn quiet() -> Connection {
        let db = in_memory();
        db.execute_batch(
            "INSERT INTO codes (id, system, code, display) VALUES (1, 's', 'omh:heart-rate:2.0', 'Heart rate');
             INSERT INTO data_sources (id, name, type) VALUES (1, 'Oura', 'personal_device');
             INSERT INTO data_source_codes (data_source_id, code_id) VALUES (1, 1);
             INSERT INTO patients (id, name, time_zone, created_at) VALUES (1, 'A', 'UTC', 0);
             INSERT INTO links (patient_id, ow_user_id, state, linked_at) VALUES (1, 'u', 'active', 0);
             INSERT INTO consents (patient_id, code_id, granted_at) VALUES (1, 1, 1);",
        )
        .unwrap();
        db.execute(
            "INSERT INTO sync_status (patient_id, newest_instant, fully_read_at) VALUES (1, ?1, ?1)",
            [start()],
        )
        .unwrap();
        db
    }

    fn read_at(db: &Connection, at: Timestamp) {
        db.execute("UPDATE sync_status SET fully_read_at = ?", [at]).unwrap();
    }

    fn causes(db: &Connection, now: Timestamp) -> Vec<Cause> {
        note(db, AFTER, now).unwrap().going_on.iter().map(|one| one.silence.cause).collect()
    }

    #[test]
    fn a_cause_that_changes_is_news() {
        let (db, now) = (quiet(), start().plus(HOUR * 48));
        assert!(is_news(&db, AFTER, now).unwrap());
        assert_eq!(causes(&db, now), [Cause::NotRead]);
        read_at(&db, now);
        assert!(is_news(&db, AFTER, now).unwrap());
        assert_eq!(causes(&db, now), [Cause::NotWorn]);
        assert!(!is_news(&db, AFTER, now).unwrap());
    }

    #[test]
    fn late_samples_that_do_not_end_a_silence_make_no_other_one_of_it() {
        let (db, now) = (quiet(), start().plus(HOUR * 48));
        read_at(&db, now);
        let since = |now| note(&db, AFTER, now).unwrap().going_on[0].silence.since;
        assert_eq!(since(now), start());
        db.execute("UPDATE sync_status SET newest_instant = ?", [start().plus(HOUR)]).unwrap();
        assert_eq!(since(now), start());
        db.execute("UPDATE sync_status SET newest_instant = ?", [now]).unwrap();
        let ended = note(&db, AFTER, now).unwrap();
        assert_eq!((ended.going_on.len(), ended.ended.len()), (0, 1));
        read_at(&db, now.plus(HOUR * 48));
        assert_eq!(since(now.plus(HOUR * 48)), now, "that is another one");
    }

    #[test]
    fn a_longer_time_in_the_settings_brings_nobody_back() {
        let (db, now) = (quiet(), start().plus(HOUR * 48));
        read_at(&db, now);
        note(&db, AFTER, now).unwrap();
        assert_eq!(note(&db, AFTER * 2, now).unwrap(), News::default());
    }
}
