//! `jhe-ow adherence`: prints the days with data, per patient and scope.

use std::io::{BufWriter, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::app::session::Session;
use crate::common::time::{Timestamp, parse_instant};
use crate::common::{csv_line::csv_line, failure::Failure, stdout::check_write};
use crate::model::adherence::{DayData, consent_coverage, day_bounds, local_days};
use crate::model::{consent_intervals::Interval, study::StudyId};
use crate::store::engine::store::Store;
use crate::store::samples::adherence::{self, RequestedScope, StudyPatient};

/// Coordinators report by the month.
const DEFAULT_RANGE: Duration = Duration::from_hours(30 * 24);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// From this day or time on [default: 30 days ago]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this day or time [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this study, by number or name
    #[arg(long)]
    study: Option<String>,
    /// Include the patients' names
    #[arg(long)]
    names: bool,
    /// The output format
    #[arg(long, value_enum, default_value_t = TableFormat::Csv)]
    format: TableFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    /// With a header line
    Csv,
    /// One JSON document per line
    Json,
}

/// One day of one scope of a patient.
struct AdherenceRow {
    requested: RequestedScope,
    date: Date,
    day: DayData,
    consented: &'static str,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let wanted = arguments.study.clone();
    let read = move |db: &_| {
        let study = wanted.map(|text| adherence::find_study(db, &text)).transpose()?;
        Ok((study, adherence::list_patients(db, study)?))
    };
    let (study, people) = store.read(read).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if arguments.format == TableFormat::Csv && !check_write(write_header(&mut out, arguments.names))? {
        return Ok(0);
    }
    for person in people {
        let range = range(&arguments, &person.zone, session.clock.now())?;
        let (person, rows) = read_rows(&store, person, study, range).await?;
        for row in &rows {
            if !check_write(write_row(&mut out, &person, row, &arguments))? {
                return Ok(0);
            }
        }
    }
    check_write(out.flush())?;
    Ok(0)
}

/// Parses the range. A bare date is midnight where the patient lives.
fn range(arguments: &Arguments, zone: &TimeZone, now: Timestamp) -> Result<Interval, Failure> {
    let parse = |text: &Option<String>| {
        let parsed = text.as_ref().map(|text| parse_instant(text, zone)).transpose();
        parsed.map_err(|why| Failure::usage(why, ""))
    };
    let until = parse(&arguments.until)?.unwrap_or(now).min(now);
    let from = match parse(&arguments.since)? {
        Some(from) => from,
        None => start_of_day(until.minus(DEFAULT_RANGE), zone),
    };
    Ok(Interval { from, until })
}

fn start_of_day(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let instant = Interval { from: at, until: at.plus(Duration::from_micros(1)) };
    let day = local_days(instant, zone).first().and_then(|day| day_bounds(*day, zone));
    day.map_or(at, |day| day.from)
}

/// Reads one patient's rows. A day without data has a row, too.
async fn read_rows(
    store: &Store,
    person: StudyPatient,
    study: Option<StudyId>,
    range: Interval,
) -> Result<(StudyPatient, Vec<AdherenceRow>), Failure> {
    let read = move |db: &_| {
        let requested = adherence::list_requested(db, person.id, study)?;
        let dates = local_days(range, &person.zone);
        let found = adherence::count_days(db, person.id, &requested, range, &person.zone)?;
        let mut rows = Vec::with_capacity(requested.len() * dates.len());
        for (scope, found) in requested.into_iter().zip(found) {
            for date in &dates {
                let day = found.get(date).cloned().unwrap_or_default();
                // The range cuts the first and the last day; consent counts within the range only.
                let day_range = day_bounds(*date, &person.zone).unwrap_or(range);
                let part = Interval {
                    from: day_range.from.max(range.from),
                    until: day_range.until.min(range.until),
                };
                let consented = consent_coverage(&scope.grants, part).as_str();
                rows.push(AdherenceRow { requested: scope.clone(), date: *date, day, consented });
            }
        }
        Ok((person, rows))
    };
    Ok(store.read(read).await?)
}

fn write_header(out: &mut impl Write, names: bool) -> std::io::Result<()> {
    let mut columns =
        vec!["patient", "external_id", "study", "scope", "day", "samples", "hours_with_data", "consented"];
    if names {
        columns.insert(1, "name");
    }
    out.write_all(&csv_line(columns))
}

fn write_row(
    out: &mut impl Write,
    person: &StudyPatient,
    row: &AdherenceRow,
    arguments: &Arguments,
) -> std::io::Result<()> {
    let AdherenceRow { requested, date, day, consented } = row;
    let study = requested.study.as_ref().map(|(_, name)| name.as_str());
    if arguments.format == TableFormat::Json {
        let mut document = json!({
            "patient": person.id.get(),
            "external_id": person.external_id,
            "study": study,
            "scope": requested.scope,
            "day": date.to_string(),
            "samples": day.samples,
            "hours_with_data": day.hours.len(),
            "consented": consented,
        });
        if arguments.names {
            document["name"] = person.name.as_str().into();
        }
        return writeln!(out, "{document}");
    }
    let mut columns = vec![
        person.id.to_string(),
        person.external_id.clone(),
        study.unwrap_or_default().to_owned(),
        requested.scope.clone(),
        date.to_string(),
        day.samples.to_string(),
        day.hours.len().to_string(),
        (*consented).to_owned(),
    ];
    if arguments.names {
        columns.insert(1, person.name.clone());
    }
    out.write_all(&csv_line(columns))
}
