//! Payloads in the bucket that the daemon has seen: those it has read are not fetched again, those that
//! failed are retried.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::bucket_day::{BucketDay, UNDATED};
use crate::model::patient::PatientId;
use crate::store::error::StoreResult;

/// A failed object is retried after this fraction of its age. A truncated payload is hardly ever repaired,
/// and may have 10 MiB.
const RETRY_AGE_FRACTION: u32 = 4;
/// Lower bound: a missing permission is often granted within a few ticks.
const MIN_RETRY_DELAY: Duration = Duration::from_hours(1);
const MAX_RETRY_DELAY: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectState {
    /// All its samples are committed.
    Read,
    /// Its endpoint is not ingested.
    Other,
    /// It could not be read and is retried.
    Failed,
    /// It could not be read and is gone from the bucket.
    Lost,
}

const STATES: &[ObjectState] =
    &[ObjectState::Read, ObjectState::Other, ObjectState::Failed, ObjectState::Lost];

impl ObjectState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Other => "other",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// Parses the column. An unknown state comes from a later version and counts as failed.
    fn parse(text: &str) -> Self {
        STATES.iter().copied().find(|state| state.as_str() == text).unwrap_or(Self::Failed)
    }
}

/// A payload in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawObject {
    /// The day in its key.
    pub day: BucketDay,
    /// The last part of its key.
    pub name: String,
    pub etag: String,
    pub state: ObjectState,
    /// The provider's endpoint; none if unknown.
    pub endpoint: Option<String>,
    /// Reason of a failure; for an object that was read, the text of [`format_withheld`].
    pub error: Option<String>,
    /// Time at which the state was recorded.
    pub checked: Timestamp,
}

impl RawObject {
    /// Returns when a failed object is retried. The delay grows with the age of the object.
    pub fn retry_at(&self) -> Timestamp {
        let age = self.checked.since(self.day.midnight());
        self.checked.plus((age / RETRY_AGE_FRACTION).clamp(MIN_RETRY_DELAY, MAX_RETRY_DELAY))
    }

    /// Returns true if a failed object is to be retried now, or if it was recorded after now: the clock was
    /// set back.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.retry_at() || now < self.checked
    }
}

/// Describes the samples of an object that consent withheld: their number, the types that are withheld
/// completely, and the fingerprint of the consent. Under another consent the object is read again.
pub fn format_withheld(samples: u64, types: &[&str], consent: &str) -> String {
    let all = if types.is_empty() { String::new() } else { format!(" and all of {}", types.join(", ")) };
    format!("{samples}{all} withheld under consent {consent}")
}

/// Returns true if a text of [`format_withheld`] has this fingerprint.
pub fn is_withheld_under(text: &str, consent: &str) -> bool {
    text.ends_with(consent)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ObjectUpdate {
    Upsert(RawObject),
    /// The object of this day and name is gone from the bucket.
    Delete(BucketDay, String),
}

/// Counts and failures of one patient's payloads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectSummary {
    pub read: i64,
    pub other: i64,
    pub failed: i64,
    pub lost: i64,
    /// Day of the newest object, and when it was recorded.
    pub newest: Option<(BucketDay, Timestamp)>,
    /// The newest failed or lost objects; true if their link has ended, so that they are not retried.
    pub in_error: Vec<(RawObject, bool)>,
}

impl ObjectSummary {
    pub fn is_empty(&self) -> bool {
        self.read + self.other + self.failed + self.lost == 0
    }
}

const SELECT: &str = "SELECT day, name, etag, state, endpoint, error, checked_at FROM raw_objects";

fn from_row(row: &Row) -> rusqlite::Result<RawObject> {
    Ok(RawObject {
        day: BucketDay::new(row.get(0)?),
        name: row.get(1)?,
        etag: row.get(2)?,
        state: ObjectState::parse(row.get_ref(3)?.as_str()?),
        endpoint: row.get(4)?,
        error: row.get(5)?,
        checked: row.get(6)?,
    })
}

/// Lists the known objects of a day whose names begin with `names`, in byte order. `after` is exclusive,
/// `until` inclusive.
pub fn list(
    db: &Connection,
    link: i64,
    day: BucketDay,
    names: &str,
    after: Option<&str>,
    until: Option<&str>,
) -> StoreResult<Vec<RawObject>> {
    // U+10FFFF (1114111) sorts after each name with the prefix.
    let mut query = db.prepare_cached(&format!(
        "{SELECT} WHERE link_id = ?1 AND day = ?2 AND name >= coalesce(?4, ?3) AND name <> coalesce(?4, '')
           AND name <= coalesce(?5, ?3 || char(1114111)) ORDER BY name"
    ))?;
    let rows = query.query_map(params![link, day.number(), names, after, until], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Lists failed objects, those that waited longest first.
pub fn list_failed(db: &Connection, link: i64, limit: u32) -> StoreResult<Vec<RawObject>> {
    // The first condition on the state lets SQLite use the partial index `raw_objects_in_error`.
    let select = format!(
        "{SELECT} WHERE link_id = ? AND state IN ('failed', 'lost') AND state = 'failed'
         ORDER BY checked_at LIMIT ?"
    );
    Ok(db.prepare_cached(&select)?.query_map(params![link, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// Returns the day of the newest object that was read.
pub fn find_newest_read(db: &Connection, link: i64) -> StoreResult<Option<BucketDay>> {
    let select = "SELECT day FROM raw_objects WHERE link_id = ? AND state = 'read' ORDER BY day DESC LIMIT 1";
    Ok(db.prepare_cached(select)?.query_row([link], |row| Ok(BucketDay::new(row.get(0)?))).optional()?)
}

pub fn apply_updates(db: &Connection, link: i64, updates: &[ObjectUpdate]) -> StoreResult<()> {
    updates.iter().try_for_each(|update| match update {
        ObjectUpdate::Upsert(object) => upsert(db, link, object),
        ObjectUpdate::Delete(day, name) => delete(db, link, *day, name),
    })
}

fn upsert(db: &Connection, link: i64, object: &RawObject) -> StoreResult<()> {
    let RawObject { day, name, etag, state, endpoint, error, checked } = object;
    db.prepare_cached(
        "INSERT INTO raw_objects (link_id, day, name, etag, state, endpoint, checked_at, error)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET etag = excluded.etag, state = excluded.state, endpoint = excluded.endpoint,
             checked_at = excluded.checked_at, error = excluded.error",
    )?
    .execute(params![link, day.number(), name, etag, state.as_str(), endpoint, checked, error])?;
    Ok(())
}

fn delete(db: &Connection, link: i64, day: BucketDay, name: &str) -> StoreResult<()> {
    db.prepare_cached("DELETE FROM raw_objects WHERE link_id = ? AND day = ? AND name = ?")?
        .execute(params![link, day.number(), name])?;
    Ok(())
}

/// Deletes the read and ignored objects of the days before `day`. No tick lists those days any more.
pub fn delete_before(db: &Connection, link: i64, day: BucketDay) -> StoreResult<()> {
    let delete =
        "DELETE FROM raw_objects WHERE link_id = ? AND day > ? AND day < ? AND state IN ('read', 'other')";
    db.prepare_cached(delete)?.execute(params![link, UNDATED.number(), day.number()])?;
    Ok(())
}

/// Summarizes a patient's payloads, with up to `limit` of those in error.
pub fn summarize(db: &Connection, patient: PatientId, limit: u32) -> StoreResult<ObjectSummary> {
    let mut summary = ObjectSummary::default();
    let select = "SELECT raw_object_counts.state, sum(rows) FROM links
         JOIN raw_object_counts ON raw_object_counts.link_id = links.id
         WHERE patient_id = ? GROUP BY raw_object_counts.state";
    let mut query = db.prepare_cached(select)?;
    let mut rows = query.query([patient])?;
    while let Some(row) = rows.next()? {
        let count = row.get(1)?;
        match ObjectState::parse(row.get_ref(0)?.as_str().unwrap_or_default()) {
            ObjectState::Read => summary.read = count,
            ObjectState::Other => summary.other = count,
            ObjectState::Failed => summary.failed = count,
            ObjectState::Lost => summary.lost = count,
        }
    }
    let select = "SELECT day, max(checked_at) FROM links JOIN raw_objects ON raw_objects.link_id = links.id
         WHERE patient_id = ?1 AND day =
             (SELECT max(day) FROM links JOIN raw_objects ON raw_objects.link_id = links.id
             WHERE patient_id = ?1)
         GROUP BY day";
    let mut query = db.prepare_cached(select)?;
    let mut newest = query.query_map([patient], |row| Ok((BucketDay::new(row.get(0)?), row.get(1)?)))?;
    summary.newest = newest.next().transpose()?;
    let mut query = db.prepare_cached(
        "SELECT day, name, etag, raw_objects.state, endpoint, error, checked_at, links.state = 'unlinked'
         FROM links JOIN raw_objects ON raw_objects.link_id = links.id
         WHERE patient_id = ? AND raw_objects.state IN ('failed', 'lost') ORDER BY day DESC, name LIMIT ?",
    )?;
    let rows = query.query_map(params![patient, limit], |row| Ok((from_row(row)?, row.get(7)?)))?;
    summary.in_error = rows.collect::<Result<_, _>>()?;
    Ok(summary)
}
