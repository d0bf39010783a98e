//! Alerts to send and alerts sent, one row per channel.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::common::backoff::{Backoff, jitter};
use crate::common::time::Timestamp;
use crate::model::alert::{Alert, AlertKind, Channel};
use crate::model::patient::PatientId;
use crate::model::silence::{Silence, SilenceCause};
use crate::store::error::StoreResult;

/// Pauses after a failed attempt. A repaired channel gets its alerts within an hour.
const BACKOFF: Backoff = Backoff { first: Duration::from_mins(1), longest: Duration::from_hours(1) };
/// Time after which sent alerts are deleted, unless their silence is still ongoing.
const RETENTION: Duration = Duration::from_hours(90 * 24);

/// An alert that is due on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuedAlert {
    pub id: i64,
    pub alert: Alert,
}

/// The alerts of one channel that were tried and not sent yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAlerts {
    /// `webhook` or `mail`.
    pub channel: String,
    pub alerts: i64,
    /// The time at which the oldest of them was raised.
    pub since: Timestamp,
    /// The error of one of the last attempts.
    pub error: String,
    /// The next attempt.
    pub due: Timestamp,
}

/// Queues an alert on each channel that does not have it yet.
pub fn enqueue(db: &Connection, channels: &[Channel], alert: &Alert, now: Timestamp) -> StoreResult<()> {
    let mut insert = db.prepare_cached(
        "INSERT INTO alerts (channel, kind, patient_id, since, cause, raised_at, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT DO NOTHING",
    )?;
    let Alert { kind, patient, since, cause } = alert;
    let cause = cause.map_or("", SilenceCause::as_str);
    for channel in channels {
        insert.execute(params![channel.as_str(), kind.as_str(), patient, since, cause, now])?;
    }
    Ok(())
}

/// Returns true if a recorded silence or one of the alerts in `others` is not queued on one of the channels.
pub fn has_unqueued(db: &Connection, channels: &[Channel], others: &[Alert]) -> StoreResult<bool> {
    let mut silences = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM silences WHERE NOT EXISTS (
             SELECT 1 FROM alerts WHERE channel = ?1 AND kind = ?2
             AND ifnull(alerts.patient_id, 0) = silences.patient_id AND alerts.since = silences.since))",
    )?;
    let mut queued = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM alerts WHERE channel = ? AND kind = ? AND since = ?
                        AND ifnull(patient_id, 0) = ifnull(?, 0))",
    )?;
    for channel in channels {
        let silent = params![channel.as_str(), AlertKind::Silent.as_str()];
        if silences.query_row(silent, |row| row.get(0))? {
            return Ok(true);
        }
        for Alert { kind, patient, since, .. } in others {
            let key = params![channel.as_str(), kind.as_str(), since, patient];
            if !queued.query_row(key, |row| row.get::<_, bool>(0))? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Returns the beginning of a problem of the daemon itself from its queued alert; none without an alert.
pub fn find_since(db: &Connection, kind: AlertKind) -> StoreResult<Option<Timestamp>> {
    let mut query =
        db.prepare_cached("SELECT max(since) FROM alerts WHERE kind = ? AND patient_id IS NULL")?;
    Ok(query.query_row([kind.as_str()], |row| row.get(0))?)
}

/// Deletes the alerts about a problem of the daemon that is over, so that its next occurrence is a new alert.
pub fn delete(db: &Connection, kind: AlertKind) -> StoreResult<()> {
    db.execute("DELETE FROM alerts WHERE kind = ? AND patient_id IS NULL", [kind.as_str()])?;
    Ok(())
}

/// Queues the recovery on each channel that has sent the alert about the silence.
pub fn enqueue_recovery(
    db: &Connection,
    patient: PatientId,
    silence: Silence,
    now: Timestamp,
) -> StoreResult<()> {
    db.execute(
        "INSERT INTO alerts (channel, kind, patient_id, since, cause, raised_at, due_at)
         SELECT channel, ?1, patient_id, since, cause, ?5, ?5 FROM alerts
         WHERE patient_id = ?2 AND since = ?3 AND kind = ?4 AND sent_at IS NOT NULL ON CONFLICT DO NOTHING",
        params![AlertKind::Back.as_str(), patient, silence.since, AlertKind::Silent.as_str(), now],
    )?;
    Ok(())
}

/// Deletes unsent alerts about silences that have ended, and sent alerts after the retention.
pub fn delete_ended(db: &Connection, now: Timestamp) -> StoreResult<()> {
    let (silent, oldest) = (AlertKind::Silent.as_str(), now.minus(RETENTION));
    db.execute(
        "DELETE FROM alerts WHERE kind = ?1 AND (sent_at IS NULL OR sent_at < ?2)
           AND NOT EXISTS (SELECT 1 FROM silences WHERE silences.patient_id = alerts.patient_id
                           AND silences.since = alerts.since)",
        params![silent, oldest],
    )?;
    db.execute("DELETE FROM alerts WHERE kind <> ?1 AND sent_at < ?2", params![silent, oldest])?;
    Ok(())
}

/// Lists the alerts that are due on a channel, the oldest first.
pub fn list_due(db: &Connection, channel: Channel, now: Timestamp) -> StoreResult<Vec<QueuedAlert>> {
    let mut query = db.prepare_cached(
        "SELECT id, kind, patient_id, since, cause FROM alerts
         WHERE sent_at IS NULL AND due_at <= ? AND channel = ? ORDER BY id",
    )?;
    let rows = query.query_map(params![now, channel.as_str()], |row| {
        // A newer version may have written a kind that this one does not know.
        let kind = AlertKind::parse(row.get_ref(1)?.as_str()?).unwrap_or(AlertKind::Stuck);
        let cause = SilenceCause::parse(row.get_ref(4)?.as_str()?);
        let alert = Alert { kind, patient: row.get(2)?, since: row.get(3)?, cause };
        Ok(QueuedAlert { id: row.get(0)?, alert })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Records the result of sending these alerts: sent, or due again after the back-off.
pub fn record_attempt(
    db: &Connection,
    ids: &[i64],
    sent: &Result<(), String>,
    now: Timestamp,
) -> StoreResult<()> {
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

/// Lists the channels with alerts that could not be sent yet.
pub fn list_failed(db: &Connection) -> StoreResult<Vec<FailedAlerts>> {
    let mut query = db.prepare_cached(
        "SELECT channel, count(*), min(raised_at), max(last_error), min(due_at) FROM alerts
         WHERE sent_at IS NULL AND last_error IS NOT NULL GROUP BY channel",
    )?;
    let rows = query.query_map([], |row| {
        let (channel, alerts, since) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(FailedAlerts { channel, alerts, since, error: row.get(3)?, due: row.get(4)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the time of the last complete read of any linked patient with an active consent; none if there was
/// none.
pub fn find_last_full_read(db: &Connection) -> StoreResult<Option<Timestamp>> {
    Ok(query_readable(db, "max(fully_read_at)")?)
}

/// Returns the likely reason why no patient is read.
pub fn find_stuck_cause(db: &Connection) -> StoreResult<SilenceCause> {
    let fails: bool = query_readable(db, "coalesce(max(failed_polls), 0) > 0")?;
    Ok(if fails { SilenceCause::OwDown } else { SilenceCause::NotRead })
}

/// Evaluates an aggregate over the sync status of all linked patients with an active consent.
fn query_readable<T: rusqlite::types::FromSql>(db: &Connection, aggregate: &str) -> rusqlite::Result<T> {
    db.prepare_cached(&format!(
        "SELECT {aggregate} FROM sync_status JOIN links ON links.patient_id = sync_status.patient_id
         WHERE links.state = 'active'
           AND EXISTS (SELECT 1 FROM consents WHERE patient_id = links.patient_id AND withdrawn_at IS NULL)"
    ))?
    .query_row([], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::open::in_memory;

    #[test]
    fn a_recovery_goes_where_the_silence_was_sent_and_unsent_alerts_of_ended_silences_are_deleted() {
        let db = in_memory();
        db.execute("INSERT INTO patients (id, name, time_zone, created_at) VALUES (1, 'A', 'UTC', 0)", [])
            .unwrap();
        let (patient, now) = (PatientId::new(1), Timestamp::parse("2026-11-21T12:00:00Z").unwrap());
        let silence = Silence { since: now.minus(Duration::from_hours(40)), cause: SilenceCause::NotWorn };
        let silent = Alert {
            kind: AlertKind::Silent,
            patient: Some(patient),
            since: silence.since,
            cause: Some(silence.cause),
        };
        let due = |db: &Connection| -> Vec<AlertKind> {
            list_due(db, Channel::Mail, now).unwrap().iter().map(|queued| queued.alert.kind).collect()
        };
        enqueue(&db, &[Channel::Mail], &silent, now).unwrap();
        enqueue_recovery(&db, patient, silence, now).unwrap();
        assert_eq!(due(&db), [AlertKind::Silent]);
        delete_ended(&db, now).unwrap();
        assert_eq!(due(&db), [], "it ended before it was sent");
        enqueue(&db, &[Channel::Mail], &silent, now).unwrap();
        let id = list_due(&db, Channel::Mail, now).unwrap()[0].id;
        record_attempt(&db, &[id], &Ok(()), now).unwrap();
        enqueue_recovery(&db, patient, silence, now).unwrap();
        delete_ended(&db, now).unwrap();
        assert_eq!(due(&db), [AlertKind::Back]);
    }
}
