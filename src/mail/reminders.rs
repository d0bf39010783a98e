//! Queues reminders to silent patients who agreed to them.

use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::model::account::{Actor, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::mail::MailKind;
use crate::model::patient::PatientId;
use crate::model::silence::SilenceCause;
use crate::model::study::StudyId;
use crate::store::error::StoreResult;
use crate::store::operations::silence;
use crate::store::people::{mail, reminder};
use crate::store::privacy::audit;

/// Lists the reminders that are due. Nobody is reminded of what OW or this daemon has to mend.
pub(crate) fn list_due(db: &Connection, now: Timestamp) -> StoreResult<Vec<(PatientId, StudyId)>> {
    let mut due = Vec::new();
    for (study, rule) in reminder::list_rules(db)? {
        let patients = reminder::list_remindable(db, study, rule, now)?;
        if patients.is_empty() {
            continue;
        }
        let silent = silence::list(db, VisibleTo::Everybody, rule.silence(), now)?;
        let is_own = |patient: &PatientId| {
            let cause = silent.get(patient).map(|silence| silence.cause);
            matches!(cause, Some(SilenceCause::NotWorn | SilenceCause::LinkRevoked))
        };
        due.extend(patients.into_iter().filter(is_own).map(|patient| (patient, study)));
    }
    Ok(due)
}

/// Queues a mail and records it in the audit. Returns false if the same one waits already.
pub(crate) fn enqueue(
    db: &Connection,
    patient: PatientId,
    study: StudyId,
    kind: MailKind,
    actor: Actor,
    now: Timestamp,
) -> StoreResult<bool> {
    let is_new = mail::enqueue(db, patient, study, kind, false, now)?;
    if is_new {
        let detail = AuditDetail::from(kind.as_str()).with("study").with(study);
        audit::record(db, now, actor, "mail.queue", Some(patient), detail)?;
    }
    Ok(is_new)
}
