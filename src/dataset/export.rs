//! Writes a data set: every table of a study, from one snapshot of the store.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::civil::Date;
use rusqlite::Connection;

use crate::common::time::Timestamp;
use crate::dataset::cells::{push_night, push_values, quality, wearer};
use crate::dataset::columns::{self, series_of_codes, table_name};
use crate::dataset::csv::CsvWriter;
use crate::dataset::days::{Counted, Days};
use crate::dataset::night::{Night, Nights};
use crate::dataset::package;
use crate::dataset::parquet::ParquetWriter;
use crate::dataset::request::{Description, Format, Request};
use crate::dataset::rows::{
    Arrivals, Commits, LocalClock, LocalTime, Origin, ParticipantData, begin_and_end, is_raw, push_time,
};
use crate::dataset::study_columns;
use crate::dataset::table::{Cell, Sink, Table, TableWriter, WrittenTable};
use crate::model::catalog::method::{self, Statistic};
use crate::model::catalog::series;
use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::consent_intervals::{ConsentIntervals, Interval};
use crate::model::observation::StreamInfo;
use crate::model::sample_details::{SampleDetails, StageInterval};
use crate::model::{account::VisibleTo, study::StudyId, time_zones};
use crate::omh::identity::StreamIdentity;
use crate::store::samples::commit::is_allowed;
use crate::store::samples::dataset::{self, Commit, DataRow, RemovedRow};
use crate::store::{error::StoreError, people};

/// A directory in which each table is a file.
struct Directory<'a> {
    path: &'a Path,
    format: Format,
}

impl Sink for Directory<'_> {
    fn open(&mut self, table: &Table) -> std::io::Result<Box<dyn TableWriter>> {
        let path = self.path.join(self.format.file_name(table));
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        Ok(match self.format {
            Format::Csv => {
                let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
                let types = table.columns.iter().map(|column| column.kind).collect();
                Box::new(CsvWriter::new(file, types, Some(&names)))
            }
            Format::Parquet => Box::new(ParquetWriter::new(file, table)?),
        })
    }
}

/// The size of a written data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub participants: usize,
    /// Rows of observations, nights and workouts.
    pub rows: u64,
    pub bytes: u64,
    /// The last commit that the data set contains.
    pub last_commit: i64,
}

/// The reason why a data set was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The data set that an increment continues is not of this store, or the store was restored since.
    #[error("the store has no commit {since}")]
    UnknownCommit { since: i64 },
}

/// The tables that are being written, with what they share.
struct Export<'a> {
    db: &'a Connection,
    study: StudyId,
    /// The last commit that the reader has.
    since: Option<i64>,
    sink: &'a mut dyn Sink,
    last: Commit,
    /// The time up to which days are counted.
    as_of: Timestamp,
    commits: Commits,
    participants: Vec<ParticipantData>,
    removed: BTreeSet<(String, &'static str, uuid::Uuid)>,
    written: Vec<WrittenTable>,
    days: OpenTable,
    events: OpenTable,
}

/// A table whose file is open.
struct OpenTable {
    table: Table,
    writer: Box<dyn TableWriter>,
    rows: u64,
}

impl OpenTable {
    fn write(&mut self, row: &[Cell<'_>]) -> std::io::Result<()> {
        debug_assert_eq!(row.len(), self.table.columns.len(), "{}", self.table.name);
        self.rows += 1;
        self.writer.write(row)
    }

    fn finish(self) -> std::io::Result<WrittenTable> {
        let bytes = self.writer.finish()?;
        Ok(WrittenTable { table: self.table, rows: self.rows, bytes })
    }
}

/// Writes the data set into an empty directory. `db` is one snapshot.
pub fn write(db: &Connection, request: &Request, directory: &Path) -> Result<Summary, ExportError> {
    let mut sink = Directory { path: directory, format: request.format };
    let (participants, last, tables) =
        write_tables(db, (request.study, request.visible_to), request.since, request.now, &mut sink)?;
    // Stages belong to the rows of nights.
    let observations = |one: &&WrittenTable| !one.table.is_replaced && one.table.name != "sleep_stages";
    let rows = tables.iter().filter(observations).map(|one| one.rows).sum();
    let bytes = tables.iter().map(|table| table.bytes).sum();
    package::write(directory, &Description { request, last, tables: &tables })?;
    Ok(Summary { participants, rows, bytes, last_commit: last.number })
}

/// Writes the tables of the participants of a study whom an account may see. Returns the number of participants, the last commit, and the tables by name.
pub fn write_tables(
    db: &Connection,
    (study, visible_to): (StudyId, VisibleTo),
    since: Option<i64>,
    now: Timestamp,
    sink: &mut dyn Sink,
) -> Result<(usize, Commit, Vec<WrittenTable>), ExportError> {
    let last = dataset::find_last_commit(db)?;
    if let Some(since) = since
        && since != 0
        && !dataset::has_commit(db, since)?
    {
        return Err(ExportError::UnknownCommit { since });
    }
    let (terms, mut participants) = (people::study::find(db, study)?, Vec::new());
    for participant in dataset::list_participants(db, study, visible_to)? {
        let consents = dataset::list_consents(db, study, participant.patient)?;
        let allowed = dataset::find_allowed(db, study, participant.patient, &consents)?;
        let mut streams = dataset::list_streams(db, study, participant.patient)?;
        streams.retain(|stream| terms.accepts_provider(&stream.provider));
        participants.push(ParticipantData::new(participant, consents, allowed, streams, since));
    }
    let (commits, days) =
        (Commits::new(dataset::list_commits(db)?), open(sink, study_columns::days_table())?);
    let (removed, written, events) =
        (BTreeSet::new(), Vec::new(), open(sink, study_columns::sync_events_table())?);
    // The clock may have been set back since the last commit.
    let as_of = now.max(last.instant);
    let mut export =
        Export { db, study, since, sink, last, as_of, commits, participants, removed, written, days, events };
    let codes = dataset::list_codes(db, study)?;
    let (sleep, others): (Vec<_>, Vec<_>) =
        series_of_codes(&codes).partition(|series| series.origin == OwEndpoint::Sleep);
    for series in others {
        export.series(series)?;
    }
    if !sleep.is_empty() {
        export.sleep(&sleep)?;
    }
    export.finish()
}

fn open(sink: &mut dyn Sink, table: Table) -> std::io::Result<OpenTable> {
    Ok(OpenTable { writer: sink.open(&table)?, table, rows: 0 })
}

/// The streams of one participant and some series types, with their positions.
fn streams_of<'a>(
    streams: &'a [StreamInfo],
    series: &'a [&'static SeriesType],
) -> impl Iterator<Item = (usize, &'a StreamInfo, &'static SeriesType)> + 'a {
    streams.iter().enumerate().filter_map(|(position, stream)| {
        let of_stream = series.iter().find(|one| one.series_type == stream.series_type)?;
        Some((position, stream, *of_stream))
    })
}

/// Returns true if the consents cover a row.
fn is_covered(allowed: &ConsentIntervals, row: &DataRow) -> bool {
    is_allowed(allowed, row.instant, row.details.as_ref().and_then(|details| details.frame))
}

fn event_of(details: Option<&SampleDetails>) -> (Option<&str>, bool) {
    details.map_or((None, false), |details| (details.id.as_deref(), details.was_part))
}

impl Export<'_> {
    /// Writes the table of a series type, except for sleep.
    fn series(&mut self, series: &'static SeriesType) -> Result<(), ExportError> {
        let Self { db, since, sink, commits, participants, removed, days, events, last, as_of, .. } = self;
        let mut out = open(*sink, columns::series_table(series))?;
        for data in participants.iter_mut() {
            let allowed = data.allowed(series.code);
            let zone = data.participant.zone.clone();
            let mut clock = LocalClock::new(&zone);
            let is_heart_rate = series.series_type == "heart_rate";
            let mut found = Days::new(&zone, &allowed, is_heart_rate, data.first_grant());
            let mut arrivals = Arrivals::default();
            for (_, stream, _) in streams_of(&data.streams, &[series]) {
                let identity = StreamIdentity::of_row(stream);
                let method = method::find(series, &stream.provider, stream.daily_total);
                let device = data.device_number(stream);
                let participant = data.participant.participant.as_str();
                let tally = &mut data.tally;
                dataset::for_each_row(db, stream.id, |row: DataRow| -> Result<(), ExportError> {
                    if !is_covered(&allowed, &row) {
                        return Ok(());
                    }
                    let is_new = is_new(data.is_complete, *since, row.commit);
                    let (event, was_part) = event_of(row.details.as_ref());
                    let identifier = || identity.uuid(row.instant, event, was_part);
                    if row.details.as_ref().is_some_and(|details| details.deleted) {
                        if is_new && !data.is_complete {
                            removed.insert((participant.to_owned(), table_name(series), identifier()));
                        }
                        return Ok(());
                    }
                    let (start, end) = begin_and_end(&row);
                    let offset = row.details.as_ref().and_then(|details| details.frame?.start_zone);
                    let local = LocalTime {
                        is_of_sample: row.zone.is_some(),
                        ..clock.local(start, offset.or(row.zone))
                    };
                    let (measured, arrived) = (end.unwrap_or(start), commits.instant(row.commit));
                    let is_by_day = method.covers_day || series.is_by_day();
                    tally.add(start);
                    arrivals.add(start, row.commit);
                    found.add(Counted {
                        date: local.date,
                        interval: (!is_by_day).then_some(Interval { from: start, until: measured }),
                        is_raw: is_raw(stream),
                        offset: row.zone,
                        delay: arrived
                            .filter(|arrived| row.revision == 0 && *arrived >= measured)
                            .map(|arrived| arrived.since(measured)),
                    });
                    if !is_new {
                        return Ok(());
                    }
                    let mut cells = Vec::with_capacity(24);
                    push_time(&mut cells, participant, (start, end), local);
                    push_values(&mut cells, series, &row);
                    if matches!(series.origin, OwEndpoint::Timeseries(_)) {
                        cells.push(Cell::Boolean(stream.daily_total));
                    }
                    if series.origin != OwEndpoint::Workouts {
                        // The method of a day's activity has no statistic, since the document has no field for it.
                        let statistic =
                            if series.is_by_day() { Some(Statistic::Sum) } else { method.statistic };
                        cells.push(Cell::text(statistic.map_or("", Statistic::as_str)));
                        cells.push(Cell::text(wearer(method, &row)));
                    }
                    cells.push(Cell::Text(quality(series, method, &row)));
                    let arrived = arrived.unwrap_or(last.instant);
                    let (commit, revision, identifier) = (row.commit, row.revision, identifier());
                    Origin { stream, device, arrived, commit, revision, identifier }.push(&mut cells);
                    Ok(out.write(&cells)?)
                })?;
            }
            let participant = &data.participant.participant;
            write_days(days, participant, table_name(series), found, data.last_day(*as_of))?;
            write_arrivals(events, participant, table_name(series), arrivals, commits)?;
        }
        self.written.push(out.finish()?);
        Ok(())
    }

    /// Writes the tables of nights and their stages.
    fn sleep(&mut self, series: &[&'static SeriesType]) -> Result<(), ExportError> {
        let Self { db, since, sink, commits, participants, removed, days, events, last, as_of, .. } = self;
        let mut out = open(*sink, columns::sleep_table())?;
        let mut stages = open(*sink, columns::sleep_stages_table())?;
        for data in participants.iter_mut() {
            let zone = data.participant.zone.clone();
            let participant = data.participant.participant.as_str();
            let mut nights = Nights::default();
            for (_, stream, _) in streams_of(&data.streams, series) {
                nights.add_aliases(stream, dataset::list_event_aliases(db, stream.id)?);
            }
            for (position, stream, series) in streams_of(&data.streams, series) {
                let allowed = data.allowed(series.code);
                let identity = StreamIdentity::of_row(stream);
                dataset::for_each_row(db, stream.id, |row: DataRow| -> Result<(), ExportError> {
                    if !is_covered(&allowed, &row) {
                        return Ok(());
                    }
                    let identifier = identity.uuid(row.instant, nights.event(stream, &row).as_deref(), false);
                    if row.details.as_ref().is_some_and(|details| details.deleted) {
                        if is_new(data.is_complete, *since, row.commit) && !data.is_complete {
                            removed.insert((participant.to_owned(), "sleep", identifier));
                        }
                        return Ok(());
                    }
                    nights.add(position, stream, series, row, identifier);
                    Ok(())
                })?;
            }
            let allowed = ConsentIntervals::union(series.iter().map(|series| data.allowed(series.code)));
            let mut clock = LocalClock::new(&zone);
            let mut found = Days::new(&zone, &allowed, false, data.first_grant());
            let mut arrivals = Arrivals::default();
            for night in nights.into_sorted() {
                let Some(stream) = data.streams.get(night.stream) else { continue };
                let arrived = commits.instant(night.commit);
                data.tally.add(night.frame.start);
                arrivals.add(night.frame.start, night.commit);
                // A night counts for the day of getting up.
                let date = clock.local(night.frame.end, night.frame.end_zone).date;
                found.add(Counted {
                    date,
                    interval: Some(Interval { from: night.frame.start, until: night.frame.end }),
                    is_raw: is_raw(stream),
                    offset: night.frame.end_zone.filter(|_| night.has_own_offset),
                    delay: arrived
                        .filter(|at| night.revision == 0 && *at >= night.frame.end)
                        .map(|arrived| arrived.since(night.frame.end)),
                });
                if !is_new(data.is_complete, *since, night.commit) {
                    continue;
                }
                let local = LocalTime {
                    date,
                    is_of_sample: night.has_own_offset,
                    ..clock.local(night.frame.start, night.frame.start_zone)
                };
                let mut cells = Vec::with_capacity(32);
                push_time(&mut cells, participant, (night.frame.start, Some(night.frame.end)), local);
                push_night(&mut cells, &night);
                let device = data.device_number(stream);
                let arrived = arrived.unwrap_or(last.instant);
                let Night { commit, revision, identifier, .. } = night;
                Origin { stream, device, arrived, commit, revision, identifier }.push(&mut cells);
                out.write(&cells)?;
                for StageInterval(stage, from, until) in night.stages {
                    stages.write(&[
                        Cell::Text(participant),
                        Cell::Identifier(identifier),
                        Cell::Text(stage.as_str()),
                        Cell::Micros(from.micros()),
                        Cell::Micros(until.micros()),
                    ])?;
                }
            }
            write_days(days, participant, "sleep", found, data.last_day(*as_of))?;
            write_arrivals(events, participant, "sleep", arrivals, commits)?;
        }
        self.written.push(out.finish()?);
        self.written.push(stages.finish()?);
        Ok(())
    }

    /// Writes the tables about participants.
    fn finish(mut self) -> Result<(usize, Commit, Vec<WrittenTable>), ExportError> {
        let mut tables = self.participant_tables()?;
        tables.push(self.removed()?);
        tables.extend([self.days, self.events]);
        for table in tables {
            self.written.push(table.finish()?);
        }
        self.written.sort_by(|one, other| one.table.name.cmp(&other.table.name));
        Ok((self.participants.len(), self.last, self.written))
    }

    fn participant_tables(&mut self) -> Result<Vec<OpenTable>, ExportError> {
        let mut open = |table| open(self.sink, table);
        let (mut people, mut consents) =
            (open(study_columns::participants_table())?, open(study_columns::consents_table())?);
        let mut devices = open(study_columns::devices_table())?;
        for data in &self.participants {
            let participant = Cell::Text(&data.participant.participant);
            let zone = time_zones::display_name(&data.participant.zone_name);
            people.write(&[
                participant,
                Cell::Micros(data.participant.enrolled.micros()),
                Cell::Text(data.state()),
                Cell::Text(&zone),
                Cell::Boolean(data.participant.zone_is_set),
                Cell::instant(data.participant.limits.0),
                Cell::instant(data.participant.limits.1),
                Cell::instant(data.tally.first),
                Cell::instant(data.tally.last),
                Cell::Integer(data.tally.rows),
            ])?;
            for consent in &data.consents {
                let (version, language) =
                    consent.text.as_ref().map_or(("", ""), |(version, language)| (version, language));
                consents.write(&[
                    participant,
                    Cell::Text(&consent.code),
                    Cell::Text(&consent.display),
                    Cell::Micros(consent.grant.granted.micros()),
                    Cell::instant(consent.grant.withdrawn),
                    Cell::instant(consent.grant.covers_from),
                    Cell::text(version),
                    Cell::text(language),
                ])?;
            }
            for (number, provider, model) in data.devices() {
                let provider = if provider.is_empty() { "unknown" } else { provider };
                let cells = [participant, Cell::Integer(number), Cell::Text(provider), Cell::text(&model)];
                devices.write(&cells)?;
            }
        }
        Ok(vec![people, consents, devices])
    }

    /// Writes what an earlier data set must remove.
    fn removed(&mut self) -> Result<OpenTable, ExportError> {
        let mut out = open(self.sink, study_columns::removed_table())?;
        let Some(since) = self.since else { return Ok(out) };
        let mut removed = self.removed.clone();
        for RemovedRow { participant, observation } in dataset::list_removed(self.db, self.study, since)? {
            match observation {
                None => out.write(&[Cell::Text(&participant), Cell::Null, Cell::Null])?,
                Some((series_type, identifier)) => {
                    let table = series::find(&series_type).map(table_name);
                    if let (Some(table), Ok(identifier)) = (table, identifier.parse()) {
                        removed.insert((participant, table, identifier));
                    }
                }
            }
        }
        for (participant, table, identifier) in &removed {
            out.write(&[Cell::Text(participant), Cell::Text(table), Cell::Identifier(*identifier)])?;
        }
        Ok(out)
    }
}

/// Returns true if a data set contains a row of a participant that last changed with `commit`.
fn is_new(is_complete: bool, since: Option<i64>, commit: i64) -> bool {
    is_complete || since.is_none_or(|since| commit > since)
}

fn write_arrivals(
    out: &mut OpenTable,
    participant: &str,
    data_type: &str,
    arrivals: Arrivals,
    commits: &mut Commits,
) -> std::io::Result<()> {
    for (commit, arrival) in arrivals.finish() {
        out.write(&[
            Cell::Text(participant),
            Cell::Text(data_type),
            Cell::Integer(commit),
            Cell::instant(commits.instant(commit)),
            Cell::Integer(arrival.rows),
            Cell::Micros(arrival.first.micros()),
            Cell::Micros(arrival.last.micros()),
        ])?;
    }
    Ok(())
}

fn write_days(
    out: &mut OpenTable,
    participant: &str,
    data_type: &str,
    found: Days<'_>,
    (as_of, last): (Timestamp, Option<Date>),
) -> std::io::Result<()> {
    let integer = |number: Option<i64>| number.map_or(Cell::Null, Cell::Integer);
    for day in found.finish(as_of).into_iter().filter(|day| last.is_none_or(|last| day.date <= last)) {
        out.write(&[
            Cell::Text(participant),
            Cell::Text(data_type),
            Cell::Date(day.date),
            Cell::Text(day.consented.as_str()),
            Cell::Integer(day.expected_minutes),
            Cell::Integer(i64::try_from(day.samples).unwrap_or(i64::MAX)),
            integer(day.hours),
            integer(day.wear_minutes),
            integer(day.longest_gap_minutes),
            integer(day.delay_minutes),
        ])?;
    }
    Ok(())
}
