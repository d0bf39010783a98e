//! The rows of one participant: cells of an observation, what is counted of it, and whether an increment has it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::common::time::{Timestamp, ZoneOffset, offset_at};
use crate::config::settings::IngestMode;
use crate::dataset::device::find_model;
use crate::dataset::table::Cell;
use crate::model::catalog::source::DATA_SOURCES;
use crate::model::collection_window;
use crate::model::consent_intervals::{ConsentIntervals, Grant};
use crate::model::observation::StreamInfo;
use crate::store::samples::dataset::{Commit, ConsentRow, DataRow, Participant};

const MICROS_PER_DAY: i64 = 86_400_000_000;
const MICROS_PER_MINUTE: i64 = 60_000_000;

/// A participant with everything that the rows share.
pub(crate) struct ParticipantData {
    pub(crate) participant: Participant,
    pub(crate) consents: Vec<ConsentRow>,
    pub(crate) streams: Vec<StreamInfo>,
    /// The intervals that the consents to a code allow, by code.
    allowed: BTreeMap<String, ConsentIntervals>,
    /// Provider and OW's text of each device; the number is the position plus 1.
    devices: Vec<(String, String)>,
    pub(crate) tally: Tally,
    /// True if an increment holds everything of the participant.
    pub(crate) is_complete: bool,
}

/// Counts over all rows of a participant.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rows: i64,
    pub(crate) first: Option<Timestamp>,
    pub(crate) last: Option<Timestamp>,
}

/// The rows of a participant and a data type by the commit with which they came.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    by_commit: BTreeMap<i64, Arrival>,
    /// The commit of the last row, which is taken out of the map: rows of one commit follow each other.
    open: Option<(i64, Arrival)>,
}

/// The rows that came with one commit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) rows: i64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

impl ParticipantData {
    /// `since` is the commit that a reader of an increment has; none for the full set.
    pub(crate) fn new(
        participant: Participant,
        consents: Vec<ConsentRow>,
        allowed: BTreeMap<String, ConsentIntervals>,
        streams: Vec<StreamInfo>,
        since: Option<i64>,
    ) -> Self {
        let mut devices: Vec<(String, String)> = Vec::new();
        for stream in &streams {
            let device = (stream.provider.clone(), stream.device.clone());
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
        let is_complete = since.is_none_or(|since| participant.changed_at_commit > since);
        Self { participant, consents, streams, allowed, devices, tally: Tally::default(), is_complete }
    }

    /// Returns the time of the first grant.
    pub(crate) fn first_grant(&self) -> Timestamp {
        let granted = self.consents.iter().map(|consent| consent.grant).filter(|grant| !grant.is_refusal());
        granted.map(|grant| grant.granted).min().unwrap_or(Timestamp::MAX)
    }

    /// Returns the time up to which days are counted, and the last day of the collection window.
    pub(crate) fn last_day(&self, as_of: Timestamp) -> (Timestamp, Option<Date>) {
        let until = self.participant.limits.1;
        (as_of, until.and_then(|until| collection_window::last_day(until, &self.participant.zone)))
    }

    /// Returns the intervals that the consents to a code allow.
    pub(crate) fn allowed(&self, code: &str) -> ConsentIntervals {
        self.allowed.get(code).cloned().unwrap_or_default()
    }

    pub(crate) fn device_number(&self, stream: &StreamInfo) -> i64 {
        let is_it =
            |(provider, text): &(String, String)| *provider == stream.provider && *text == stream.device;
        let position = self.devices.iter().position(is_it).unwrap_or(0);
        i64::try_from(position + 1).unwrap_or(i64::MAX)
    }

    /// Lists number, provider and model of the devices.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (i64, &str, String)> {
        (1..)
            .zip(&self.devices)
            .map(|(number, (provider, text))| (number, provider.as_str(), find_model(text)))
    }

    /// Returns the state of all consents together.
    pub(crate) fn state(&self) -> &'static str {
        let grants = || self.consents.iter().map(|consent| &consent.grant);
        match () {
            () if self.consents.is_empty() => "no consent",
            () if grants().any(|grant| grant.withdrawn.is_none()) => "consented",
            () if grants().all(Grant::is_refusal) => "declined",
            () => "withdrawn",
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, at: Timestamp) {
        self.rows += 1;
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
    }
}

impl Arrivals {
    pub(crate) fn add(&mut self, at: Timestamp, commit: i64) {
        if self.open.is_none_or(|(open, _)| open != commit) {
            let next = self.by_commit.remove(&commit).unwrap_or(Arrival { rows: 0, first: at, last: at });
            self.by_commit.extend(self.open.replace((commit, next)));
        }
        if let Some((_, arrival)) = &mut self.open {
            arrival.rows += 1;
            arrival.first = arrival.first.min(at);
            arrival.last = arrival.last.max(at);
        }
    }

    /// Returns the arrivals by commit.
    pub(crate) fn finish(mut self) -> BTreeMap<i64, Arrival> {
        self.by_commit.extend(self.open.take());
        self.by_commit
    }
}

/// The begin of a row on the participant's clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LocalTime {
    pub(crate) micros: i64,
    /// The day for which the row counts.
    pub(crate) date: Date,
    /// Minutes east of UTC.
    pub(crate) offset: i64,
    pub(crate) is_of_sample: bool,
}

/// Computes local times in one time zone. It remembers the offset of a day, since most rows share it.
pub(crate) struct LocalClock<'a> {
    zone: &'a TimeZone,
    /// A UTC day, in days since 1970, whose offset does not change, and the offset.
    day: Option<(i64, ZoneOffset)>,
    /// A local day, in days since 1970, and its date.
    date: Option<(i64, Date)>,
}

impl<'a> LocalClock<'a> {
    pub(crate) fn new(zone: &'a TimeZone) -> Self {
        Self { zone, day: None, date: None }
    }

    /// Returns the local time of an instant at the sample's own offset, or else in the zone.
    pub(crate) fn local(&mut self, at: Timestamp, own: Option<ZoneOffset>) -> LocalTime {
        let offset = i64::from(own.unwrap_or_else(|| self.offset(at)).minutes());
        let micros = at.micros() + offset * MICROS_PER_MINUTE;
        LocalTime { micros, date: self.date(micros), offset, is_of_sample: own.is_some() }
    }

    fn offset(&mut self, at: Timestamp) -> ZoneOffset {
        let day = at.micros().div_euclid(MICROS_PER_DAY);
        if let Some((_, offset)) = self.day.filter(|(known, _)| *known == day) {
            return offset;
        }
        let start = Timestamp::from_micros(day * MICROS_PER_DAY);
        let end = Timestamp::from_micros((day + 1) * MICROS_PER_DAY - 1);
        let (first, last) = (offset_at(self.zone, start), offset_at(self.zone, end));
        if first == last {
            self.day = Some((day, first));
        }
        offset_at(self.zone, at)
    }

    fn date(&mut self, local_micros: i64) -> Date {
        let day = local_micros.div_euclid(MICROS_PER_DAY);
        if let Some((_, date)) = self.date.filter(|(known, _)| *known == day) {
            return date;
        }
        let date = jiff::civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(day));
        self.date = Some((day, date));
        date
    }
}

/// The commits of the store by number.
pub(crate) struct Commits {
    all: Vec<Commit>,
    last: Option<Commit>,
}

impl Commits {
    pub(crate) fn new(all: Vec<Commit>) -> Self {
        Self { all, last: None }
    }

    /// Returns when a commit was made; none if the store does not have it any more.
    pub(crate) fn instant(&mut self, number: i64) -> Option<Timestamp> {
        if let Some(last) = self.last.filter(|last| last.number == number) {
            return Some(last.instant);
        }
        let position = self.all.binary_search_by_key(&number, |commit| commit.number).ok()?;
        self.last = self.all.get(position).copied();
        self.last.map(|commit| commit.instant)
    }
}

/// The cells that say where a row comes from, in the order of `columns::origin_columns`.
pub(crate) struct Origin<'a> {
    pub(crate) stream: &'a StreamInfo,
    pub(crate) device: i64,
    pub(crate) arrived: Timestamp,
    pub(crate) commit: i64,
    pub(crate) revision: i64,
    pub(crate) identifier: Uuid,
}

impl<'a> Origin<'a> {
    pub(crate) fn push(&self, cells: &mut Vec<Cell<'a>>) {
        cells.extend([
            Cell::Text(if self.stream.provider.is_empty() { "unknown" } else { &self.stream.provider }),
            Cell::Integer(self.device),
            Cell::text(safe_source(&self.stream.source)),
            Cell::Text(if is_raw(self.stream) { "raw" } else { "normalized" }),
            Cell::Micros(self.arrived.micros()),
            Cell::Integer(self.commit),
            Cell::Integer(self.revision),
            Cell::Identifier(self.identifier),
        ]);
    }
}

pub(crate) fn is_raw(stream: &StreamInfo) -> bool {
    stream.system == IngestMode::Raw.system()
}

/// Sources at a provider that may be shown besides the providers' own names: programs, and no person's words.
const SOURCES: &[&str] = &[
    "apple_health",
    "apple_health_sdk",
    "com.apple.health",
    "com.google.android.apps.fitness",
    "com.samsung.health",
    "google_health",
    "health_connect",
    "healthkit",
    "samsung_health",
    "sdk",
];

/// Returns OW's name of a source if it is a known program's; empty for a text that its owner may have written.
fn safe_source(source: &str) -> &str {
    let is_provider = DATA_SOURCES.iter().any(|one| one.name.eq_ignore_ascii_case(source));
    if is_provider || SOURCES.contains(&source) { source } else { "" }
}

/// Pushes the cells of `columns::time_columns`.
pub(crate) fn push_time<'a>(
    cells: &mut Vec<Cell<'a>>,
    participant: &'a str,
    (start, end): (Timestamp, Option<Timestamp>),
    local: LocalTime,
) {
    cells.extend([
        Cell::Text(participant),
        Cell::Micros(start.micros()),
        Cell::instant(end),
        Cell::Micros(local.micros),
        Cell::Date(local.date),
        Cell::Integer(local.offset),
        Cell::Text(if local.is_of_sample { "sample" } else { "profile" }),
    ]);
}

/// Returns the begin and the end of a row; no end for an instant.
pub(crate) fn begin_and_end(row: &DataRow) -> (Timestamp, Option<Timestamp>) {
    let frame = row.details.as_ref().and_then(|details| details.frame);
    frame.map_or((row.instant, None), |frame| (frame.start, Some(frame.end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_times_follow_the_sample_and_else_the_zone_over_a_change_of_the_clocks() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut clock = LocalClock::new(&zone);
        let mut local = |text: &str, own: Option<i64>| {
            let at = Timestamp::parse(text).unwrap();
            let local = clock.local(at, own.and_then(ZoneOffset::from_minutes));
            (Timestamp::from_micros(local.micros).to_string(), local.date.to_string(), local.offset)
        };
        for (text, own, time, date, offset) in [
            ("2026-10-24T22:30:00Z", None, "2026-10-25T00:30:00Z", "2026-10-25", 120),
            ("2026-10-25T00:30:00Z", None, "2026-10-25T02:30:00Z", "2026-10-25", 120),
            ("2026-10-25T01:30:00Z", None, "2026-10-25T02:30:00Z", "2026-10-25", 60),
            ("2026-10-25T23:30:00Z", None, "2026-10-26T00:30:00Z", "2026-10-26", 60),
            ("2026-10-25T01:30:00Z", Some(-300), "2026-10-24T20:30:00Z", "2026-10-24", -300),
        ] {
            assert_eq!(local(text, own), (time.to_owned(), date.to_owned(), offset), "{text}");
        }
    }

    #[test]
    fn a_source_that_its_owner_may_have_named_is_left_out() {
        assert_eq!(safe_source("com.apple.health"), "com.apple.health");
        assert_eq!(safe_source("oura"), "oura");
        assert_eq!((safe_source("Anna's iPhone"), safe_source("anna.mueller-1985")), ("", ""));
    }
}
