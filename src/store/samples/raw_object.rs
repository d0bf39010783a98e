//! The objects of the bucket that are known: what was read is not fetched again, and what failed is not forgotten.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::common::time::Timestamp;
use crate::model::bucket_day::{Day, UNDATED};
use crate::model::patient::PatientId;
use crate::store::error::StoreError;

/// An object that failed is tried again after this part of its age: a payload that was cut short is hardly ever mended,
/// and may have 10 MiB.
const TRIED_AFTER_PART: u32 = 4;
/// But not sooner: a permission that was forgotten is granted within some ticks.
const TRIED_NOT_BEFORE: Duration = Duration::from_hours(1);
/// Nor later.
const TRIED_AT_LATEST: Duration = Duration::from_hours(24);

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every sample of it is kept.
    Read,
    /// It is of an endpoint that is not ingested.
    Other,
    /// It could not be read, and is tried again.
    Failed,
    /// It could not be read, and is gone from the bucket.
    Lost,
}

const STATES: &[State] = &[State::Read, State::Other, State::Failed, State::Lost];

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Other => "other",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// What the table holds; another word would be a later version's.
    fn parse(word: &str) -> Self {
        STATES.iter().copied().find(|state| state.as_str() == word).unwrap_or(Self::Failed)
    }
}

/// An object, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The date in its key.
    pub day: Day,
    /// Its name within the day.
    pub name: String,
    /// Names its content.
    pub etag: String,
    /// What became of it.
    pub state: State,
    /// The provider's endpoint that it is of, where that is known.
    pub endpoint: Option<String>,
    /// Why it failed; of one that was read, what [`withheld`] says.
    pub error: Option<String>,
    /// When that was noted.
    pub noted: Timestamp,
}

impl Object {
    /// When one that failed is tried again: in proportion to the time since the day of its storing.
    pub fn tried_again(&self) -> Timestamp {
        let age = self.noted.since(self.day.midnight());
        self.noted.plus((age / TRIED_AFTER_PART).clamp(TRIED_NOT_BEFORE, TRIED_AT_LATEST))
    }

    /// Whether one that failed is tried again now. Where that was noted after now, the clock has stepped back.
    pub fn is_due(&self, now: Timestamp) -> bool {
        now >= self.tried_again() || now < self.noted
    }
}

/// What is noted of an object that was read, of which something was left out for want of consent: how many samples, of
/// which types all, and under which consent ([`Allowed::fingerprint`]). Under another one it is read again.
///
/// [`Allowed::fingerprint`]: crate::model::consent_intervals::Allowed::fingerprint
pub fn withheld(samples: u64, types: &[&str], consent: &str) -> String {
    let all = if types.is_empty() { String::new() } else { format!(" and all of {}", types.join(", ")) };
    format!("{samples}{all} withheld under consent {consent}")
}

/// Whether [`withheld`] has noted this under a consent that allows the same.
pub fn was_withheld_under(noted: &str, consent: &str) -> bool {
    noted.ends_with(consent)
}

/// What is to be noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// What became of an object.
    Put(Object),
    /// The bucket does not hold the object of this day and name any more.
    Forget(Day, String),
}

/// What the page of a patient says of the payloads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Objects whose samples are kept.
    pub read: i64,
    /// Objects of endpoints that are not ingested.
    pub other: i64,
    /// Objects that are tried again.
    pub failed: i64,
    /// Objects that failed and are gone.
    pub lost: i64,
    /// The date of the newest object, and when that was noted.
    pub newest: Option<(Day, Timestamp)>,
    /// Those in error, the newest first, some of them; and whether their link has ended, so that nobody reads them.
    pub in_error: Vec<(Object, bool)>,
}

impl Summary {
    /// Whether there has never been any object.
    pub fn is_empty(&self) -> bool {
        self.read + self.other + self.failed + self.lost == 0
    }
}

const OBJECTS: &str = "SELECT day, name, etag, state, endpoint, error, checked_at FROM raw_objects";

fn from_row(row: &Row) -> rusqlite::Result<Object> {
    Ok(Object {
        day: Day::new(row.get(0)?),
        name: row.get(1)?,
        etag: row.get(2)?,
        state: State::parse(row.get_ref(3)?.as_str()?),
        endpoint: row.get(4)?,
        error: row.get(5)?,
        noted: row.get(6)?,
    })
}

/// The objects that are known of a day, by name in the order of bytes: those whose names begin with `names`, after
/// `after` and up to `until`, where these are given.
///
/// # Errors
/// Where the table cannot be read.
pub fn known(
    db: &Connection,
    link: i64,
    day: Day,
    names: &str,
    after: Option<&str>,
    until: Option<&str>,
) -> Result<Vec<Object>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "{OBJECTS} WHERE link_id = ?1 AND day = ?2 AND name >= coalesce(?4, ?3) AND name <> coalesce(?4, '')
           AND name <= coalesce(?5, ?3 || char(1114111)) ORDER BY name"
    ))?;
    let rows = query.query_map(params![link, day.number(), names, after, until], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Objects that failed, those longest untried first, at most `limit`.
///
/// # Errors
/// Where the table cannot be read.
pub fn failed(db: &Connection, link: i64, limit: u32) -> Result<Vec<Object>, StoreError> {
    let mut query = db.prepare_cached(&format!(
        "{OBJECTS} WHERE link_id = ? AND state IN ('failed', 'lost') AND state = 'failed' ORDER BY checked_at LIMIT ?"
    ))?;
    Ok(query.query_map(params![link, limit], from_row)?.collect::<Result<_, _>>()?)
}

/// The day of the newest object that was read.
///
/// # Errors
/// Where the table cannot be read.
pub fn newest_read(db: &Connection, link: i64) -> Result<Option<Day>, StoreError> {
    let mut query = db.prepare_cached(
        "SELECT day FROM raw_objects WHERE link_id = ? AND state = 'read' ORDER BY day DESC LIMIT 1",
    )?;
    Ok(query.query_row([link], |row| Ok(Day::new(row.get(0)?))).optional()?)
}

/// Notes what became of several objects, in their order.
///
/// # Errors
/// Where the table cannot be written.
pub fn note_all(db: &Connection, link: i64, notes: &[Note]) -> Result<(), StoreError> {
    notes.iter().try_for_each(|note| match note {
        Note::Put(object) => put(db, link, object),
        Note::Forget(day, name) => forget(db, link, *day, name),
    })
}

fn put(db: &Connection, link: i64, object: &Object) -> Result<(), StoreError> {
    let Object { day, name, etag, state, endpoint, error, noted } = object;
    db.prepare_cached(
        "INSERT INTO raw_objects (link_id, day, name, etag, state, endpoint, checked_at, error)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET etag = excluded.etag, state = excluded.state, endpoint = excluded.endpoint,
             checked_at = excluded.checked_at, error = excluded.error",
    )?
    .execute(params![link, day.number(), name, etag, state.as_str(), endpoint, noted, error])?;
    Ok(())
}

fn forget(db: &Connection, link: i64, day: Day, name: &str) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM raw_objects WHERE link_id = ? AND day = ? AND name = ?")?
        .execute(params![link, day.number(), name])?;
    Ok(())
}

/// Forgets what was read, or was none of ours, of the days before `day`: no tick lists them any more.
///
/// # Errors
/// Where the table cannot be written.
pub fn forget_before(db: &Connection, link: i64, day: Day) -> Result<(), StoreError> {
    db.prepare_cached(
        "DELETE FROM raw_objects WHERE link_id = ? AND day > ? AND day < ? AND state IN ('read', 'other')",
    )?
    .execute(params![link, UNDATED.number(), day.number()])?;
    Ok(())
}

/// What the page of a patient says of the payloads; `limit` of those in error.
///
/// # Errors
/// Where the tables cannot be read.
pub fn summary(db: &Connection, patient: PatientId, limit: u32) -> Result<Summary, StoreError> {
    let mut summary = Summary::default();
    let mut query = db.prepare_cached(
        "SELECT raw_object_counts.state, sum(rows) FROM links
         JOIN raw_object_counts ON raw_object_counts.link_id = links.id
         WHERE patient_id = ? GROUP BY raw_object_counts.state",
    )?;
    let mut rows = query.query([patient])?;
    while let Some(row) = rows.next()? {
        let count = row.get(1)?;
        match State::parse(row.get_ref(0)?.as_str().unwrap_or_default()) {
            State::Read => summary.read = count,
            State::Other => summary.other = count,
            State::Failed => summary.failed = count,
            State::Lost => summary.lost = count,
        }
    }
    let mut query = db.prepare_cached(
        "SELECT day, max(checked_at) FROM links JOIN raw_objects ON raw_objects.link_id = links.id
         WHERE patient_id = ?1 AND day = (SELECT max(day) FROM links
         JOIN raw_objects ON raw_objects.link_id = links.id
                                       WHERE patient_id = ?1) GROUP BY day",
    )?;
    let mut newest = query.query_map([patient], |row| Ok((Day::new(row.get(0)?), row.get(1)?)))?;
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
