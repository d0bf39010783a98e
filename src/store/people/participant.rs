//! The participants of a study. One query reads all of them, so that a list of ten thousand can be sorted and counted.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::collection_window::LATE_DATA;
use crate::model::participant::Participant;
use crate::model::study::StudyId;
use crate::store::{error::StoreResult, people::visibility};

/// Lists the participants of a study, by their numbers. Without `with_names`, names are empty.
pub fn list(
    db: &Connection,
    study: StudyId,
    with_names: bool,
    now: Timestamp,
) -> StoreResult<Vec<Participant>> {
    // A consent that ended when it began was declined.
    let mut query = db.prepare_cached(&format!(
        "SELECT enrolments.patient_id, participant, iif(?2, patients.name, ''), patients.time_zone,
                (SELECT max(newest_instant) FROM streams
                 WHERE streams.patient_id = patients.id AND entered_in_error = 0 AND {}
                   AND code_id IN (SELECT code_id FROM study_codes WHERE study_id = ?1)),
                device.providers, ifnull(link.needs_relink, 0),
                EXISTS (SELECT 1 FROM invitations WHERE patient_id = patients.id AND used_at IS NULL
                        AND revoked_at IS NULL AND expires_at > ?3),
                consent.agreed, iif(consent.is_open, NULL, consent.withdrawn), link.linked,
                collects_from, collects_until
         FROM enrolments JOIN patients ON patients.id = enrolments.patient_id
         LEFT JOIN (SELECT patient_id, min(linked_at) AS linked,
                           max(state = 'needs_relink') AS needs_relink FROM links GROUP BY patient_id) AS link
           ON link.patient_id = patients.id
         LEFT JOIN (SELECT patient_id, group_concat(provider, char(10)) AS providers FROM connections
                    WHERE state = 'active' GROUP BY patient_id) AS device ON device.patient_id = patients.id
         LEFT JOIN (SELECT patient_id, min(granted_at) AS agreed, max(withdrawn_at) AS withdrawn,
                           count(*) > count(withdrawn_at) AS is_open
                    FROM consents WHERE (study_id IS NULL OR study_id = ?1)
                      AND (withdrawn_at IS NULL OR withdrawn_at > granted_at)
                      AND code_id IN (SELECT code_id FROM study_codes WHERE study_id = ?1)
                    GROUP BY patient_id) AS consent ON consent.patient_id = patients.id
         WHERE enrolments.study_id = ?1 ORDER BY length(participant), participant",
        visibility::given_condition("streams.patient_id", "streams.code_id", "?1")
    ))?;
    let rows = query.query_map(params![study, with_names, now], |row| {
        let providers: Option<String> = row.get(5)?;
        Ok(Participant {
            patient: row.get(0)?,
            number: row.get(1)?,
            name: row.get(2)?,
            time_zone: row.get(3)?,
            newest: row.get(4)?,
            providers: providers.iter().flat_map(|names| names.split('\n')).map(str::to_owned).collect(),
            needs_relink: row.get(6)?,
            is_invited: row.get(7)?,
            agreed: row.get(8)?,
            withdrawn: row.get(9)?,
            linked: row.get(10)?,
            limits: (row.get(11)?, row.get(12)?),
            is_completed: row.get::<_, Option<Timestamp>>(12)?.is_some_and(|end| end.plus(LATE_DATA) <= now),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
