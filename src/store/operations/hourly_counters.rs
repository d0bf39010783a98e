//! What each hour came to, of all patients together: written along with what happens, so that the overview reads some
//! dozens of rows and counts nothing. There is nothing of any one person in it.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::error_kind::Kind;
use crate::store::error::StoreError;

/// Hours that are kept: five weeks.
const KEPT: i64 = 35 * 24;

/// What an hour, or several, came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Samples kept as new observations.
    pub created: i64,
    /// Samples kept as revisions.
    pub revised: i64,
    /// Samples that could not be converted.
    pub rejected: i64,
    /// How late the new ones were.
    pub lag: Lag,
    /// Ticks that ended, however they did.
    pub ticks: i64,
    /// Of them, those in which patients were in error.
    pub ticks_partial: i64,
    /// Of them, those that could not run, or not to their end.
    pub ticks_failed: i64,
    /// How long all of them took.
    pub tick_millis: i64,
    /// Observations that JHE took.
    pub delivered: i64,
    /// Observations that began to wait for consent, or for somebody to mend something.
    pub parked: i64,
    /// Observations that JHE refused.
    pub dead: i64,
}

/// How late samples were kept after they had been measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// How many samples this tells of.
    pub samples: i64,
    /// The seconds of all of them, added up.
    pub seconds: i64,
    /// The seconds of the latest.
    pub most: i64,
}

impl Lag {
    /// Takes in another sample.
    pub fn add(&mut self, measured: Timestamp, kept: Timestamp) {
        let seconds = i64::try_from(kept.since(measured).as_secs()).unwrap_or(i64::MAX);
        self.samples += 1;
        self.seconds = self.seconds.saturating_add(seconds);
        self.most = self.most.max(seconds);
    }

    /// The seconds of one sample, on average; none where there was none.
    pub fn mean(self) -> Option<i64> {
        (self.samples > 0).then(|| self.seconds / self.samples)
    }
}

impl std::ops::AddAssign for Lag {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.seconds = self.seconds.saturating_add(other.seconds);
        self.most = self.most.max(other.most);
    }
}

impl std::ops::AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.revised += other.revised;
        self.rejected += other.rejected;
        self.lag += other.lag;
        self.ticks += other.ticks;
        self.ticks_partial += other.ticks_partial;
        self.ticks_failed += other.ticks_failed;
        self.tick_millis = self.tick_millis.saturating_add(other.tick_millis);
        self.delivered += other.delivered;
        self.parked += other.parked;
        self.dead += other.dead;
    }
}

/// How a tick ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It read every patient.
    Complete,
    /// It read every patient but some.
    Partial,
    /// It could not run, or not to its end.
    Failed,
}

impl Totals {
    /// One tick.
    pub fn tick(ended: Ended, length: Duration) -> Self {
        Self {
            ticks: 1,
            ticks_partial: i64::from(ended == Ended::Partial),
            ticks_failed: i64::from(ended == Ended::Failed),
            tick_millis: i64::try_from(length.as_millis()).unwrap_or(i64::MAX),
            ..Self::default()
        }
    }
}

/// Adds to the hour of `now`.
///
/// # Errors
/// Where the table cannot be written.
pub fn add(db: &Connection, now: Timestamp, more: &Totals) -> Result<(), StoreError> {
    if *more == Totals::default() {
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO hourly_counters (hour, created, revised, rejected, lag_samples, lag_seconds,
         lag_max_seconds, ticks,
                                 ticks_partial, ticks_failed, tick_milliseconds, delivered, parked, dead)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             created = created + excluded.created, revised = revised + excluded.revised,
             rejected = rejected + excluded.rejected, lag_samples = lag_samples + excluded.lag_samples,
             lag_seconds = lag_seconds + excluded.lag_seconds, lag_max_seconds = max(lag_max_seconds,
             excluded.lag_max_seconds),
             ticks = ticks + excluded.ticks, ticks_partial = ticks_partial + excluded.ticks_partial,
             ticks_failed = ticks_failed + excluded.ticks_failed,
             tick_milliseconds = tick_milliseconds + excluded.tick_milliseconds,
             delivered = delivered + excluded.delivered, parked = parked + excluded.parked,
             dead = dead + excluded.dead",
    )?
    .execute(params![
        now.hour(),
        more.created,
        more.revised,
        more.rejected,
        more.lag.samples,
        more.lag.seconds,
        more.lag.most,
        more.ticks,
        more.ticks_partial,
        more.ticks_failed,
        more.tick_millis,
        more.delivered,
        more.parked,
        more.dead
    ])?;
    Ok(())
}

/// Notes that something went wrong.
///
/// # Errors
/// Where the table cannot be written.
pub fn note_error(db: &Connection, now: Timestamp, kind: Kind) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO hourly_errors (hour, kind, errors) VALUES (?, ?, 1)
         ON CONFLICT DO UPDATE SET errors = errors + 1",
    )?
    .execute(params![now.hour(), kind.as_str()])?;
    Ok(())
}

/// Forgets the hours that are older than five weeks.
///
/// # Errors
/// Where the tables cannot be written.
pub fn trim(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM hourly_counters WHERE hour < ?")?.execute([now.hour() - KEPT])?;
    db.prepare_cached("DELETE FROM hourly_errors WHERE hour < ?")?.execute([now.hour() - KEPT])?;
    Ok(())
}

/// The hours from this one on in which anything happened, the oldest first.
///
/// # Errors
/// Where the table cannot be read.
pub fn since(db: &Connection, hour: i64) -> Result<Vec<(i64, Totals)>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT hour, created, revised, rejected, lag_samples, lag_seconds, lag_max_seconds, ticks, ticks_partial,
                ticks_failed, tick_milliseconds, delivered, parked, dead
         FROM hourly_counters WHERE hour >= ? ORDER BY hour",
    )?;
    let rows = query.query_map([hour], |row| {
        let lag = Lag { samples: row.get(4)?, seconds: row.get(5)?, most: row.get(6)? };
        let totals = Totals {
            created: row.get(1)?,
            revised: row.get(2)?,
            rejected: row.get(3)?,
            lag,
            ticks: row.get(7)?,
            ticks_partial: row.get(8)?,
            ticks_failed: row.get(9)?,
            tick_millis: row.get(10)?,
            delivered: row.get(11)?,
            parked: row.get(12)?,
            dead: row.get(13)?,
        };
        Ok((row.get(0)?, totals))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What went wrong from this hour on: hour, kind and how often, the oldest first. Kinds of another version are left out.
///
/// # Errors
/// Where the table cannot be read.
pub fn errors_since(db: &Connection, hour: i64) -> Result<Vec<(i64, Kind, i64)>, StoreError> {
    let mut query = db
        .prepare_cached("SELECT hour, kind, errors FROM hourly_errors WHERE hour >= ? ORDER BY hour, kind")?;
    let mut rows = query.query([hour])?;
    let mut errors = Vec::new();
    while let Some(row) = rows.next()? {
        let word = row.get_ref(1)?.as_str().unwrap_or_default();
        if let Some(kind) = Kind::ALL.iter().copied().find(|kind| kind.as_str() == word) {
            errors.push((row.get(0)?, kind, row.get(2)?));
        }
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    #[test]
    fn an_hour_adds_up_and_is_forgotten_after_five_weeks() {
        let db = in_memory();
        let now = Timestamp::parse("2026-11-21T12:10:00Z").unwrap();
        let mut lag = Lag::default();
        lag.add(now.minus(Duration::from_mins(10)), now);
        lag.add(now.minus(Duration::from_mins(20)), now);
        let samples = Totals { created: 2, lag, ..Totals::default() };
        let tick = Totals::tick(Ended::Partial, Duration::from_secs(3));
        add(&db, now, &samples).unwrap();
        add(&db, now.plus(Duration::from_mins(5)), &tick).unwrap();
        add(&db, now, &Totals { lag: Lag { samples: 1, seconds: 60, most: 60 }, ..Totals::default() })
            .unwrap();
        note_error(&db, now, Kind::OwSilent).unwrap();
        note_error(&db, now, Kind::OwSilent).unwrap();
        let (hour, all) = since(&db, 0).unwrap()[0];
        assert_eq!((hour, all.created, all.ticks, all.ticks_partial), (now.hour(), 2, 1, 1));
        assert_eq!((all.lag, all.lag.mean()), (Lag { samples: 3, seconds: 1860, most: 1200 }, Some(620)));
        assert_eq!(errors_since(&db, 0).unwrap(), [(now.hour(), Kind::OwSilent, 2)]);
        trim(&db, now.plus(Duration::from_hours(35 * 24))).unwrap();
        assert_eq!((since(&db, 0).unwrap().len(), errors_since(&db, 0).unwrap().len()), (1, 1));
        trim(&db, now.plus(Duration::from_hours(35 * 24 + 1))).unwrap();
        assert_eq!((since(&db, 0).unwrap().len(), errors_since(&db, 0).unwrap().len()), (0, 0));
    }
}
