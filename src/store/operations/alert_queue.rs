//! What is to be told, and what was, on each channel.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::common::backoff::{Backoff, jitter};
use crate::common::time::Timestamp;
use crate::model::alert::{Alert, Channel, Kind};
use crate::model::patient::PatientId;
use crate::model::silence::{Cause, Silence};
use crate::store::error::StoreError;

/// Whoever mends the channel hears of it within the hour.
const BACKOFF: Backoff = Backoff { first: Duration::from_mins(1), longest: Duration::from_hours(1) };
/// How long it is known what was told of silences that have ended.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// An alert that is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Its row.
    pub id: i64,
    /// What it says.
    pub alert: Alert,
}

/// An alert that could not be told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// `webhook` or `mail`.
    pub channel: String,
    /// How many wait there after a failure.
    pub alerts: i64,
    /// Why the last attempt failed.
    pub error: String,
    /// When the next one is due.
    pub due: Timestamp,
}

/// Has an alert told on each of these channels, unless it was, or is about to be.
///
/// # Errors
/// Where the table cannot be written.
pub fn raise(db: &Connection, channels: &[Channel], alert: &Alert, now: Timestamp) -> Result<(), StoreError> {
    let mut insert = db.prepare_cached(
        "INSERT INTO alerts (channel, kind, patient_id, since, cause, raised_at, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT DO NOTHING",
    )?;
    let Alert { kind, patient, since, cause } = alert;
    let cause = cause.map_or("", Cause::as_str);
    for channel in channels {
        insert.execute(params![channel.as_str(), kind.as_str(), patient, since, cause, now])?;
    }
    Ok(())
}

/// Whether an alert is still to be raised on one of these channels: of a silence that goes on, or one of these.
///
/// # Errors
/// Where the tables cannot be read.
pub fn is_lacking(db: &Connection, channels: &[Channel], others: &[Alert]) -> Result<bool, StoreError> {
    let mut silences = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM silences WHERE NOT EXISTS (
             SELECT 1 FROM alerts WHERE channel = ?1 AND kind = ?2
             AND ifnull(alerts.patient_id, 0) = silences.patient_id
                AND alerts.since = silences.since))",
    )?;
    let mut known = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM alerts WHERE channel = ? AND kind = ? AND ifnull(patient_id, 0) = ifnull(?, 0)
                        AND since = ?)",
    )?;
    for channel in channels {
        let silent: bool =
            silences.query_row(params![channel.as_str(), Kind::Silent.as_str()], |row| row.get(0))?;
        if silent {
            return Ok(true);
        }
        for Alert { kind, patient, since, .. } in others {
            let key = params![channel.as_str(), kind.as_str(), patient, since];
            if !known.query_row(key, |row| row.get::<_, bool>(0))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Since when a trouble of the daemon itself goes on; none where nobody was to be told of one.
///
/// # Errors
/// Where the table cannot be read.
pub fn known_since(db: &Connection, kind: Kind) -> Result<Option<Timestamp>, StoreError> {
    let mut query =
        db.prepare_cached("SELECT max(since) FROM alerts WHERE kind = ? AND patient_id IS NULL")?;
    Ok(query.query_row([kind.as_str()], |row| row.get(0))?)
}

/// Forgets a trouble of the daemon itself that is over: the next one is another.
///
/// # Errors
/// Where the table cannot be written.
pub fn forget(db: &Connection, kind: Kind) -> Result<(), StoreError> {
    db.execute("DELETE FROM alerts WHERE kind = ? AND patient_id IS NULL", [kind.as_str()])?;
    Ok(())
}

/// Has the end of a silence told, where its beginning was.
///
/// # Errors
/// Where the table cannot be written.
pub fn raise_back(
    db: &Connection,
    patient: PatientId,
    silence: Silence,
    now: Timestamp,
) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO alerts (channel, kind, patient_id, since, cause, raised_at, due_at)
         SELECT channel, ?1, patient_id, since, cause, ?5, ?5 FROM alerts
         WHERE patient_id = ?2 AND since = ?3 AND kind = ?4 AND sent_at IS NOT NULL ON CONFLICT DO NOTHING",
        params![Kind::Back.as_str(), patient, silence.since, Kind::Silent.as_str(), now],
    )?;
    Ok(())
}

/// Forgets what was to be told of silences that have ended, and what was told of them long ago.
///
/// # Errors
/// Where the table cannot be written.
pub fn forget_ended(db: &Connection, now: Timestamp) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM alerts WHERE kind = ?1 AND (sent_at IS NULL OR sent_at < ?2)
           AND NOT EXISTS (SELECT 1 FROM silences WHERE silences.patient_id = alerts.patient_id
           AND silences.since = alerts.since)",
        params![Kind::Silent.as_str(), now.minus(KEPT)],
    )?;
    db.execute(
        "DELETE FROM alerts WHERE kind <> ?1 AND sent_at < ?2",
        params![Kind::Silent.as_str(), now.minus(KEPT)],
    )?;
    Ok(())
}

/// What is to be told on a channel now, the oldest first.
///
/// # Errors
/// Where the table cannot be read.
pub fn due(db: &Connection, channel: Channel, now: Timestamp) -> Result<Vec<Waiting>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT id, kind, patient_id, since, cause FROM alerts
         WHERE sent_at IS NULL AND due_at <= ? AND channel = ? ORDER BY id",
    )?;
    let rows = query.query_map(params![now, channel.as_str()], |row| {
        let (kind, cause) = (Kind::of(row.get_ref(1)?.as_str()?), Cause::of(row.get_ref(4)?.as_str()?));
        let alert =
            Alert { kind: kind.unwrap_or(Kind::Stuck), patient: row.get(2)?, since: row.get(3)?, cause };
        Ok(Waiting { id: row.get(0)?, alert })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes how telling these went: told, or due again, by and by less often.
///
/// # Errors
/// Where the table cannot be written.
pub fn note(
    db: &Connection,
    ids: &[i64],
    sent: &Result<(), String>,
    now: Timestamp,
) -> Result<(), StoreError> {
    for id in ids {
        match sent {
            Ok(()) => {
                db.prepare_cached("UPDATE alerts SET sent_at = ?2, last_error = NULL WHERE id = ?1")?
                    .execute(params![id, now])?;
            }
            Err(error) => {
                let attempts: u32 =
                    db.query_row("SELECT attempts FROM alerts WHERE id = ?", [id], |row| row.get(0))?;
                let due = now.plus(BACKOFF.pause(attempts, jitter()));
                db.prepare_cached(
                    "UPDATE alerts SET attempts = attempts + 1, due_at = ?2, last_error = ?3 WHERE id = ?1",
                )?
                .execute(params![id, due, error])?;
            }
        }
    }
    Ok(())
}

/// What could not be told so far, by channel.
///
/// # Errors
/// Where the table cannot be read.
pub fn untold(db: &Connection) -> Result<Vec<Untold>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT channel, count(*), max(last_error), min(due_at) FROM alerts
         WHERE sent_at IS NULL AND last_error IS NOT NULL GROUP BY channel",
    )?;
    let rows = query.query_map([], |row| {
        Ok(Untold { channel: row.get(0)?, alerts: row.get(1)?, error: row.get(2)?, due: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// When anybody was last read to the end; none where there is nobody to read, or never was.
///
/// # Errors
/// Where the tables cannot be read.
pub fn last_read(db: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT max(fully_read_at) FROM sync_status JOIN links ON links.patient_id = sync_status.patient_id
         WHERE links.state = 'active'
           AND EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = links.patient_id AND withdrawn_at IS NULL)",
    )?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Why nobody is read.
///
/// # Errors
/// Where the table cannot be read.
pub fn stuck_by(db: &Connection) -> Result<Cause, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT coalesce(max(failed_polls), 0) > 0 FROM sync_status
         JOIN links ON links.patient_id = sync_status.patient_id
         WHERE links.state = 'active'
           AND EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = links.patient_id AND withdrawn_at IS NULL)",
    )?;
    let fails: bool = query.query_row([], |row| row.get(0))?;
    Ok(if fails { Cause::OwDown } else { Cause::NotRead })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    #[test]
    fn an_end_is_told_where_the_beginning_was_and_what_has_ended_untold_is_forgotten() {
        let db = in_memory();
        db.execute("INSERT INTO patients (id, name, time_zone, created_at) VALUES (1, 'A', 'UTC', 0)", [])
            .unwrap();
        let (patient, now) = (PatientId::new(1), Timestamp::parse("2026-11-21T12:00:00Z").unwrap());
        let silence = Silence { since: now.minus(Duration::from_hours(40)), cause: Cause::NotWorn };
        let silent = Alert {
            kind: Kind::Silent,
            patient: Some(patient),
            since: silence.since,
            cause: Some(silence.cause),
        };
        let told = |db: &Connection| -> Vec<Kind> {
            due(db, Channel::Mail, now).unwrap().iter().map(|one| one.alert.kind).collect()
        };
        raise(&db, &[Channel::Mail], &silent, now).unwrap();
        raise_back(&db, patient, silence, now).unwrap();
        assert_eq!(told(&db), [Kind::Silent]);
        forget_ended(&db, now).unwrap();
        assert_eq!(told(&db), [], "it ended before anybody could be told");
        raise(&db, &[Channel::Mail], &silent, now).unwrap();
        note(&db, &[due(&db, Channel::Mail, now).unwrap()[0].id], &Ok(()), now).unwrap();
        raise_back(&db, patient, silence, now).unwrap();
        forget_ended(&db, now).unwrap();
        assert_eq!(told(&db), [Kind::Back]);
    }
}
