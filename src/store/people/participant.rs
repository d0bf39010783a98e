//! The participants of a study. One query reads all of them, so that a list of ten thousand can be sorted and counted.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::account::{Role, VisibleTo};
use crate::model::collection_window::LATE_DATA;
use crate::model::participant::Participant;
use crate::model::study::StudyId;
use crate::store::error::StoreResult;
use crate::store::people::{consent, visibility};

/// Lists the participants of a study whom an account may see, by their numbers. Names that it may not see are empty.
pub fn list(
    db: &Connection,
    study: StudyId,
    viewer: VisibleTo,
    now: Timestamp,
) -> StoreResult<Vec<Participant>> {
    // A consent that ended when it began was declined.
    let mut query = db.prepare_cached(&format!(
        "SELECT enrolments.patient_id, participant, iif({}, patients.name, ''), patients.time_zone,
                (SELECT max(newest_instant) FROM streams
                 WHERE streams.patient_id = patients.id AND entered_in_error = 0 AND {}
                   AND code_id IN (SELECT code_id FROM study_codes WHERE study_id = ?1)),
                (SELECT group_concat(provider, char(10)) FROM connections
                 WHERE connections.patient_id = patients.id AND state = 'active'),
                EXISTS (SELECT 1 FROM connections WHERE connections.patient_id = patients.id),
                link.state,
                EXISTS (SELECT 1 FROM invitations WHERE patient_id = patients.id AND used_at IS NULL
                        AND revoked_at IS NULL AND expires_at > ?3
                          AND coalesce(invitations.study_id, ?1) = ?1),
                consent.agreed, iif(consent.is_open, NULL, consent.withdrawn),
                (SELECT min(linked_at) FROM links WHERE links.patient_id = patients.id),
                collects_from, collects_until
         FROM enrolments JOIN patients ON patients.id = enrolments.patient_id
         LEFT JOIN links AS link ON link.patient_id = patients.id AND link.state <> 'unlinked'
         LEFT JOIN (SELECT own.patient_id, min(granted_at) AS agreed, max(withdrawn_at) AS withdrawn,
                           count(*) > count(withdrawn_at) AS is_open
                    FROM enrolments AS own CROSS JOIN consents ON consents.patient_id = own.patient_id
                    WHERE own.study_id = ?1 AND (consents.study_id IS NULL OR consents.study_id = ?1)
                      AND (withdrawn_at IS NULL OR withdrawn_at > granted_at)
                      AND code_id IN (SELECT code_id FROM study_codes WHERE study_id = ?1 AND {deliverable})
                    GROUP BY own.patient_id) AS consent ON consent.patient_id = patients.id
         WHERE enrolments.study_id = ?1 AND {} ORDER BY length(participant), participant",
        visibility::patient_condition("enrolments.patient_id", 2, Role::Coordinator),
        visibility::given_condition("streams.patient_id", "streams.code_id", "?1"),
        visibility::patient_condition("enrolments.patient_id", 2, Role::Viewer),
        deliverable = consent::deliverable_condition("study_codes")
    ))?;
    let rows = query.query_map(params![study, viewer, now], |row| {
        let (providers, link): (Option<String>, Option<String>) = (row.get(5)?, row.get(7)?);
        Ok(Participant {
            patient: row.get(0)?,
            number: row.get(1)?,
            name: row.get(2)?,
            time_zone: row.get(3)?,
            newest: row.get(4)?,
            providers: providers.iter().flat_map(|names| names.split('\n')).map(str::to_owned).collect(),
            has_device: row.get(6)?,
            is_linked: link.is_some(),
            needs_relink: link.as_deref() == Some("needs_relink"),
            is_invited: row.get(8)?,
            agreed: row.get(9)?,
            withdrawn: row.get(10)?,
            linked: row.get(11)?,
            limits: (row.get(12)?, row.get(13)?),
            is_completed: row.get::<_, Option<Timestamp>>(13)?.is_some_and(|end| end.plus(LATE_DATA) <= now),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
