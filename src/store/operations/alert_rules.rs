//! Decides which alerts to queue: silent patients, and problems of the daemon itself.

use std::time::Duration;

use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::config::settings::Settings;
use crate::model::alert::{Alert, AlertKind, Channel};
use crate::model::export_health::{ExportHealth, ProblemStatus};
use crate::model::silence::SilenceCause;
use crate::store::operations::{alert_queue, silence};
use crate::store::{engine::setting, error::StoreResult, outbox::outbox};

/// Time without a complete read before an alert, so that one failed tick raises none.
const STUCK_AFTER: Duration = Duration::from_hours(2);

/// Problems of the daemon itself.
#[derive(Debug, Default)]
struct DaemonProblems {
    ongoing: Vec<Alert>,
    resolved: Vec<AlertKind>,
}

/// Facts about the running daemon that decide which rules apply.
#[derive(Debug, Clone)]
pub struct Conditions {
    pub channels: Vec<Channel>,
    /// A tick has run since the process started or the machine woke up. Before that the store is out of date,
    /// and everybody would seem silent.
    pub has_read: bool,
    /// The export to JHE is configured.
    pub exports: bool,
    /// The process or the machine has been awake long enough for an export.
    pub has_exported: bool,
}

/// The result of the rules: alerts to queue or to delete.
#[derive(Debug)]
pub struct PendingAlerts {
    settings: Settings,
    problems: DaemonProblems,
}

impl Conditions {
    /// Applies the rules without writing; none if the queue is already up to date.
    pub fn evaluate(&self, db: &Connection, now: Timestamp) -> StoreResult<Option<PendingAlerts>> {
        let settings = setting::read_all(db)?;
        let mut problems = DaemonProblems::default();
        if self.has_read {
            let (status, cause) = check_stuck(db, &settings, now)?;
            problems.add(db, AlertKind::Stuck, status, cause)?;
        }
        let health = if self.exports { outbox::find_health(db, now)? } else { ExportHealth::default() };
        for (kind, status) in health.problems(now) {
            if self.has_exported || status == ProblemStatus::Over {
                problems.add(db, kind, status, None)?;
            }
        }
        let has_changed = (self.has_read && silence::has_changed(db, settings.silence_after(), now)?)
            || alert_queue::has_unqueued(db, &self.channels, &problems.ongoing)?
            || !problems.resolved.is_empty();
        Ok(has_changed.then_some(PendingAlerts { settings, problems }))
    }

    /// Records who is silent and queues the alerts.
    pub fn enqueue(&self, db: &Connection, pending: &PendingAlerts, now: Timestamp) -> StoreResult<()> {
        if self.has_read {
            enqueue_silences(db, &self.channels, &pending.settings, now)?;
        }
        for alert in &pending.problems.ongoing {
            alert_queue::enqueue(db, &self.channels, alert, now)?;
        }
        pending.problems.resolved.iter().try_for_each(|kind| alert_queue::delete(db, *kind))
    }
}

impl DaemonProblems {
    fn add(
        &mut self,
        db: &Connection,
        kind: AlertKind,
        status: ProblemStatus,
        cause: Option<SilenceCause>,
    ) -> StoreResult<()> {
        let queued = alert_queue::find_since(db, kind)?;
        match (status, queued) {
            (ProblemStatus::Active(found), _) => {
                // A queued problem keeps its first beginning, so that it stays one alert.
                self.ongoing.push(Alert { kind, patient: None, since: queued.unwrap_or(found), cause });
            }
            (ProblemStatus::Over, Some(_)) => self.resolved.push(kind),
            (ProblemStatus::Over, None) | (ProblemStatus::Unchanged, _) => {}
        }
        Ok(())
    }
}

fn enqueue_silences(
    db: &Connection,
    channels: &[Channel],
    settings: &Settings,
    now: Timestamp,
) -> StoreResult<()> {
    let changes = silence::record(db, settings.silence_after(), now)?;
    for one in &changes.ongoing {
        let (patient, cause) = (Some(one.patient), Some(one.silence.cause));
        let alert = Alert { kind: AlertKind::Silent, patient, since: one.silence.since, cause };
        alert_queue::enqueue(db, channels, &alert, now)?;
    }
    for one in changes.ended.iter().filter(|_| settings.alerts_when_back()) {
        alert_queue::enqueue_recovery(db, one.patient, one.silence, now)?;
    }
    alert_queue::delete_ended(db, now)
}

/// Checks whether any patient was read completely in recent hours while polling is on; returns the likely
/// cause if none was.
fn check_stuck(
    db: &Connection,
    settings: &Settings,
    now: Timestamp,
) -> StoreResult<(ProblemStatus, Option<SilenceCause>)> {
    let patience = STUCK_AFTER.max(settings.poll_interval() * 3);
    let last = alert_queue::find_last_full_read(db)?;
    match last.filter(|last| settings.is_on() && last.plus(patience) <= now) {
        Some(last) => Ok((ProblemStatus::Active(last), Some(alert_queue::find_stuck_cause(db)?))),
        None => Ok((ProblemStatus::Over, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::operations::silence::tests::{self, start};

    const HOUR: Duration = Duration::from_hours(1);

    /// A patient without new samples, with polling switched on.
    fn quiet() -> Connection {
        let db = tests::quiet();
        setting::set(&db, "module.ow", "true").unwrap();
        db
    }

    fn conditions() -> Conditions {
        Conditions { channels: vec![Channel::Webhook], has_read: true, exports: true, has_exported: true }
    }

    /// The due alerts after one evaluation.
    fn queued(
        db: &Connection,
        conditions: &Conditions,
        now: Timestamp,
    ) -> Vec<(AlertKind, Option<SilenceCause>)> {
        if let Some(pending) = conditions.evaluate(db, now).unwrap() {
            conditions.enqueue(db, &pending, now).unwrap();
        }
        let due = alert_queue::list_due(db, Channel::Webhook, now).unwrap();
        due.iter().map(|one| (one.alert.kind, one.alert.cause)).collect()
    }

    #[test]
    fn no_alert_is_queued_until_a_tick_has_run_after_a_suspend() {
        let (db, now) = (quiet(), start().plus(HOUR * 48));
        let asleep = Conditions { has_read: false, has_exported: false, ..conditions() };
        assert_eq!(queued(&db, &asleep, now), []);
        let not_read = Some(SilenceCause::NotRead);
        assert_eq!(
            queued(&db, &conditions(), now),
            [(AlertKind::Silent, not_read), (AlertKind::Stuck, not_read)]
        );
    }

    #[test]
    fn an_alert_says_that_nobody_is_read_for_as_long_as_it_lasts() {
        let (db, now) = (quiet(), start().plus(HOUR * 2));
        assert_eq!(queued(&db, &conditions(), start().plus(HOUR)), []);
        db.execute("UPDATE sync_status SET failed_polls = 1", []).unwrap();
        assert_eq!(queued(&db, &conditions(), now), [(AlertKind::Stuck, Some(SilenceCause::OwDown))]);
        assert_eq!(
            queued(&db, &Conditions { has_read: false, ..conditions() }, now),
            [(AlertKind::Stuck, Some(SilenceCause::OwDown))]
        );
        db.execute("UPDATE sync_status SET fully_read_at = ?, failed_polls = 0", [now]).unwrap();
        assert_eq!(queued(&db, &conditions(), now), [], "an unsent alert about a solved problem is deleted");
        db.execute("UPDATE settings SET value = 'false' WHERE key = 'module.ow'", []).unwrap();
        assert_eq!(queued(&db, &conditions(), now.plus(HOUR * 3)), [], "switched off on purpose");
    }

    #[test]
    fn an_error_of_a_patient_who_is_no_longer_read_is_no_cause() {
        let (db, now) = (quiet(), start().plus(HOUR * 2));
        db.execute_batch(
            "INSERT INTO patients (id, name, time_zone, created_at) VALUES (2, 'B', 'UTC', 0);
             INSERT INTO links (patient_id, ow_user_id, state, linked_at) VALUES (2, 'v', 'active', 0);
             INSERT INTO consents (patient_id, code_id, granted_at, withdrawn_at) VALUES (2, 1, 1, 2);",
        )
        .unwrap();
        db.execute(
            "INSERT INTO sync_status (patient_id, fully_read_at, failed_polls) VALUES (2, ?, 1)",
            [now],
        )
        .unwrap();
        assert!(queued(&db, &conditions(), now).contains(&(AlertKind::Stuck, Some(SilenceCause::NotRead))));
    }
}
