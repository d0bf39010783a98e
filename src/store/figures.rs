//! What the metrics say of the store: rows that are kept up anyway, and one pass over the links.

use std::time::Duration;

use rusqlite::Connection;

use super::StoreError;
use super::outbox::{self, Counts};
use crate::time::Timestamp;

/// Figures of one moment, of all patients together.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Links by state.
    pub links: [(&'static str, i64); 3],
    /// The outbox by state.
    pub counts: Counts,
    /// Since when what waits longest could have been sent.
    pub oldest: Option<Timestamp>,
    /// The newest samples of linked patients who consent.
    pub newest: Newest,
    /// Of those patients, how many have sent nothing for longer than was asked.
    pub silent: i64,
    /// Linked patients whose last turn ended in an error.
    pub in_error: i64,
}

/// When patients' newest samples were measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Newest {
    /// Half of the patients have a newer one.
    pub median: Option<Timestamp>,
    /// Everybody else has a newer one.
    pub oldest: Option<Timestamp>,
}

/// Reads them. A patient of whom nothing has come yet is as old as the link.
///
/// # Errors
/// Where the tables cannot be read.
pub fn figures(db: &Connection, now: Timestamp, silence: Duration) -> Result<Figures, StoreError> {
    let mut links = [("active", 0), ("needs_relink", 0), ("unlinked", 0)];
    let mut query = db.prepare_cached("SELECT state, count(*) FROM link GROUP BY state")?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let state = row.get_ref(0)?.as_str().unwrap_or_default();
        if let Some((_, count)) = links.iter_mut().find(|(known, _)| *known == state) {
            *count = row.get(1)?;
        }
    }
    let mut query = db.prepare_cached(
        "SELECT coalesce(newest, linked_at) AS age FROM link LEFT JOIN patient_state USING (patient)
         WHERE state = 'active' AND EXISTS (SELECT 1 FROM consent WHERE consent.patient = link.patient
                                            AND withdrawn_at IS NULL)
         ORDER BY age",
    )?;
    let ages = query.query_map([], |row| row.get(0))?.collect::<Result<Vec<Timestamp>, _>>()?;
    let silent = ages.partition_point(|newest| newest.plus(silence) < now);
    let mut query = db.prepare_cached(
        "SELECT count(*) FROM link JOIN patient_state USING (patient) WHERE state <> 'unlinked' AND error IS NOT NULL",
    )?;
    Ok(Figures {
        links,
        counts: outbox::counts(db, None)?,
        oldest: outbox::oldest(db, now)?,
        newest: Newest { median: ages.get(ages.len() / 2).copied(), oldest: ages.first().copied() },
        silent: i64::try_from(silent).unwrap_or(i64::MAX),
        in_error: query.query_row([], |row| row.get(0))?,
    })
}
