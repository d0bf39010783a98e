//! Reads what a data set contains: participants, consents, streams, rows and deleted rows. The caller holds one
//! snapshot.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::{Timestamp, ZoneOffset, time_zone_or_utc};
use crate::model::account::{Role, VisibleTo};
use crate::model::consent_intervals::{ConsentIntervals, Grant};
use crate::model::observation::StreamInfo;
use crate::model::sample_details::SampleDetails;
use crate::model::{activity_context::ActivityContext, patient::PatientId, study::StudyId};
use crate::store::error::{StoreError, StoreResult};
use crate::store::people::{collection_window, consent::COVERS_FROM, visibility};
use crate::store::privacy::withdrawal;
use crate::store::samples::observation::{SELECT_STREAMS, stream_from_row};

/// A commit: its number, and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub number: i64,
    pub instant: Timestamp,
}

/// A patient of a study.
#[derive(Debug, Clone)]
pub struct Participant {
    pub patient: PatientId,
    /// Study number.
    pub participant: String,
    pub enrolled: Timestamp,
    /// Name of the time zone.
    pub zone_name: String,
    pub zone: TimeZone,
    /// False while the time zone is a default.
    pub zone_is_set: bool,
    /// The commit since which a reader needs everything of the participant anew.
    pub changed_at_commit: i64,
    /// Limits of the collection window.
    pub limits: (Option<Timestamp>, Option<Timestamp>),
}

/// A consent of a participant, or a refusal.
#[derive(Debug, Clone)]
pub struct ConsentRow {
    pub code: String,
    pub display: String,
    pub grant: Grant,
    /// Version and language of the text; none for a consent that an operator or JHE recorded.
    pub text: Option<(String, String)>,
}

/// One stored observation of a stream.
#[derive(Debug)]
pub struct DataRow {
    pub instant: Timestamp,
    pub value: f64,
    pub zone: Option<ZoneOffset>,
    pub revision: i64,
    pub context: Option<ActivityContext>,
    pub details: Option<SampleDetails>,
    /// The commit that last changed the row.
    pub commit: i64,
}

/// An observation that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedRow {
    pub participant: String,
    /// None: everything of the participant.
    pub observation: Option<(String, String)>,
}

/// Returns the id and name of the study with this number or name.
pub fn find_study(db: &Connection, text: &str) -> StoreResult<(StudyId, String)> {
    let mut query = db.prepare_cached(
        "SELECT id, name FROM studies WHERE CAST(id AS TEXT) = ?1 OR name = ?1 ORDER BY name = ?1 DESC",
    )?;
    let found = query.query_row([text], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    found.ok_or_else(|| StoreError::Refused(format!("there is no study '{text}'")))
}

/// Lists all studies: id and name.
pub fn list_studies(db: &Connection) -> StoreResult<Vec<(StudyId, String)>> {
    let mut query = db.prepare_cached("SELECT id, name FROM studies ORDER BY id")?;
    Ok(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Lists the names of a study's participants by study number.
pub fn list_names(db: &Connection, study: StudyId) -> StoreResult<BTreeMap<String, String>> {
    let select = "SELECT participant, name FROM enrolments JOIN patients ON patients.id = patient_id
         WHERE study_id = ?";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_map([study], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Returns the newest commit; number 0 in a store without samples.
pub fn find_last_commit(db: &Connection) -> StoreResult<Commit> {
    let mut query = db.prepare_cached("SELECT number, instant FROM commits ORDER BY number DESC LIMIT 1")?;
    let found = query.query_row([], |row| Ok(Commit { number: row.get(0)?, instant: row.get(1)? }));
    Ok(found.optional()?.unwrap_or(Commit { number: 0, instant: Timestamp::MIN }))
}

/// Returns true if the store has a commit. A restore removes those since the backup.
pub fn has_commit(db: &Connection, number: i64) -> StoreResult<bool> {
    let mut query = db.prepare_cached("SELECT EXISTS (SELECT 1 FROM commits WHERE number = ?)")?;
    Ok(query.query_row([number], |row| row.get(0))?)
}

/// Lists the instants of all commits, by number.
pub fn list_commits(db: &Connection) -> StoreResult<Vec<Commit>> {
    let mut query = db.prepare_cached("SELECT number, instant FROM commits ORDER BY number")?;
    let rows = query.query_map([], |row| Ok(Commit { number: row.get(0)?, instant: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists the visible participants of a study who are not being erased, by study number.
pub fn list_participants(
    db: &Connection,
    study: StudyId,
    visible_to: VisibleTo,
) -> StoreResult<Vec<Participant>> {
    let select = format!(
        "SELECT patient_id, participant, enrolled_at, time_zone, time_zone_set_at IS NOT NULL,
                         changed_at_commit, collects_from, collects_until
         FROM enrolments JOIN patients ON patients.id = patient_id
         WHERE study_id = ?1 AND NOT EXISTS (SELECT 1 FROM erasures WHERE erasures.patient_id = patients.id) AND {}
         ORDER BY participant",
        visibility::patient_condition("patient_id", 2, Role::DataManager)
    );
    let mut query = db.prepare_cached(&select)?;
    let rows = query.query_map(params![study, visible_to], |row| {
        let zone_name: String = row.get(3)?;
        Ok(Participant {
            patient: row.get(0)?,
            participant: row.get(1)?,
            enrolled: row.get(2)?,
            zone: time_zone_or_utc(&zone_name),
            zone_name,
            zone_is_set: row.get(4)?,
            changed_at_commit: row.get(5)?,
            limits: (row.get(6)?, row.get(7)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists the codes that a study asks for.
pub fn list_codes(db: &Connection, study: StudyId) -> StoreResult<Vec<String>> {
    let select =
        "SELECT code FROM study_codes JOIN codes ON codes.id = code_id WHERE study_id = ? ORDER BY code";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_map([study], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Lists a patient's consents that count for a study, of the codes that it asks for: the study's own, or else those that
/// an operator recorded for no study.
pub fn list_consents(db: &Connection, study: StudyId, patient: PatientId) -> StoreResult<Vec<ConsentRow>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT code, display, granted_at, withdrawn_at, {COVERS_FROM}, version, language
         FROM consents JOIN codes ON codes.id = consents.code_id LEFT JOIN consent_texts ON hash = text_hash
         WHERE patient_id = ?2
           AND (study_id = ?1 OR study_id IS NULL
                AND NOT EXISTS (SELECT 1 FROM consents AS own WHERE own.patient_id = ?2 AND own.study_id = ?1
                                  AND own.code_id = consents.code_id))
           AND consents.code_id IN (SELECT code_id FROM study_codes WHERE study_codes.study_id = ?1)
         ORDER BY code, granted_at, consents.id"
    ))?;
    let rows = query.query_map(params![study, patient], |row| {
        let grant = Grant { granted: row.get(2)?, withdrawn: row.get(3)?, covers_from: row.get(4)? };
        let text = Option::zip(row.get(5)?, row.get(6)?);
        Ok(ConsentRow { code: row.get(0)?, display: row.get(1)?, grant, text })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists the codes of which withdrawn data are being erased or were erased, each with the time up to which.
fn list_erased_codes(db: &Connection, patient: PatientId) -> StoreResult<BTreeMap<String, Timestamp>> {
    let select = "SELECT code, max(data_erased_at) FROM consents JOIN codes ON codes.id = code_id
         WHERE patient_id = ? AND data_erased_at IS NOT NULL GROUP BY code";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_map([patient], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Returns the times that a patient's consents for a study allow within its collection window, by code. Withdrawn data
/// that were erased do not come back with a new grant; where withdrawn data are hidden, a code without an active consent
/// allows nothing.
pub fn find_allowed(
    db: &Connection,
    study: StudyId,
    patient: PatientId,
    consents: &[ConsentRow],
) -> StoreResult<BTreeMap<String, ConsentIntervals>> {
    let limits = collection_window::find_part_limits(db, study, patient)?;
    let (erased, is_hidden) = (list_erased_codes(db, patient)?, withdrawal::hides_withdrawn(db)?);
    let mut grants: BTreeMap<&str, Vec<Grant>> = BTreeMap::new();
    for consent in consents {
        grants.entry(&consent.code).or_default().push(consent.grant);
    }
    grants.retain(|_, grants| !is_hidden || grants.iter().any(|grant| grant.withdrawn.is_none()));
    let allowed = grants.into_iter().map(|(code, grants)| {
        let allowed = ConsentIntervals::ever_allowed(&grants).within(limits);
        let allowed = erased.get(code).map_or_else(|| allowed.clone(), |until| allowed.since(*until));
        (code.to_owned(), allowed)
    });
    Ok(allowed.collect())
}

/// Lists a patient's visible streams of the codes that a study asks for, in the order in which they were made.
pub fn list_streams(db: &Connection, study: StudyId, patient: PatientId) -> StoreResult<Vec<StreamInfo>> {
    let mut query = db.prepare_cached(&format!(
        "{SELECT_STREAMS} WHERE streams.patient_id = ?2 AND entered_in_error = 0
           AND code_id IN (SELECT code_id FROM study_codes WHERE study_id = ?1) AND {} ORDER BY streams.id",
        withdrawal::visible_condition("streams.patient_id", "streams.code_id")
    ))?;
    Ok(query.query_map(params![study, patient], stream_from_row)?.collect::<Result<_, _>>()?)
}

/// Lists the further ids of a stream's events, each with the id under which the event is stored.
pub fn list_event_aliases(db: &Connection, stream: i64) -> StoreResult<Vec<(String, String)>> {
    let select =
        "SELECT event_id, details ->> 'id' FROM event_ids JOIN observations USING (stream_id, instant)
         WHERE stream_id = ? AND event_id <> details ->> 'id'";
    let mut query = db.prepare_cached(select)?;
    Ok(query.query_map([stream], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Calls `visit` for each observation of a stream, in the order of time.
pub fn for_each_row<E: From<StoreError>>(
    db: &Connection,
    stream: i64,
    mut visit: impl FnMut(DataRow) -> Result<(), E>,
) -> Result<(), E> {
    let select = "SELECT instant, value, utc_offset, revision, activity_context, details, commit_number
         FROM observations WHERE stream_id = ? ORDER BY instant";
    let failed = |error: rusqlite::Error| E::from(StoreError::from(error));
    let mut query = db.prepare_cached(select).map_err(failed)?;
    let mut rows = query.query([stream]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        visit(row_from(row).map_err(failed)?)?;
    }
    Ok(())
}

fn row_from(row: &Row) -> rusqlite::Result<DataRow> {
    Ok(DataRow {
        instant: row.get(0)?,
        value: row.get(1)?,
        zone: row.get(2)?,
        revision: row.get(3)?,
        context: row.get(4)?,
        details: row.get(5)?,
        commit: row.get(6)?,
    })
}

/// Lists what a reader who has everything up to commit `since` has to remove. Participants who changed are removed
/// entirely: everything of them follows anew.
pub fn list_removed(db: &Connection, study: StudyId, since: i64) -> StoreResult<Vec<RemovedRow>> {
    let select = "SELECT participant, NULL, NULL FROM removed_participants
         WHERE study_id = ?1 AND changed_at_commit > ?2
         UNION SELECT participant, NULL, NULL FROM enrolments WHERE study_id = ?1 AND changed_at_commit > ?2
         UNION SELECT participant, series_type, identifier
         FROM removed_observations JOIN enrolments USING (patient_id)
         WHERE study_id = ?1 AND commit_number > ?2 AND changed_at_commit <= ?2
           AND code_id IN (SELECT code_id FROM study_codes WHERE study_codes.study_id = ?1)
         ORDER BY 1, 2, 3";
    let mut query = db.prepare_cached(select)?;
    let rows = query.query_map(params![study, since], |row| {
        Ok(RemovedRow { participant: row.get(0)?, observation: Option::zip(row.get(1)?, row.get(2)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
