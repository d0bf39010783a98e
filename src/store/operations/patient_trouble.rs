//! Troubles of single patients that a coordinator can end, besides silence.

use rusqlite::{Connection, params};

use crate::common::time::{Timestamp, ZoneOffset};
use crate::model::account::{Role, VisibleTo};
use crate::model::patient::PatientId;
use crate::store::{error::StoreResult, people::visibility};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientTrouble {
    pub patient: PatientId,
    pub label: String,
    pub kind: TroubleKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TroubleKind {
    /// The newest mail could not be sent, since then and for this reason.
    MailNotSent(Timestamp, String),
    /// The samples of three days carry another offset than the time zone has.
    TimeZone { zone: String, offset: ZoneOffset },
}

/// Lists the troubles of the patients for whom the account is at least a coordinator; at most `limit` of each kind.
pub fn list(db: &Connection, viewer: VisibleTo, limit: u32) -> StoreResult<Vec<PatientTrouble>> {
    let label = visibility::patient_label(1);
    let visible = visibility::patient_condition("patients.id", 1, Role::Coordinator);
    let mut query = db.prepare_cached(&format!(
        "SELECT patients.id, {label}, settled_at, ifnull(last_error, '') FROM mails
         JOIN patients ON patients.id = mails.patient_id
         WHERE state = 'refused' AND {visible}
           AND NOT EXISTS (SELECT 1 FROM mails AS later WHERE later.patient_id = patients.id AND later.id > mails.id)
         ORDER BY settled_at LIMIT ?2"
    ))?;
    let rows = query.query_map(params![viewer, limit], |row| {
        let kind = TroubleKind::MailNotSent(row.get(2)?, row.get(3)?);
        Ok(PatientTrouble { patient: row.get(0)?, label: row.get(1)?, kind })
    })?;
    let mut troubles = rows.collect::<Result<Vec<_>, _>>()?;
    let mut query = db.prepare_cached(&format!(
        "SELECT patients.id, {label}, time_zone, contradicting_offset FROM sync_status
         JOIN patients ON patients.id = sync_status.patient_id
         WHERE contradicting_offset IS NOT NULL AND {visible} ORDER BY patients.id LIMIT ?2"
    ))?;
    let rows = query.query_map(params![viewer, limit], |row| {
        let kind = TroubleKind::TimeZone { zone: row.get(2)?, offset: row.get(3)? };
        Ok(PatientTrouble { patient: row.get(0)?, label: row.get(1)?, kind })
    })?;
    for trouble in rows {
        troubles.push(trouble?);
    }
    Ok(troubles)
}
