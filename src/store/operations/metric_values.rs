//! Collects the values of the metrics: counters that the store maintains anyway, and one pass over the links.

use std::time::Duration;

use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::account::VisibleTo;
use crate::model::metric_values::{MetricValues, NewestSampleTimes};
use crate::store::operations::{counter, patient_status, silence};
use crate::store::{error::StoreResult, outbox::outbox, people::collection_window};

/// Collects the values at `now`. The link's time stands in for the newest sample of a patient without
/// samples. A patient is silent after `after`.
pub fn collect(db: &Connection, now: Timestamp, after: Duration) -> StoreResult<MetricValues> {
    let mut links = [("active", 0), ("needs_relink", 0), ("unlinked", 0)];
    let mut query = db.prepare_cached("SELECT state, count(*) FROM links GROUP BY state")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let state = row.get_ref(0)?.as_str().unwrap_or_default();
        if let Some((_, count)) = links.iter_mut().find(|(known, _)| *known == state) {
            *count = row.get(1)?;
        }
    }
    let mut query = db.prepare_cached(&format!(
        "SELECT coalesce(newest_instant, linked_at) AS age FROM links LEFT JOIN sync_status USING (patient_id)
         WHERE state = 'active' AND EXISTS
             (SELECT 1 FROM consents WHERE patient_id = links.patient_id AND withdrawn_at IS NULL AND {})
         ORDER BY age",
        collection_window::collects_condition("?1", "?1")
    ))?;
    let ages = query.query_map([now], |row| row.get(0))?.collect::<Result<Vec<Timestamp>, _>>()?;
    let mut query = db.prepare_cached(&format!(
        "SELECT count(*) FROM links JOIN sync_status USING (patient_id) WHERE {}",
        patient_status::IS_IN_ERROR
    ))?;
    Ok(MetricValues {
        links,
        outbox: outbox::count_by_state(db, VisibleTo::Everybody, None)?,
        orphans: counter::find(db, outbox::ORPHANS)?.unwrap_or(0),
        oldest_sendable: outbox::find_oldest_due(db, now)?,
        newest: NewestSampleTimes {
            median: ages.get(ages.len() / 2).copied(),
            oldest: ages.first().copied(),
        },
        silent: silence::count_by_cause(&silence::list(db, VisibleTo::Everybody, after, now)?),
        in_error: query.query_row([], |row| row.get(0))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::silence::SilenceCause;
    use crate::store::engine::open::in_memory;
    use std::collections::BTreeMap;

    /// Patients without samples for two days: linked, withdrawn, unknown to OW, unlinked; the last sync of
    /// each failed.
    fn four() -> Connection {
        let db = in_memory();
        db.execute_batch(
            "INSERT INTO codes (id, system, code, display)
             VALUES (1, 's', 'omh:heart-rate:2.0', 'Heart rate');
             INSERT INTO data_sources (id, name, type) VALUES (1, 'Oura', 'personal_device');
             INSERT INTO data_source_codes (data_source_id, code_id) VALUES (1, 1);",
        )
        .unwrap();
        for (patient, state, withdrawn) in
            [(1, "active", None), (2, "active", Some(2)), (3, "needs_relink", None), (4, "unlinked", None)]
        {
            db.execute(
                "INSERT INTO patients (id, name, time_zone, created_at) VALUES (?, 'A', 'UTC', 0)",
                [patient],
            )
            .unwrap();
            db.execute(
                "INSERT INTO links (patient_id, ow_user_id, state, linked_at) VALUES (?1, 'u' || ?1, ?2, 0)",
                rusqlite::params![patient, state],
            )
            .unwrap();
            db.execute(
                "INSERT INTO consents (patient_id, code_id, granted_at, withdrawn_at) VALUES (?, 1, 1, ?)",
                rusqlite::params![patient, withdrawn],
            )
            .unwrap();
            db.execute(
                "INSERT INTO sync_status (patient_id, newest_instant, fully_read_at, last_error)
                 VALUES (?, ?, ?, 'no')",
                rusqlite::params![patient, now().minus(HOUR * 48), now()],
            )
            .unwrap();
        }
        db
    }

    const HOUR: Duration = Duration::from_hours(1);

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-21T12:00:00Z").unwrap()
    }

    #[test]
    fn silent_patients_are_those_of_the_pages_by_cause() {
        let silent = collect(&four(), now(), HOUR * 36).unwrap().silent;
        let expected =
            [(SilenceCause::ConsentWithdrawn, 1), (SilenceCause::UserGone, 1), (SilenceCause::NotWorn, 1)];
        assert_eq!(silent, BTreeMap::from(expected));
        assert!(collect(&four(), now(), HOUR * 49).unwrap().silent.is_empty());
    }

    #[test]
    fn unlinked_patients_are_not_in_error_and_only_patients_with_consent_have_an_age() {
        let values = collect(&four(), now(), HOUR * 36).unwrap();
        assert_eq!(values.in_error, 3);
        assert_eq!(values.links, [("active", 2), ("needs_relink", 1), ("unlinked", 1)]);
        let db = four();
        db.execute(
            "UPDATE sync_status SET newest_instant = ? WHERE patient_id = 2",
            [now().minus(HOUR * 90)],
        )
        .unwrap();
        let newest = collect(&db, now(), HOUR * 36).unwrap().newest;
        assert_eq!(newest.oldest, Some(now().minus(HOUR * 48)), "not of the patient who withdrew");
    }
}
