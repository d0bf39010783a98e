//! Applies that the provider has deleted an event, such as a night that the wearer removed.
//!
//! An observation that JHE does not have is deleted here. One that JHE has, or may have, stays and is marked: JHE
//! takes nothing back.

use rusqlite::{Connection, params};

use crate::common::time::Timestamp;
use crate::model::stream_key::StreamOwner;
use crate::omh::identity::StreamIdentity;
use crate::store::error::StoreResult;
use crate::store::outbox::enqueue;
use crate::store::privacy::patient_tables::OBSERVATION_TABLES;
use crate::store::samples::{commit_number, observation};

/// Deletes or marks the observations of an event id. Returns their number.
pub(crate) fn apply(
    db: &Connection,
    owner: &StreamOwner,
    event: &str,
    run: Option<i64>,
    now: Timestamp,
) -> StoreResult<u64> {
    let mut query = db.prepare_cached(
        "SELECT streams.id, event_ids.instant, codes.id FROM event_ids
         JOIN streams ON streams.id = event_ids.stream_id JOIN codes ON codes.id = streams.code_id
         JOIN observations AS one ON one.stream_id = streams.id AND one.instant = event_ids.instant
         WHERE streams.patient_id = ? AND streams.system = ? AND event_id = ?
           AND coalesce(one.details ->> 'deleted', 0) = 0",
    )?;
    let found = query.query_map(params![owner.patient, owner.system, event], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    let found: Vec<(i64, Timestamp, i64)> = found.collect::<Result<_, _>>()?;
    for &(stream, instant, code) in &found {
        let commit = commit_number::assign(db, run, now)?;
        if enqueue::is_sent(db, code)? && may_be_at_jhe(db, owner, stream, instant)? {
            db.prepare_cached(
                "UPDATE observations SET details = json_set(details, '$.deleted', json('true')), commit_number = ?3
                 WHERE stream_id = ?1 AND instant = ?2",
            )?
            .execute(params![stream, instant, commit])?;
            let waiting = "DELETE FROM outbox WHERE stream_id = ? AND instant = ? AND ambiguous = 0";
            db.prepare_cached(waiting)?.execute(params![stream, instant])?;
            continue;
        }
        record_removal(db, stream, instant, code, commit)?;
        for table in OBSERVATION_TABLES {
            let delete = format!("DELETE FROM {table} WHERE stream_id = ? AND instant = ?");
            db.prepare_cached(&delete)?.execute(params![stream, instant])?;
        }
        db.prepare_cached(
            "UPDATE hourly_sample_counts SET samples = samples - 1
             WHERE patient_id = ? AND hour = ? AND code_id = ? AND samples > 0",
        )?
        .execute(params![owner.patient, instant.hour(), code])?;
    }
    Ok(found.len() as u64)
}

/// Records that an observation is about to be deleted, for readers who have it.
fn record_removal(
    db: &Connection,
    stream: i64,
    instant: Timestamp,
    code: i64,
    commit: i64,
) -> StoreResult<()> {
    let select = format!("{} WHERE streams.id = ?", observation::SELECT_STREAMS);
    let info = db.prepare_cached(&select)?.query_row([stream], observation::stream_from_row)?;
    let select = format!("{} WHERE stream_id = ? AND instant = ?", observation::SELECT);
    let one = db.prepare_cached(&select)?.query_row(params![stream, instant], observation::from_row)?;
    let was_part = one.details.as_ref().is_some_and(|details| details.was_part);
    let identifier = StreamIdentity::of_row(&info).uuid(one.instant, one.event(), was_part);
    db.prepare_cached(
        "INSERT INTO removed_observations (commit_number, patient_id, code_id, series_type, identifier)
         VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )?
    .execute(params![commit, info.patient, code, info.series_type, identifier.to_string()])?;
    Ok(())
}

/// Returns false if JHE has certainly no revision of the observation: its patient is not JHE's, its other mode is
/// exported, or its first revision still waits and was never sent.
fn may_be_at_jhe(db: &Connection, owner: &StreamOwner, stream: i64, instant: Timestamp) -> StoreResult<bool> {
    let mut query = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM patients WHERE id = ?1 AND jhe_patient_id IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM export_exclusions WHERE stream_id = ?2 AND instant = ?3)
           AND (EXISTS (SELECT 1 FROM revisions AS was WHERE stream_id = ?2 AND instant = ?3 AND undelivered <> 1
                          AND NOT EXISTS (SELECT 1 FROM outbox WHERE stream_id = ?2 AND instant = ?3
                                            AND revision = was.revision AND ambiguous = 0 AND requeued = 0))
                OR NOT EXISTS (SELECT 1 FROM outbox WHERE stream_id = ?2 AND instant = ?3 AND ambiguous = 0
                                 AND requeued = 0))",
    )?;
    Ok(query.query_row(params![owner.patient, stream, instant], |row| row.get(0))?)
}
