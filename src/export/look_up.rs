//! Looks up at JHE which observations of a batch it has already.
//!
//! JHE cannot be searched by an observation's identifier. It is asked for ranges of time of a patient and a code,
//! and the identifiers and documents are compared here.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use crate::common::time::Timestamp;
use crate::export::batch::OutgoingEntry;
use crate::export::exporter::Exporter;
use crate::jhe::{error::JheError, observations::JheObservation};
use crate::omh::render::{identifier_value, omh_document};

/// Simultaneous requests.
const CONCURRENCY: usize = 4;
/// Entries that are this close to each other are looked up with one request.
const NEAR: Duration = Duration::from_hours(1);
/// The longest range of one request: a week of steps by the minute has ten thousand observations.
const LONGEST: Duration = Duration::from_hours(7 * 24);
/// A day or an event may have had another beginning when JHE received it; none moves further.
const MOVED: Duration = Duration::from_hours(24);
/// A frame of this length is a day's: the shortest day has 23 hours.
const DAY: Duration = Duration::from_hours(20);

/// The state of one entry at JHE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AtJhe {
    Missing,
    /// JHE has the entry's content, as the newest of this observation.
    Delivered,
    /// JHE has the entry's content without an identifier: a worker of JHE was killed while it stored it.
    Orphan,
    /// JHE's newest value is another one, under the entry's revision or a higher one. `next` is the first free revision.
    Differs {
        next: i64,
    },
}

/// Entries of one patient and code, and the time range that they lie in.
struct Range {
    patient: i64,
    /// `system|code`.
    code: String,
    from: Timestamp,
    until: Timestamp,
    /// Indexes of the entries.
    entries: Vec<usize>,
}

impl Exporter {
    /// Looks up entries; returns one result per entry, in their order. The first error of the path to JHE ends
    /// the requests, and every entry that is not looked up by then gets that error.
    pub(super) async fn look_up(&self, entries: &[&OutgoingEntry]) -> Vec<Result<AtJhe, JheError>> {
        let has_failed = AtomicBool::new(false);
        let requests = futures_util::stream::iter(ranges(entries)).map(|range| async {
            if has_failed.load(Ordering::Relaxed) {
                return (range, None);
            }
            let Range { patient, code, from, until, .. } = &range;
            let found = self.jhe.find_observations(*patient, code, *from, *until).await;
            let is_of_path = found.as_ref().is_err_and(|error| !error.concerns_one_patient());
            has_failed.fetch_or(is_of_path, Ordering::Relaxed);
            (range, Some(found))
        });
        let mut requests = requests.buffered(CONCURRENCY);
        let mut results = vec![None; entries.len()];
        let mut of_path = None;
        while let Some((range, found)) = requests.next().await {
            let Some(found) = found else { continue };
            if let Err(error) = &found
                && !error.concerns_one_patient()
            {
                of_path.get_or_insert_with(|| error.clone());
            }
            let found = found.as_deref().map(Found::index);
            for index in range.entries {
                let compared = found.as_ref().map_err(|error| (*error).clone());
                results[index] = Some(compared.and_then(|found| found.compare(entries[index])));
            }
        }
        let skipped = || Err(of_path.clone().unwrap_or_else(|| JheError::invalid("no answer")));
        results.into_iter().map(|result| result.unwrap_or_else(skipped)).collect()
    }
}

/// Groups entries by patient and code, and cuts each group where nothing is near.
fn ranges(entries: &[&OutgoingEntry]) -> Vec<Range> {
    let mut groups = BTreeMap::<(i64, String), Vec<(Timestamp, Timestamp, usize)>>::new();
    for (index, entry) in entries.iter().enumerate() {
        let code = format!("{}|{}", entry.stream.code_system, entry.stream.code);
        let (from, until) = time_at_jhe(entry);
        groups.entry((entry.patient, code)).or_default().push((from, until, index));
    }
    let mut ranges = Vec::<Range>::new();
    for ((patient, code), mut group) in groups {
        group.sort_unstable();
        let first = ranges.len();
        for (from, until, index) in group {
            match ranges[first..].last_mut() {
                Some(range) if from <= range.until.plus(NEAR) && until.since(range.from) <= LONGEST => {
                    range.until = range.until.max(until);
                    range.entries.push(index);
                }
                _ => ranges.push(Range { patient, code: code.clone(), from, until, entries: vec![index] }),
            }
        }
    }
    ranges
}

/// Returns the range in which JHE files the observation. JHE files an interval under its beginning. That of a night or a
/// workout may have moved since JHE received it, and so may a day whose offset was learned later.
fn time_at_jhe(entry: &OutgoingEntry) -> (Timestamp, Timestamp) {
    let observation = &entry.waiting.observation;
    let Some(frame) = observation.frame() else { return (observation.instant, observation.instant) };
    if observation.event().is_some() || frame.end.since(frame.start) >= DAY {
        return (frame.start.minus(MOVED), frame.start.plus(MOVED));
    }
    (frame.start, frame.start)
}

/// One of JHE's observations.
#[derive(Clone, Copy)]
struct Stored<'a> {
    /// None without an identifier.
    revision: Option<i64>,
    /// JHE's number; a later observation has a higher one.
    id: i64,
    document: Option<&'a Value>,
}

/// JHE's observations of a range.
struct Found<'a> {
    /// By the UUID of the identifier or, without one, of the document's header.
    by_uuid: HashMap<&'a str, Vec<Stored<'a>>>,
}

impl<'a> Found<'a> {
    fn index(found: &'a [JheObservation]) -> Self {
        let mut index = Self { by_uuid: HashMap::new() };
        for one in found {
            let (id, document) = (one.id.parse().unwrap_or(0), one.document.as_ref());
            for (_, value) in &one.identifiers {
                let (uuid, revision) = split_revision(value);
                let stored = Stored { revision: Some(revision), id, document };
                index.by_uuid.entry(uuid).or_default().push(stored);
            }
            let header = document.and_then(|document| document["header"]["uuid"].as_str());
            if let Some(uuid) = header.filter(|_| one.identifiers.is_empty()) {
                index.by_uuid.entry(uuid).or_default().push(Stored { revision: None, id, document });
            }
        }
        index
    }

    /// Compares an entry with the newest of JHE's values. JHE may have higher revisions than the store, after a
    /// restore, and there may be gaps: a value that was replaced in time is never sent.
    fn compare(&self, entry: &OutgoingEntry) -> Result<AtJhe, JheError> {
        let OutgoingEntry { stream, waiting, .. } = entry;
        let ours = omh_document(stream, &waiting.observation).map_err(JheError::invalid)?;
        let ours: Value = serde_json::from_str(&ours).map_err(JheError::invalid)?;
        let has_our_body =
            |one: &Stored<'_>| one.document.is_some_and(|theirs| is_equal(&theirs["body"], &ours["body"]));
        let identifier = identifier_value(stream, &waiting.observation);
        let (uuid, revision) = split_revision(&identifier);
        let all = self.by_uuid.get(uuid).map_or(&[][..], Vec::as_slice);
        let newest = all.iter().filter(|one| one.revision.is_some()).max_by_key(|one| one.revision);
        let is_later = |one: &&Stored<'_>| newest.is_none_or(|newest| one.id > newest.id);
        if all.iter().filter(|one| one.revision.is_none()).filter(is_later).any(has_our_body) {
            return Ok(AtJhe::Orphan);
        }
        Ok(match newest {
            Some(newest) if has_our_body(newest) => AtJhe::Delivered,
            Some(Stored { revision: Some(newest), .. }) if *newest >= revision => {
                AtJhe::Differs { next: newest + 1 }
            }
            _ => AtJhe::Missing,
        })
    }
}

/// Splits an identifier value into its UUID and its revision.
pub(super) fn split_revision(value: &str) -> (&str, i64) {
    let split = value.split_once("#r").and_then(|(uuid, revision)| Some((uuid, revision.parse().ok()?)));
    split.unwrap_or((value, 0))
}

/// Compares JSON values. JHE writes some numbers in another form, such as 72 for 72.0, and times at UTC as
/// `+00:00`.
fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::String(one), Value::String(other)) => {
            one == other || Timestamp::parse(one).is_ok_and(|at| Timestamp::parse(other) == Ok(at))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has_equal = |(name, value)| other.get(name).is_some_and(|theirs| is_equal(value, theirs));
            one.len() == other.len() && one.iter().all(has_equal)
        }
        (one, other) => one == other,
    }
}
