//! Silent patients: linked, expected to deliver, and without new samples. The queries read rows of patients,
//! never samples.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::{Connection, Row, params};

use crate::common::time::Timestamp;
use crate::model::account::{Role, VisibleTo};
use crate::model::patient::PatientId;
use crate::model::silence::{DeviceStatus, LinkStatus, Silence, SilenceCause, detect};
use crate::store::error::StoreResult;
use crate::store::people::{collection_window, consent, visibility};

/// Lists the silent patients of [`list`] except those who withdrew.
pub fn list_needing_action(
    db: &Connection,
    visible: VisibleTo,
    after: Duration,
    now: Timestamp,
) -> StoreResult<BTreeMap<PatientId, Silence>> {
    let mut silent = list(db, visible, after, now)?;
    silent.retain(|_, silence| silence.cause != SilenceCause::ConsentWithdrawn);
    Ok(silent)
}

/// Lists the visible patients whose newest sample is at least `after` old at `now`.
pub fn list(
    db: &Connection,
    visible: VisibleTo,
    after: Duration,
    now: Timestamp,
) -> StoreResult<BTreeMap<PatientId, Silence>> {
    list_of(db, visible, None, after, now)
}

pub fn find(
    db: &Connection,
    visible: VisibleTo,
    patient: PatientId,
    after: Duration,
    now: Timestamp,
) -> StoreResult<Option<Silence>> {
    Ok(list_of(db, visible, Some(patient), after, now)?.remove(&patient))
}

/// Counts the silent patients by cause. A cause without patients has no entry.
pub fn count_by_cause(silent: &BTreeMap<PatientId, Silence>) -> BTreeMap<SilenceCause, usize> {
    let mut counts = BTreeMap::new();
    for silence in silent.values() {
        *counts.entry(silence.cause).or_default() += 1;
    }
    counts
}

fn list_of(
    db: &Connection,
    visible: VisibleTo,
    only: Option<PatientId>,
    after: Duration,
    now: Timestamp,
) -> StoreResult<BTreeMap<PatientId, Silence>> {
    // Patients who have only declined are not expected to deliver: a declined consent ends when it begins.
    let mut query = db.prepare_cached(&format!(
        "SELECT patients.id, {}, links.linked_at, links.state = 'active',
                state.fully_read_at, coalesce(state.failed_polls, 0), state.provider_pulled_at,
                state.connections_checked_at,
                EXISTS (SELECT 1 FROM consents WHERE patient_id = patients.id
                        AND withdrawn_at IS NULL AND {} AND {collects}),
                (SELECT max(changed_at) FROM connections WHERE patient_id = patients.id AND state = 'active'),
                EXISTS (SELECT 1 FROM connections WHERE patient_id = patients.id
                        AND state IN ('ending', 'ended')),
                EXISTS (SELECT 1 FROM connections WHERE patient_id = patients.id AND state = 'authorizing')
         FROM patients JOIN links ON links.patient_id = patients.id AND links.state <> 'unlinked'
         LEFT JOIN sync_status AS state ON state.patient_id = patients.id
         WHERE (?1 IS NULL OR patients.id = ?1) AND {}
           AND coalesce(state.newest_instant, links.linked_at) <= ?2
           AND EXISTS (SELECT 1 FROM consents WHERE patient_id = patients.id
                       AND (withdrawn_at IS NULL OR withdrawn_at > granted_at) AND {collects})
         ORDER BY patients.id",
        visibility::newest_instant(3),
        consent::deliverable_condition("consents"),
        visibility::patient_condition("patients.id", 3, Role::Viewer),
        // Nothing is expected outside of a collection window, nor at once when it begins.
        collects = collection_window::collects_condition("?2", "?4"),
    ))?;
    let rows = query.query_map(params![only, now.minus(after), visible, now], link_status)?;
    let mut silent = BTreeMap::new();
    for row in rows {
        let (patient, status) = row?;
        silent.extend(detect(&status, after, now).map(|silence| (patient, silence)));
    }
    Ok(silent)
}

fn link_status(row: &Row) -> rusqlite::Result<(PatientId, LinkStatus)> {
    let active: Option<Timestamp> = row.get(9)?;
    let devices = match (active, row.get(10)?, row.get(11)?) {
        (Some(since), ..) => DeviceStatus::Active(since),
        (None, true, _) => DeviceStatus::Ended,
        (None, false, true) => DeviceStatus::Authorizing,
        (None, false, false) => DeviceStatus::Unknown,
    };
    let status = LinkStatus {
        newest: row.get(1)?,
        linked: row.get(2)?,
        is_known_at_ow: row.get(3)?,
        last_complete_read: row.get(4)?,
        failures: row.get(5)?,
        last_pull: row.get(6)?,
        pull_checked: row.get(7)?,
        has_consent: row.get(8)?,
        devices,
    };
    Ok((row.get(0)?, status))
}

/// The silence of one patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatientSilence {
    pub patient: PatientId,
    pub silence: Silence,
}

/// The silences that [`record`] has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SilenceChanges {
    /// All current silences. Each keeps its first recorded beginning: late samples that do not end a silence
    /// do not start another one.
    pub ongoing: Vec<PatientSilence>,
    /// Ended silences of patients who are still expected to deliver.
    pub ended: Vec<PatientSilence>,
}

/// Returns true if [`record`] would write anything.
pub fn has_changed(db: &Connection, after: Duration, now: Timestamp) -> StoreResult<bool> {
    let (silent, recorded) = (list(db, VisibleTo::Everybody, after, now)?, list_recorded(db)?);
    let cause = |(patient, silence): (&PatientId, &Silence)| (*patient, silence.cause);
    Ok(!silent.iter().map(cause).eq(recorded.iter().map(cause)))
}

/// Updates the table of silences and returns the changes.
pub fn record(db: &Connection, after: Duration, now: Timestamp) -> StoreResult<SilenceChanges> {
    let mut recorded = list_recorded(db)?;
    let mut changes = SilenceChanges::default();
    for (patient, Silence { mut since, cause }) in list(db, VisibleTo::Everybody, after, now)? {
        match recorded.remove(&patient) {
            Some(before) => {
                since = before.since;
                if before.cause != cause {
                    db.prepare_cached("UPDATE silences SET cause = ?2 WHERE patient_id = ?1")?
                        .execute(params![patient, cause.as_str()])?;
                }
            }
            None => {
                db.prepare_cached(
                    "INSERT INTO silences (patient_id, since, cause, detected_at) VALUES (?, ?, ?, ?)",
                )?
                .execute(params![patient, since, cause.as_str(), now])?;
            }
        }
        changes.ongoing.push(PatientSilence { patient, silence: Silence { since, cause } });
    }
    for (patient, silence) in recorded {
        db.prepare_cached("DELETE FROM silences WHERE patient_id = ?")?.execute([patient])?;
        // Only new samples are a recovery. A silence also disappears if the link ended or the configured time
        // became longer.
        if find_newest(db, patient)? > Some(silence.since) {
            changes.ended.push(PatientSilence { patient, silence });
        }
    }
    Ok(changes)
}

fn list_recorded(db: &Connection) -> StoreResult<BTreeMap<PatientId, Silence>> {
    let mut query = db.prepare_cached("SELECT patient_id, since, cause FROM silences")?;
    let rows = query.query_map([], |row| {
        // An unknown cause comes from a later version; the next `record` corrects it.
        let cause = SilenceCause::parse(row.get_ref(2)?.as_str()?).unwrap_or(SilenceCause::NotWorn);
        Ok((row.get(0)?, Silence { since: row.get(1)?, cause }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn find_newest(db: &Connection, patient: PatientId) -> StoreResult<Option<Timestamp>> {
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

    /// A consenting patient whose newest sample and last complete read are both at [`start`].
    pub(crate) fn quiet() -> Connection {
        let db = in_memory();
        db.execute_batch(
            "INSERT INTO codes (id, system, code, display)
             VALUES (1, 's', 'omh:heart-rate:2.0', 'Heart rate');
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

    fn causes(db: &Connection, now: Timestamp) -> Vec<SilenceCause> {
        record(db, AFTER, now).unwrap().ongoing.iter().map(|one| one.silence.cause).collect()
    }

    #[test]
    fn a_changed_cause_is_a_change() {
        let (db, now) = (quiet(), start().plus(HOUR * 48));
        assert!(has_changed(&db, AFTER, now).unwrap());
        assert_eq!(causes(&db, now), [SilenceCause::NotRead]);
        read_at(&db, now);
        assert!(has_changed(&db, AFTER, now).unwrap());
        assert_eq!(causes(&db, now), [SilenceCause::NotWorn]);
        assert!(!has_changed(&db, AFTER, now).unwrap());
    }

    #[test]
    fn late_samples_that_do_not_end_a_silence_start_no_other_one() {
        let (db, now) = (quiet(), start().plus(HOUR * 48));
        read_at(&db, now);
        let since = |now| record(&db, AFTER, now).unwrap().ongoing[0].silence.since;
        assert_eq!(since(now), start());
        db.execute("UPDATE sync_status SET newest_instant = ?", [start().plus(HOUR)]).unwrap();
        assert_eq!(since(now), start());
        db.execute("UPDATE sync_status SET newest_instant = ?", [now]).unwrap();
        let ended = record(&db, AFTER, now).unwrap();
        assert_eq!((ended.ongoing.len(), ended.ended.len()), (0, 1));
        read_at(&db, now.plus(HOUR * 48));
        assert_eq!(since(now.plus(HOUR * 48)), now, "a new silence");
    }

    #[test]
    fn a_longer_time_in_the_settings_ends_no_silence() {
        let (db, now) = (quiet(), start().plus(HOUR * 48));
        read_at(&db, now);
        record(&db, AFTER, now).unwrap();
        assert_eq!(record(&db, AFTER * 2, now).unwrap(), SilenceChanges::default());
    }
}
