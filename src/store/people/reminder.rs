//! Reminders by mail: what a study wants, and which patients agreed to them.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::audit_detail::AuditDetail;
use crate::model::{account::Actor, patient::PatientId, study::StudyId};
use crate::store::{error::StoreResult, privacy::audit};

const DAY: Duration = Duration::from_hours(24);

/// The days of silence after which a study reminds a patient, and the days between reminders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReminderRule {
    pub after: u32,
    pub every: u32,
}

impl ReminderRule {
    pub fn silence(self) -> Duration {
        DAY * self.after
    }
}

/// Returns the rule of a study; none if it reminds nobody.
pub fn find_rule(db: &Connection, study: StudyId) -> StoreResult<Option<ReminderRule>> {
    let select = "SELECT remind_after_days, remind_every_days FROM studies
         WHERE id = ? AND remind_after_days IS NOT NULL";
    let found = db
        .prepare_cached(select)?
        .query_row([study], |row| Ok(ReminderRule { after: row.get(0)?, every: row.get(1)? }));
    Ok(found.optional()?)
}

pub fn set_rule(db: &Connection, study: StudyId, rule: Option<ReminderRule>) -> StoreResult<()> {
    let update =
        "UPDATE studies SET remind_after_days = ?2, remind_every_days = coalesce(?3, remind_every_days)
         WHERE id = ?1";
    db.execute(update, params![study, rule.map(|rule| rule.after), rule.map(|rule| rule.every)])?;
    Ok(())
}

/// Lists the studies that remind, each with its rule.
pub fn list_rules(db: &Connection) -> StoreResult<Vec<(StudyId, ReminderRule)>> {
    let select =
        "SELECT id, remind_after_days, remind_every_days FROM studies WHERE remind_after_days IS NOT NULL";
    let mut query = db.prepare_cached(select)?;
    let rows = query
        .query_map([], |row| Ok((row.get(0)?, ReminderRule { after: row.get(1)?, every: row.get(2)? })))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// A condition on the rows of `enrolments`: the patient agreed to reminders of the study, still shares data with it,
/// and has an address.
const MAY_REMIND: &str = "reminders_agreed_at IS NOT NULL AND enrolments.completed_at IS NULL
     AND EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = enrolments.patient_id
                 AND consents.study_id = enrolments.study_id AND withdrawn_at IS NULL)
     AND EXISTS (SELECT 1 FROM patients WHERE patients.id = enrolments.patient_id AND email IS NOT NULL)";

pub fn may_remind(db: &Connection, patient: PatientId, study: StudyId) -> StoreResult<bool> {
    let select = format!("SELECT 1 FROM enrolments WHERE patient_id = ? AND study_id = ? AND {MAY_REMIND}");
    Ok(db.prepare_cached(&select)?.exists(params![patient, study])?)
}

/// Lists the patients of a study who may get a reminder and had none for the rule's pause.
pub fn list_remindable(
    db: &Connection,
    study: StudyId,
    rule: ReminderRule,
    now: Timestamp,
) -> StoreResult<Vec<PatientId>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT patient_id FROM enrolments WHERE study_id = ?1 AND {MAY_REMIND} AND NOT EXISTS
         (SELECT 1 FROM mails WHERE mails.patient_id = enrolments.patient_id AND mails.study_id = ?1
          AND kind = 'reminder' AND state <> 'cancelled' AND queued_at > ?2)"
    ))?;
    let since = now.minus(DAY * rule.every);
    Ok(query.query_map(params![study, since], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Records that a patient agreed to the reminders of a study. Returns false if that is known.
pub fn agree(db: &Connection, patient: PatientId, study: StudyId, now: Timestamp) -> StoreResult<bool> {
    let update = "UPDATE enrolments SET reminders_agreed_at = ?
         WHERE patient_id = ? AND study_id = ? AND reminders_agreed_at IS NULL";
    Ok(db.execute(update, params![now, patient, study])? > 0)
}

/// Lists the studies whose reminders a patient agreed to.
pub fn list_agreed(db: &Connection, patient: PatientId) -> StoreResult<Vec<StudyId>> {
    let select = "SELECT study_id FROM enrolments WHERE patient_id = ? AND reminders_agreed_at IS NOT NULL";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_map([patient], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Stops the reminders of studies with which a patient shares nothing any more. Sharing again needs a new tick.
pub(super) fn stop_without_consent(db: &Connection, patient: PatientId, now: Timestamp) -> StoreResult<()> {
    let mut update = db.prepare_cached(
        "UPDATE enrolments SET reminders_agreed_at = NULL
         WHERE patient_id = ?1 AND reminders_agreed_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM consents WHERE consents.patient_id = ?1
                           AND consents.study_id = enrolments.study_id AND withdrawn_at IS NULL)
         RETURNING study_id",
    )?;
    let stopped = update.query_map([patient], |row| row.get(0))?.collect::<Result<Vec<StudyId>, _>>()?;
    for study in stopped {
        let detail = AuditDetail::from("study").with(study);
        audit::record(db, now, Actor::Daemon, "reminders.stop", Some(patient), detail)?;
    }
    Ok(())
}

/// Stops the reminders of a study. Returns false if there were none.
pub fn stop(db: &Connection, patient: PatientId, study: StudyId) -> StoreResult<bool> {
    let update = "UPDATE enrolments SET reminders_agreed_at = NULL
         WHERE patient_id = ? AND study_id = ? AND reminders_agreed_at IS NOT NULL";
    Ok(db.execute(update, params![patient, study])? > 0)
}
