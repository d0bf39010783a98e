//! Finds the observations of a page. Streams are merged by time from a cursor on, with a few rows of each in memory. A
//! read ends after a number of rows and participants, full page or not, so that no reader holds a snapshot for long.

use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::fhir::cursor::Cursor;
use crate::fhir::delivered::delivered_values;
use crate::fhir::observation_query::{ObservationQuery, Order};
use crate::model::consent_intervals::{ConsentIntervals, Interval};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::study::{Enrolment, Study};
use crate::store::error::{StoreError, StoreResult};
use crate::store::samples::commit::is_allowed;
use crate::store::samples::reading::{self, CommittedObservation, ReadableParticipant};

/// Rows that one read loads, about.
const BUDGET: usize = 20_000;
/// Cost of reading a participant's consents and streams, in rows.
const ROWS_OF_A_PARTICIPANT: usize = 40;
/// Rows that are read of a stream at a time, at most: more than the longest page, whose end the next row tells.
const MOST_ROWS: usize = 1024;
/// Streams that can be sorted together: each page reads at least one row of each.
const MOST_SORTED_STREAMS: usize = 1000;
/// Participants who can be sorted together: each page reads the consents of all.
const MOST_SORTED_PARTICIPANTS: usize = 500;

/// An observation that may be read.
#[derive(Debug, Clone)]
pub struct FoundObservation {
    pub stream: Arc<StreamInfo>,
    /// The study and the participant's number in it.
    pub enrolment: Arc<Enrolment>,
    pub observation: Observation,
    pub last_updated: Timestamp,
}

/// The observations of a page.
#[derive(Debug, Default)]
pub struct ObservationPage {
    pub found: Vec<FoundObservation>,
    /// The place of the next page. Where few rows match, a page may have fewer than wanted, or none, and still a next one.
    pub next: Option<Cursor>,
}

/// Finds up to `limit` observations from the query's cursor on, or those with the ids that the query names.
pub fn find_page(
    db: &Connection,
    study: &Study,
    query: &ObservationQuery,
    limit: usize,
) -> StoreResult<ObservationPage> {
    let mut search = Search::new(db, study, query, limit);
    match (&query.ids, query.order) {
        _ if !query.is_own_source => {}
        (Some(ids), _) => search.one_by_one(ids)?,
        (None, Order::ByPatient) => search.patient_by_patient()?,
        (None, Order::OldestFirst | Order::NewestFirst) => search.all_together()?,
    }
    Ok(search.page)
}

/// A stream of the merge, with the rows that were read ahead.
struct StreamRows {
    stream: Arc<StreamInfo>,
    enrolment: Arc<Enrolment>,
    allowed: ConsentIntervals,
    /// The instants that are left to read, both included.
    range: (Timestamp, Timestamp),
    rows: VecDeque<CommittedObservation>,
    /// The number of rows to read next; it doubles, as a stream that gave all of its rows is likely to give more.
    chunk: usize,
    is_read_to_the_end: bool,
}

struct Search<'a> {
    db: &'a Connection,
    study: &'a Study,
    query: &'a ObservationQuery,
    limit: usize,
    /// Rows visited in this read.
    visited: usize,
    /// Times of the commits that the rows name.
    commits: HashMap<i64, Timestamp>,
    page: ObservationPage,
}

impl<'a> Search<'a> {
    fn new(db: &'a Connection, study: &'a Study, query: &'a ObservationQuery, limit: usize) -> Self {
        let (commits, page) = (HashMap::new(), ObservationPage::default());
        Self { db, study, query, limit, visited: 0, commits, page }
    }

    /// Finds the observations with these ids. The cursor's `skip` is the number of ids before the page.
    fn one_by_one(&mut self, ids: &[String]) -> StoreResult<()> {
        let skipped = self.query.cursor.map_or(0, |cursor| cursor.skip);
        for (number, id) in (0..).zip(ids).filter(|(number, _)| *number >= skipped) {
            if self.page.found.len() == self.limit || self.visited >= BUDGET {
                let (instant, stream) = (Timestamp::MIN, 0);
                self.page.next = Some(Cursor { patient: 0, instant, stream, skip: number });
                return Ok(());
            }
            self.visited += ROWS_OF_A_PARTICIPANT;
            let found = self.find_by_id(id)?;
            self.page.found.extend(found);
        }
        Ok(())
    }

    /// Returns the observation with an id of [`FoundObservation::id`].
    fn find_by_id(&mut self, id: &str) -> StoreResult<Option<FoundObservation>> {
        let db = self.db;
        let Some((stream, place)) = id.split_once('-') else { return Ok(None) };
        let Ok(stream) = stream.parse::<i64>() else { return Ok(None) };
        let revision = place.rsplit_once("-r").filter(|(_, number)| number.parse::<u32>().is_ok());
        let place = revision.map_or(place, |(place, _)| place);
        let instant = match place.parse::<i64>() {
            Ok(micros) => Some(Timestamp::from_micros(micros)),
            Err(_) => reading::find_event(db, stream, place)?,
        };
        let patient = reading::find_stream_patient(db, stream)?;
        let Some((instant, patient)) = Option::zip(instant, patient) else { return Ok(None) };
        let is_wanted = self.query.patients.as_ref().is_none_or(|named| named.contains(&patient.get()));
        let participant = if is_wanted { reading::find(db, self.study.id, patient)? } else { None };
        let Some(participant) = participant else { return Ok(None) };
        let sources = self.sources(&participant)?;
        let Some(source) = sources.into_iter().find(|source| source.stream.id == stream) else {
            return Ok(None);
        };
        let row = reading::list_observations(db, stream, (instant, instant), false, 1)?.pop();
        let values = row.map(|row| self.values(&source, row)).transpose()?.unwrap_or_default();
        Ok(values.into_iter().find(|found| found.id(self.query.base.has_documents()) == id))
    }

    fn patient_by_patient(&mut self) -> StoreResult<()> {
        let mut resume = self.query.cursor;
        let mut after = resume.map_or(i64::MIN, |cursor| cursor.patient.saturating_sub(1));
        while let Some(participant) = self.next_participant(after)? {
            after = participant.patient.get();
            self.visited += ROWS_OF_A_PARTICIPANT;
            let resume = resume.take().filter(|cursor| cursor.patient == after);
            let sources = self.sources(&participant)?;
            if self.merge(sources, resume, after)? {
                return Ok(());
            }
            if self.visited >= BUDGET {
                if let Some(next) = self.next_participant(after)? {
                    let (instant, stream) = (Timestamp::MAX, i64::MAX);
                    self.page.next = Some(Cursor { patient: next.patient.get(), instant, stream, skip: 0 });
                }
                return Ok(());
            }
        }
        Ok(())
    }

    fn all_together(&mut self) -> StoreResult<()> {
        let (mut sources, mut after, mut participants) = (Vec::new(), i64::MIN, 0);
        while let Some(participant) = self.next_participant(after)? {
            after = participant.patient.get();
            participants += 1;
            sources.extend(self.sources(&participant)?);
            if sources.len() > MOST_SORTED_STREAMS || participants > MOST_SORTED_PARTICIPANTS {
                let text = "_sort: these are too many patients to sort together; name some with 'patient', or leave _sort out";
                return Err(StoreError::Refused(text.to_owned()));
            }
        }
        self.merge(sources, self.query.cursor, 0).map(drop)
    }

    /// Returns the participant with the lowest id above `after` among those that the query names.
    fn next_participant(&self, after: i64) -> StoreResult<Option<ReadableParticipant>> {
        reading::find_next_of(self.db, self.study.id, self.query.patients.as_deref(), after)
    }

    fn sources(&self, participant: &ReadableParticipant) -> StoreResult<Vec<StreamRows>> {
        let enrolment = Arc::new(enrolment(self.study, participant));
        let mut sources = Vec::new();
        for stream in reading::list_streams(self.db, self.study, participant)? {
            let allowed = participant.allowed.get(&stream.code);
            let Some(allowed) = allowed.filter(|_| self.query.accepts(&stream)) else { continue };
            let Some(Interval { from, until }) = allowed.within(self.query.measured).span() else { continue };
            sources.push(StreamRows {
                stream: Arc::new(stream),
                enrolment: Arc::clone(&enrolment),
                allowed: allowed.clone(),
                range: (from, Timestamp::from_micros(until.micros() - 1)),
                rows: VecDeque::new(),
                chunk: 1,
                is_read_to_the_end: false,
            });
        }
        Ok(sources)
    }

    /// Adds the observations of streams to the page, by time. Returns true if the page is full.
    fn merge(
        &mut self,
        mut sources: Vec<StreamRows>,
        resume: Option<Cursor>,
        patient: i64,
    ) -> StoreResult<bool> {
        let is_newest_first = self.query.order != Order::OldestFirst;
        if let Some(cursor) = resume {
            for source in &mut sources {
                source.resume(cursor, is_newest_first);
            }
        }
        let share = |rows: usize| (rows / sources.len().max(1) + 1).min(MOST_ROWS);
        let (chunk, most) = (share(self.limit), share(BUDGET));
        // The greatest comes first: the newest or, with the sign changed, the oldest.
        let key = |at: Timestamp| if is_newest_first { at.micros() } else { -at.micros() };
        let mut heads = BinaryHeap::with_capacity(sources.len());
        for (index, source) in sources.iter_mut().enumerate() {
            source.chunk = chunk;
            self.visited += source.fill(self.db, is_newest_first, most)?;
            heads.extend(source.first().map(|at| (key(at), source.stream.id, index)));
        }
        while let Some((_, _, index)) = heads.pop() {
            let Some(source) = sources.get_mut(index) else { continue };
            let Some(row) = source.rows.pop_front() else { continue };
            let (instant, stream) = (row.observation.instant, source.stream.id);
            let place = |skip| Cursor { patient, instant, stream, skip };
            if self.visited >= BUDGET {
                self.page.next = Some(place(0));
                return Ok(true);
            }
            let skipped = resume.filter(|cursor| (cursor.instant, cursor.stream) == (instant, stream));
            let skipped = skipped.map_or(0, |cursor| cursor.skip);
            for (number, found) in (0..).zip(self.values(source, row)?) {
                if number < skipped {
                    continue;
                }
                if self.page.found.len() == self.limit {
                    self.page.next = Some(place(number));
                    return Ok(true);
                }
                self.page.found.push(found);
            }
            self.visited += source.fill(self.db, is_newest_first, most)?;
            heads.extend(source.first().map(|at| (key(at), stream, index)));
        }
        Ok(false)
    }

    /// Returns the resources that a row stands for: its current value or, with documents, each delivered one.
    fn values(
        &mut self,
        source: &StreamRows,
        row: CommittedObservation,
    ) -> StoreResult<Vec<FoundObservation>> {
        let CommittedObservation { observation, commit } = row;
        let Interval { from, until } = self.query.measured;
        let is_wanted = from <= observation.instant && observation.instant < until;
        if !is_wanted || !is_allowed(&source.allowed, observation.instant, observation.frame()) {
            return Ok(Vec::new());
        }
        let updated = self.commit_time(commit)?;
        let values =
            list_values(self.db, &source.stream, observation, updated, self.query.base.has_documents())?;
        let Interval { from, until } = self.query.updated;
        let values = values.into_iter().filter(|(_, updated)| from <= *updated && *updated < until);
        let found = values.map(|(observation, last_updated)| FoundObservation {
            stream: Arc::clone(&source.stream),
            enrolment: Arc::clone(&source.enrolment),
            observation,
            last_updated,
        });
        Ok(found.collect())
    }

    fn commit_time(&mut self, commit: i64) -> StoreResult<Timestamp> {
        if let Some(known) = self.commits.get(&commit) {
            return Ok(*known);
        }
        let found = reading::find_commit_time(self.db, commit)?.unwrap_or(Timestamp::MIN);
        self.commits.insert(commit, found);
        Ok(found)
    }
}

impl StreamRows {
    /// Leaves out the rows before a cursor. Rows of one instant are ordered by stream, the highest first.
    fn resume(&mut self, cursor: Cursor, is_newest_first: bool) {
        let was_sent = i64::from(self.stream.id > cursor.stream);
        let at = cursor.instant.micros();
        if is_newest_first {
            self.range.1 = self.range.1.min(Timestamp::from_micros(at.saturating_sub(was_sent)));
        } else {
            self.range.0 = self.range.0.max(Timestamp::from_micros(at.saturating_add(was_sent)));
        }
    }

    /// Returns the instant of the next row.
    fn first(&self) -> Option<Timestamp> {
        self.rows.front().map(|row| row.observation.instant)
    }

    /// Reads the next rows if none is in memory. Returns their number.
    fn fill(&mut self, db: &Connection, is_newest_first: bool, most: usize) -> StoreResult<usize> {
        if !self.rows.is_empty() || self.is_read_to_the_end {
            return Ok(0);
        }
        let read = reading::list_observations(db, self.stream.id, self.range, is_newest_first, self.chunk)?;
        self.is_read_to_the_end = read.len() < self.chunk;
        self.chunk = (self.chunk * 2).min(most);
        if let Some(last) = read.last() {
            let at = last.observation.instant.micros();
            if is_newest_first {
                self.range.1 = Timestamp::from_micros(at.saturating_sub(1));
            } else {
                self.range.0 = Timestamp::from_micros(at.saturating_add(1));
            }
        }
        let number = read.len();
        self.rows.extend(read);
        Ok(number)
    }
}

/// Returns the values of an observation that are resources of their own.
fn list_values(
    db: &Connection,
    stream: &StreamInfo,
    observation: Observation,
    updated: Timestamp,
    has_documents: bool,
) -> StoreResult<Vec<(Observation, Timestamp)>> {
    if !has_documents || observation.revision == 0 {
        return Ok(vec![(observation, updated)]);
    }
    let earlier = reading::list_earlier_values(db, stream.id, observation.instant)?;
    Ok(delivered_values(earlier, (observation, updated), stream.daily_total, stream.jhe_id.is_some()))
}

/// Returns the participant's enrolment in the study that is read.
pub fn enrolment(study: &Study, participant: &ReadableParticipant) -> Enrolment {
    let (name, participant) = (study.terms.name.clone(), participant.participant.clone());
    Enrolment { study: study.id, name, participant }
}

impl FoundObservation {
    /// Returns the resource's id: the stream, and the event or the instant in microseconds. With documents, a revision is a
    /// resource of its own.
    pub fn id(&self, has_documents: bool) -> String {
        let Observation { instant, revision, .. } = self.observation;
        let event = self.observation.event().filter(|event| is_plain_id(event));
        let place = event.map_or_else(|| instant.micros().to_string(), str::to_owned);
        let revision = if has_documents && revision > 0 { format!("-r{revision}") } else { String::new() };
        format!("{}-{place}{revision}", self.stream.id)
    }
}

/// Returns true if an event's id can be a part of a FHIR id, which has at most 64 letters, digits, hyphens and dots.
fn is_plain_id(event: &str) -> bool {
    const LONGEST: usize = 36;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    event.len() <= LONGEST && event.parse::<i64>().is_err() && event.bytes().all(is_plain)
}
