//! Reads for the holders of a study's token: the participants whose consent is active, and their observations, page by
//! page.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use crate::common::time::Timestamp;
use crate::model::consent_intervals::ConsentIntervals;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::{patient::PatientId, study::Study, study::StudyId};
use crate::store::error::StoreResult;
use crate::store::samples::{dataset, observation::from_row};

/// A participant whose data may be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadableParticipant {
    pub patient: PatientId,
    /// Study number.
    pub participant: String,
    pub name: String,
    pub email: Option<String>,
    pub enrolled: Timestamp,
    /// The times that may be read, by code. Only codes with an active consent.
    pub allowed: BTreeMap<String, ConsentIntervals>,
}

/// An observation with the commit that last changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct CommittedObservation {
    pub observation: Observation,
    pub commit: i64,
}

/// An earlier value of an observation.
#[derive(Debug, Clone, PartialEq)]
pub struct EarlierValue {
    pub observation: Observation,
    pub replaced: Timestamp,
    /// JHE has the value or will get it. Always true for a patient who is not JHE's.
    pub is_delivered: bool,
}

/// A condition on the rows of `patients`: a consent to a code of the study with number 1 of the statement is active. As in
/// [`dataset::list_consents`], a consent for no study counts where the study has none of its own.
const ACTIVE_CONSENT: &str = "EXISTS (
    SELECT 1 FROM consents JOIN study_codes USING (code_id)
    WHERE consents.patient_id = patients.id AND withdrawn_at IS NULL AND study_codes.study_id = ?1
      AND (consents.study_id = ?1 OR consents.study_id IS NULL AND NOT EXISTS (
           SELECT 1 FROM consents AS own WHERE own.patient_id = patients.id AND own.study_id = ?1
             AND own.code_id = consents.code_id)))";
/// A condition on the rows of `patients`: the patient is not being erased.
const NOT_ERASED: &str = "NOT EXISTS (SELECT 1 FROM erasures WHERE erasures.patient_id = patients.id)";

/// Counts the participants whose consent is active.
pub fn count(db: &Connection, study: StudyId) -> StoreResult<i64> {
    let mut query = db.prepare_cached(&format!(
        "SELECT count(*) FROM enrolments JOIN patients ON patients.id = patient_id
         WHERE study_id = ?1 AND {NOT_ERASED} AND {ACTIVE_CONSENT}"
    ))?;
    Ok(query.query_row([study], |row| row.get(0))?)
}

/// Returns the first participant with an id above `after` whose consent is active.
pub fn find_next(db: &Connection, study: StudyId, after: i64) -> StoreResult<Option<ReadableParticipant>> {
    let mut after = after;
    while let Some(candidate) = find_candidate(db, study, after, i64::MAX)? {
        after = candidate.patient.get();
        if let Some(found) = with_consents(db, study, candidate)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The consents of a participant at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentState {
    /// The commit since which a reader needs everything of the participant anew.
    pub changed_at_commit: i64,
    /// All that decides which data may be read. Equal texts allow the same.
    pub terms: String,
}

/// Returns the state of each participant whose consent is active, by patient id.
pub fn list_states(db: &Connection, study: StudyId) -> StoreResult<BTreeMap<i64, ConsentState>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT patient_id, changed_at_commit, concat_ws(' ',
                (SELECT group_concat(code_id) FROM study_codes WHERE study_id = ?1),
                (SELECT 'sources ' || group_concat(data_source_id) FROM study_data_sources WHERE study_id = ?1),
                coalesce(collects_from, '-'), coalesce(collects_until, '-'),
                (SELECT concat_ws(' ', count(*), count(withdrawn_at), max(granted_at), coalesce(max(withdrawn_at), '-'),
                                  coalesce(max(data_erased_at), '-'), total(covers_from))
                 FROM consents WHERE consents.patient_id = patients.id
                   AND (consents.study_id = ?1 OR consents.study_id IS NULL)),
                (SELECT count(*) FROM streams WHERE streams.patient_id = patients.id AND entered_in_error = 1))
         FROM enrolments JOIN patients ON patients.id = patient_id
         WHERE study_id = ?1 AND {NOT_ERASED} AND {ACTIVE_CONSENT}"
    ))?;
    let rows = query.query_map([study], |row| {
        Ok((row.get(0)?, ConsentState { changed_at_commit: row.get(1)?, terms: row.get(2)? }))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the first participant with an id above `after` whose consent is active, of all or of these, which are sorted.
pub fn find_next_of(
    db: &Connection,
    study: StudyId,
    patients: Option<&[i64]>,
    after: i64,
) -> StoreResult<Option<ReadableParticipant>> {
    let Some(patients) = patients else { return find_next(db, study, after) };
    for id in patients.iter().filter(|id| **id > after) {
        if let Some(found) = find(db, study, PatientId::new(*id))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Returns a participant whose consent is active.
pub fn find(db: &Connection, study: StudyId, patient: PatientId) -> StoreResult<Option<ReadableParticipant>> {
    let id = patient.get();
    let candidate = find_candidate(db, study, id.saturating_sub(1), id)?;
    Ok(candidate.map(|one| with_consents(db, study, one)).transpose()?.flatten())
}

/// Returns the patient with a study number.
pub fn find_by_participant(db: &Connection, study: StudyId, number: &str) -> StoreResult<Option<PatientId>> {
    let select = "SELECT patient_id FROM enrolments WHERE study_id = ? AND participant = ?";
    Ok(db.prepare_cached(select)?.query_row(params![study, number], |row| row.get(0)).optional()?)
}

/// Lists the participants with a mail address whose consent is active.
pub fn find_by_email(db: &Connection, study: StudyId, email: &str) -> StoreResult<Vec<ReadableParticipant>> {
    let mut query = db.prepare_cached(
        "SELECT patient_id FROM enrolments JOIN patients ON patients.id = patient_id
         WHERE study_id = ? AND email = ? COLLATE NOCASE ORDER BY patient_id",
    )?;
    let ids = query.query_map(params![study, email], |row| row.get(0))?.collect::<Result<Vec<_>, _>>()?;
    ids.into_iter().filter_map(|id| find(db, study, id).transpose()).collect()
}

/// Returns the participant with the lowest id above `after` and at most `last` who may have an active consent.
fn find_candidate(
    db: &Connection,
    study: StudyId,
    after: i64,
    last: i64,
) -> StoreResult<Option<ReadableParticipant>> {
    let mut query = db.prepare_cached(&format!(
        "SELECT patient_id, participant, name, email, enrolled_at
         FROM enrolments JOIN patients ON patients.id = patient_id
         WHERE study_id = ?1 AND patient_id > ?2 AND patient_id <= ?3
           AND {NOT_ERASED} AND {ACTIVE_CONSENT}
         ORDER BY patient_id LIMIT 1"
    ))?;
    let found = query.query_row(params![study, after, last], |row| {
        let (patient, participant, name, email, enrolled) = row.try_into()?;
        Ok(ReadableParticipant { patient, participant, name, email, enrolled, allowed: BTreeMap::new() })
    });
    Ok(found.optional()?)
}

/// Adds the times of each code whose consent is active now; none if there is no such code.
fn with_consents(
    db: &Connection,
    study: StudyId,
    candidate: ReadableParticipant,
) -> StoreResult<Option<ReadableParticipant>> {
    let consents = dataset::list_consents(db, study, candidate.patient)?;
    let mut allowed = dataset::find_allowed(db, study, candidate.patient, &consents)?;
    let is_active = |code: &str| consents.iter().any(|one| one.code == code && one.grant.withdrawn.is_none());
    allowed.retain(|code, _| is_active(code));
    Ok((!allowed.is_empty()).then_some(ReadableParticipant { allowed, ..candidate }))
}

/// Lists the streams of a participant that may be read, in the order in which they were made.
pub fn list_streams(
    db: &Connection,
    study: &Study,
    participant: &ReadableParticipant,
) -> StoreResult<Vec<StreamInfo>> {
    let mut streams = dataset::list_streams(db, study.id, participant.patient)?;
    streams.retain(|stream| {
        study.accepts_provider(&stream.provider) && participant.allowed.contains_key(&stream.code)
    });
    Ok(streams)
}

/// Lists up to `limit` observations of a stream between two instants, both included, in the order of time or the newest
/// first.
pub fn list_observations(
    db: &Connection,
    stream: i64,
    (first, last): (Timestamp, Timestamp),
    is_newest_first: bool,
    limit: usize,
) -> StoreResult<Vec<CommittedObservation>> {
    let order = if is_newest_first { "DESC" } else { "ASC" };
    let mut query = db.prepare_cached(&format!(
        "SELECT instant, value, utc_offset, revision, activity_context, details, commit_number
         FROM observations WHERE stream_id = ? AND instant >= ? AND instant <= ?
         ORDER BY instant {order} LIMIT ?"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = query.query_map(params![stream, first, last, limit], |row| {
        Ok(CommittedObservation { observation: from_row(row)?, commit: row.get(6)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists the earlier values of an observation, the oldest first.
pub fn list_earlier_values(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
) -> StoreResult<Vec<EarlierValue>> {
    let mut query = db.prepare_cached(
        "SELECT instant, value, utc_offset, revision, NULL, details, replaced_at, undelivered = 0
         FROM revisions WHERE stream_id = ? AND instant = ? ORDER BY revision",
    )?;
    let rows = query.query_map(params![stream, instant], |row| {
        let (replaced, is_delivered) = (row.get(6)?, row.get(7)?);
        Ok(EarlierValue { observation: from_row(row)?, replaced, is_delivered })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the time of a commit.
pub fn find_commit_time(db: &Connection, number: i64) -> StoreResult<Option<Timestamp>> {
    let mut query = db.prepare_cached("SELECT instant FROM commits WHERE number = ?")?;
    Ok(query.query_row([number], |row| row.get(0)).optional()?)
}

/// Returns the instant under which an event of a stream is stored.
pub fn find_event(db: &Connection, stream: i64, event: &str) -> StoreResult<Option<Timestamp>> {
    let mut query =
        db.prepare_cached("SELECT instant FROM event_ids WHERE stream_id = ? AND event_id = ?")?;
    Ok(query.query_row(params![stream, event], |row| row.get(0)).optional()?)
}

/// Returns the patient of a stream.
pub fn find_stream_patient(db: &Connection, stream: i64) -> StoreResult<Option<PatientId>> {
    let mut query = db.prepare_cached("SELECT patient_id FROM streams WHERE id = ?")?;
    Ok(query.query_row([stream], |row| row.get(0)).optional()?)
}
