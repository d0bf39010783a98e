//! Hourly counters over all patients. They are updated together with the events that they count, so that the
//! page System reads only a few dozen rows. They contain no data about a single person.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::error_kind::ErrorKind;
use crate::store::error::StoreResult;

/// Hours to keep: five weeks.
const RETENTION: i64 = 35 * 24;

/// Counters summed over one or more hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub created: i64,
    pub revised: i64,
    pub rejected: i64,
    pub lag: Lag,
    /// All ticks that ended.
    pub ticks: i64,
    pub ticks_partial: i64,
    pub ticks_failed: i64,
    /// The total duration of all ticks.
    pub tick_millis: i64,
    pub delivered: i64,
    /// Observations that began to wait for consent or for a repair of the configuration.
    pub parked: i64,
    pub dead: i64,
}

/// The time from a measurement to its commit, over some samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    pub samples: i64,
    /// The sum over all samples.
    pub seconds: i64,
    pub max_seconds: i64,
}

impl Lag {
    /// Adds one sample.
    pub fn add(&mut self, measured: Timestamp, committed: Timestamp) {
        let seconds = i64::try_from(committed.since(measured).as_secs()).unwrap_or(i64::MAX);
        *self += Self { samples: 1, seconds, max_seconds: seconds };
    }

    /// Returns the mean lag in seconds; none without samples.
    pub fn mean(self) -> Option<i64> {
        (self.samples > 0).then(|| self.seconds / self.samples)
    }
}

impl std::ops::AddAssign for Lag {
    fn add_assign(&mut self, other: Self) {
        self.samples += other.samples;
        self.seconds = self.seconds.saturating_add(other.seconds);
        self.max_seconds = self.max_seconds.max(other.max_seconds);
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

/// The result of one tick.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TickResult {
    Complete,
    /// The polls of some patients failed.
    Partial,
    /// It did not start, or stopped early.
    Failed,
}

impl Totals {
    /// Returns the counters of one tick.
    pub fn tick(result: TickResult, length: Duration) -> Self {
        Self {
            ticks: 1,
            ticks_partial: i64::from(result == TickResult::Partial),
            ticks_failed: i64::from(result == TickResult::Failed),
            tick_millis: i64::try_from(length.as_millis()).unwrap_or(i64::MAX),
            ..Self::default()
        }
    }
}

/// Adds `more` to the counters of the hour of `now`.
pub fn add(db: &Connection, now: Timestamp, more: &Totals) -> StoreResult<()> {
    if *more == Totals::default() {
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO hourly_counters (hour, created, revised, rejected, lag_samples, lag_seconds,
                                      lag_max_seconds, ticks, ticks_partial, ticks_failed, tick_milliseconds,
                                      delivered, parked, dead)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET
             created = created + excluded.created, revised = revised + excluded.revised,
             rejected = rejected + excluded.rejected, lag_samples = lag_samples + excluded.lag_samples,
             lag_seconds = lag_seconds + excluded.lag_seconds,
             lag_max_seconds = max(lag_max_seconds, excluded.lag_max_seconds),
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
        more.lag.max_seconds,
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

/// Counts one error in the hour of `now`.
pub fn record_error(db: &Connection, now: Timestamp, kind: ErrorKind) -> StoreResult<()> {
    db.prepare_cached(
        "INSERT INTO hourly_errors (hour, kind, errors) VALUES (?, ?, 1)
         ON CONFLICT DO UPDATE SET errors = errors + 1",
    )?
    .execute(params![now.hour(), kind.as_str()])?;
    Ok(())
}

/// Deletes the hours beyond the retention.
pub fn delete_old(db: &Connection, now: Timestamp) -> StoreResult<()> {
    let oldest = now.hour() - RETENTION;
    db.prepare_cached("DELETE FROM hourly_counters WHERE hour < ?")?.execute([oldest])?;
    db.prepare_cached("DELETE FROM hourly_errors WHERE hour < ?")?.execute([oldest])?;
    Ok(())
}

/// Lists the hours with any event from `hour` on, the oldest first.
pub fn list_since(db: &Connection, hour: i64) -> StoreResult<Vec<(i64, Totals)>> {
    let mut query = db.prepare_cached(
        "SELECT hour, created, revised, rejected, lag_samples, lag_seconds, lag_max_seconds,
                ticks, ticks_partial, ticks_failed, tick_milliseconds, delivered, parked, dead
         FROM hourly_counters WHERE hour >= ? ORDER BY hour",
    )?;
    let rows = query.query_map([hour], |row| {
        let totals = Totals {
            created: row.get(1)?,
            revised: row.get(2)?,
            rejected: row.get(3)?,
            lag: Lag { samples: row.get(4)?, seconds: row.get(5)?, max_seconds: row.get(6)? },
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

/// Lists hour, kind and number of errors from `hour` on, the oldest first. Skips kinds that another version
/// wrote.
pub fn list_errors_since(db: &Connection, hour: i64) -> StoreResult<Vec<(i64, ErrorKind, i64)>> {
    let mut query = db
        .prepare_cached("SELECT hour, kind, errors FROM hourly_errors WHERE hour >= ? ORDER BY hour, kind")?;
    let mut rows = query.query([hour])?;
    let mut errors = Vec::new();
    while let Some(row) = rows.next()? {
        let name = row.get_ref(1)?.as_str().unwrap_or_default();
        if let Some(kind) = ErrorKind::ALL.iter().copied().find(|kind| kind.as_str() == name) {
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
    fn an_hour_adds_up_and_is_deleted_after_five_weeks() {
        let db = in_memory();
        let now = Timestamp::parse("2026-11-21T12:10:00Z").unwrap();
        let mut lag = Lag::default();
        lag.add(now.minus(Duration::from_mins(10)), now);
        lag.add(now.minus(Duration::from_mins(20)), now);
        let samples = Totals { created: 2, lag, ..Totals::default() };
        let tick = Totals::tick(TickResult::Partial, Duration::from_secs(3));
        add(&db, now, &samples).unwrap();
        add(&db, now.plus(Duration::from_mins(5)), &tick).unwrap();
        add(&db, now, &Totals { lag: Lag { samples: 1, seconds: 60, max_seconds: 60 }, ..Totals::default() })
            .unwrap();
        record_error(&db, now, ErrorKind::OwSilent).unwrap();
        record_error(&db, now, ErrorKind::OwSilent).unwrap();
        let (hour, all) = list_since(&db, 0).unwrap()[0];
        assert_eq!((hour, all.created, all.ticks, all.ticks_partial), (now.hour(), 2, 1, 1));
        assert_eq!(
            (all.lag, all.lag.mean()),
            (Lag { samples: 3, seconds: 1860, max_seconds: 1200 }, Some(620))
        );
        assert_eq!(list_errors_since(&db, 0).unwrap(), [(now.hour(), ErrorKind::OwSilent, 2)]);
        delete_old(&db, now.plus(Duration::from_hours(35 * 24))).unwrap();
        assert_eq!((list_since(&db, 0).unwrap().len(), list_errors_since(&db, 0).unwrap().len()), (1, 1));
        delete_old(&db, now.plus(Duration::from_hours(35 * 24 + 1))).unwrap();
        assert_eq!((list_since(&db, 0).unwrap().len(), list_errors_since(&db, 0).unwrap().len()), (0, 0));
    }
}
