//! Applies to a restored store what a restore must not undo: nobody is signed in, and no consent that may have
//! been withdrawn since the backup counts.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::patient::PatientId;
use crate::store::engine::setting;
use crate::store::error::StoreResult;
use crate::store::operations::{counter, tick_lock};
use crate::store::privacy::audit;
use crate::store::samples::commit_number;

/// The counter that holds the time of the last restore, in microseconds since 1970.
const RESTORED: &str = "restored_at";

/// The consents of a restored store that were recorded here, not at JHE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalConsents {
    /// Suspends those that are active: a withdrawal since the backup may be lost.
    Suspend {
        /// The last activity in the backup.
        as_of: Timestamp,
    },
    /// An operator vouches for them, or the withdrawals since the backup are known.
    Keep,
}

/// Adapts a restored store to the present, in one transaction: ends all access and the tick that held the lock,
/// and treats the outbox as possibly delivered.
pub(crate) fn adapt(db: &Connection, consents: LocalConsents, now: Timestamp) -> StoreResult<()> {
    let transaction = db.unchecked_transaction()?;
    transaction.execute("UPDATE outbox SET requeued = 1", [])?;
    commit_number::skip_after_restore(&transaction, now)?;
    setting::unset(&transaction, tick_lock::KEY)?;
    for table in ["sync_lock", "sessions", "sign_in_links", "known_browsers", "authorizations", "jhe_tokens"]
    {
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
    }
    transaction.execute("UPDATE api_tokens SET revoked_at = coalesce(revoked_at, ?)", [now])?;
    let invitations = "UPDATE invitations SET revoked_at = coalesce(revoked_at, ?), used_by_hash = NULL";
    transaction.execute(invitations, [now])?;
    // Those of the backup may have been sent since.
    let mails = "UPDATE mails SET state = 'cancelled', last_error = 'a backup was restored', settled_at = ?
         WHERE state = 'waiting'";
    transaction.execute(mails, [now])?;
    if let LocalConsents::Suspend { as_of } = consents {
        // A patient may have stopped reminders since the backup.
        transaction.execute("UPDATE enrolments SET reminders_agreed_at = NULL", [])?;
        transaction.execute(
            "UPDATE consents SET suspended = 1, withdrawn_at = max(granted_at, ?)
             WHERE withdrawn_at IS NULL AND jhe_confirmed_at IS NULL",
            [as_of],
        )?;
    }
    counter::set(&transaction, RESTORED, now.micros())?;
    audit::record(&transaction, now, Actor::CommandLine, "store.restore", None, "")?;
    Ok(transaction.commit()?)
}

/// A patient whose consents are suspended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuspendedPatient {
    pub patient: PatientId,
    pub name: String,
    /// Names of the data types.
    pub scopes: String,
    /// The last activity in the backup.
    pub as_of: Timestamp,
}

/// Lists the patients with suspended consents.
pub fn list_suspended(db: &Connection) -> StoreResult<Vec<SuspendedPatient>> {
    let mut query = db.prepare_cached(
        "SELECT patient_id, name, group_concat(DISTINCT display), max(withdrawn_at) FROM consents
         JOIN patients ON patients.id = patient_id JOIN codes ON codes.id = code_id
         WHERE suspended = 1 GROUP BY patient_id ORDER BY patient_id",
    )?;
    let rows = query.query_map([], |row| {
        let scopes: String = row.get(2)?;
        Ok(SuspendedPatient {
            patient: row.get(0)?,
            name: row.get(1)?,
            scopes: scopes.replace(',', ", "),
            as_of: row.get(3)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Counts the patients with suspended consents.
pub fn count_suspended(db: &Connection) -> StoreResult<i64> {
    let mut query =
        db.prepare_cached("SELECT count(DISTINCT patient_id) FROM consents WHERE suspended = 1")?;
    Ok(query.query_row([], |row| row.get(0))?)
}

/// Makes suspended consents active again, as if they had never been suspended, of one patient or of all. Returns
/// the number of patients.
pub fn confirm_suspended(
    db: &Connection,
    patient: Option<PatientId>,
    actor: Actor,
    now: Timestamp,
) -> StoreResult<usize> {
    let suspended = list_suspended(db)?;
    let confirmed =
        suspended.iter().map(|one| one.patient).filter(|one| patient.is_none_or(|only| only == *one));
    let mut count = 0;
    for one in confirmed {
        // A grant that the patient has given since stays, and the suspended one has ended.
        db.execute(
            "UPDATE OR IGNORE consents SET withdrawn_at = NULL WHERE suspended = 1 AND patient_id = ?",
            [one],
        )?;
        db.execute("UPDATE consents SET suspended = 0 WHERE patient_id = ?", [one])?;
        audit::record(db, now, actor, "consent.confirm", Some(one), "after a restore")?;
        count += 1;
    }
    Ok(count)
}

/// Ends a patient's suspended consents for good: the patient had withdrawn them since the backup.
pub fn withdraw_suspended(
    db: &Connection,
    patient: PatientId,
    actor: Actor,
    now: Timestamp,
) -> StoreResult<()> {
    db.execute("UPDATE consents SET suspended = 0 WHERE suspended = 1 AND patient_id = ?", [patient])?;
    audit::record(db, now, actor, "consent.withdraw", Some(patient), "before a restore")
}

/// Returns true if everything of a patient was read since the last restore.
pub fn is_read_since(db: &Connection, patient: PatientId) -> StoreResult<bool> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM sync_status JOIN counters ON name = ? AND fully_read_at >= value
                        WHERE patient_id = ?)",
    )?;
    Ok(query.query_row(params![RESTORED, patient], |row| row.get(0))?)
}

/// Counts the patients with waiting observations of whom not everything was read since the last restore.
pub fn count_unread(db: &Connection) -> StoreResult<i64> {
    let mut query = db.prepare_cached(
        "SELECT count(DISTINCT streams.patient_id) FROM counters, outbox_counts
         JOIN streams ON streams.id = stream_id LEFT JOIN sync_status USING (patient_id)
         WHERE name = ? AND state = 'pending' AND rows > 0 AND coalesce(fully_read_at, 0) < value",
    )?;
    Ok(query.query_row([RESTORED], |row| row.get(0))?)
}

/// Returns the time of the last restore.
pub fn find_last_restore(db: &Connection) -> StoreResult<Option<Timestamp>> {
    Ok(counter::find(db, RESTORED)?.map(Timestamp::from_micros))
}
