//! What the metrics say of the store: rows that are kept up anyway, and one pass over the links.

use std::time::Duration;

use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::account::Reach;
use crate::model::metric_values::{Figures, Newest};
use crate::store::error::StoreError;
use crate::store::operations::silence;
use crate::store::outbox::outbox;

/// Reads them. A patient of whom nothing has come yet is as old as the link; silent is of whom nothing has come for
/// `after`.
///
/// # Errors
/// Where the tables cannot be read.
pub fn figures(db: &Connection, now: Timestamp, after: Duration) -> Result<Figures, StoreError> {
    let mut links = [("active", 0), ("needs_relink", 0), ("unlinked", 0)];
    let mut query = db.prepare_cached("SELECT state, count(*) FROM links GROUP BY state")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let state = row.get_ref(0)?.as_str().unwrap_or_default();
        if let Some((_, count)) = links.iter_mut().find(|(known, _)| *known == state) {
            *count = row.get(1)?;
        }
    }
    let mut query = db.prepare_cached(
        "SELECT coalesce(newest_instant, linked_at) AS age FROM links LEFT JOIN sync_status USING (patient_id)
         WHERE state = 'active' AND EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = links.patient_id
                                            AND withdrawn_at IS NULL)
         ORDER BY age",
    )?;
    let ages = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<Timestamp>, _>>()?;
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM links JOIN sync_status USING (patient_id) WHERE state <> 'unlinked'
         AND last_error IS NOT NULL",
    )?;
    Ok(Figures {
        links,
        counts: outbox::counts(db, None)?,
        oldest: outbox::oldest(db, now)?,
        newest: Newest { median: ages.get(ages.len() / 2).copied(), oldest: ages.first().copied() },
        silent: silence::by_cause(&silence::all(db, Reach::Everybody, after, now)?),
        in_error: query.query_row([], |row| row.get(0))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::silence::Cause;
    use crate::store::engine::open::in_memory;
    use std::collections::BTreeMap;

    /// Patients of whom nothing has come for two days: all is well, withdrawn, unknown to OW, unlinked; each was in error
    /// in the last turn.
    fn four() -> Connection {
        let db = in_memory();
        db.execute_batch(
            "INSERT INTO codes (id, system, code, display) VALUES (1, 's', 'omh:heart-rate:2.0', 'Heart rate');
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
    fn the_silent_are_those_of_the_pages_by_their_cause() {
        let silent = figures(&four(), now(), HOUR * 36).unwrap().silent;
        let expected = [(Cause::ConsentWithdrawn, 1), (Cause::UserGone, 1), (Cause::NotWorn, 1)];
        assert_eq!(silent, BTreeMap::from(expected));
        assert!(figures(&four(), now(), HOUR * 49).unwrap().silent.is_empty());
    }

    #[test]
    fn who_is_linked_no_more_is_in_no_error_and_the_ages_are_of_those_who_consent() {
        let figures = figures(&four(), now(), HOUR * 36).unwrap();
        assert_eq!(figures.in_error, 3);
        assert_eq!(figures.links, [("active", 2), ("needs_relink", 1), ("unlinked", 1)]);
        let db = four();
        db.execute(
            "UPDATE sync_status SET newest_instant = ? WHERE patient_id = 2",
            [now().minus(HOUR * 90)],
        )
        .unwrap();
        let newest = crate::store::operations::metric_values::figures(&db, now(), HOUR * 36).unwrap().newest;
        assert_eq!(newest.oldest, Some(now().minus(HOUR * 48)), "not of who withdrew");
    }
}
