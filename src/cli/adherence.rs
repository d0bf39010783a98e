//! `jhe-ow adherence`: the days with data, patient by patient and scope by scope.

use std::io::{BufWriter, Write};
use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::finish;
use crate::common::time::{Timestamp, parse_moment};
use crate::model::adherence::{Day, bounds, consented, days};
use crate::model::consent_intervals::Interval;
use crate::store::engine::store::Store;
use crate::store::samples::adherence;
use crate::store::samples::adherence::{Asked, Person};

/// How far back the table goes where nobody says: a month, as coordinators report.
const DEFAULT: Duration = Duration::from_hours(30 * 24);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// From this day or time on; the last 30 days and today where nothing is said
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this day or time; now where nothing is said
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this study, by number or name
    #[arg(long)]
    study: Option<String>,
    /// Say the patients' names as well
    #[arg(long)]
    names: bool,
    /// How the table is written
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// With a header line
    Csv,
    /// One JSON document per line
    Json,
}

/// A line of the table.
struct Row<'a> {
    person: &'a Person,
    asked: &'a Asked,
    date: Date,
    day: Day,
    consented: &'static str,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let wanted = arguments.study.clone();
    let read = move |db: &_| {
        let study = wanted.map(|text| adherence::study(db, &text)).transpose()?;
        Ok((study, adherence::patients(db, study)?))
    };
    let (study, people) = store.read(read).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if arguments.format == Format::Csv && !finish(header(&mut out, arguments.names))? {
        return Ok(0);
    }
    for person in people {
        let range = range(&arguments, &person.zone, session.clock.now())?;
        let (person, lines) = table(&store, person, study, range).await?;
        for (asked, date, day, consented) in &lines {
            let row = Row { person: &person, asked, date: *date, day: day.clone(), consented };
            if !finish(write(&mut out, &row, &arguments))? {
                return Ok(0);
            }
        }
    }
    finish(out.flush())?;
    Ok(0)
}

/// A bare date is midnight where the patient lives.
fn range(arguments: &Arguments, zone: &TimeZone, now: Timestamp) -> Result<Interval, Failure> {
    let moment = |text: &Option<String>| {
        let parsed = text.as_ref().map(|text| parse_moment(text, zone)).transpose();
        parsed.map_err(|why| Failure::usage(why, ""))
    };
    let until = moment(&arguments.until)?.unwrap_or(now).min(now);
    let from = match moment(&arguments.since)? {
        Some(from) => from,
        None => whole(until.minus(DEFAULT), zone),
    };
    Ok(Interval { from, until })
}

/// The first instant of the day that `at` is in.
fn whole(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let instant = Interval { from: at, until: at.plus(Duration::from_micros(1)) };
    let day = days(instant, zone).first().and_then(|day| bounds(*day, zone));
    day.map_or(at, |day| day.from)
}

type Line = (Asked, Date, Day, &'static str);

/// One patient's lines: a day without data has one as well.
async fn table(
    store: &Store,
    person: Person,
    study: Option<crate::model::study::StudyId>,
    range: Interval,
) -> Result<(Person, Vec<Line>), Failure> {
    let read = move |db: &_| {
        let asked = adherence::asked(db, person.id, study)?;
        let dates = days(range, &person.zone);
        let found = adherence::days(db, person.id, &asked, range, &person.zone)?;
        let mut lines = Vec::with_capacity(asked.len() * dates.len());
        for (one, found) in asked.into_iter().zip(found) {
            for date in &dates {
                let day = found.get(date).cloned().unwrap_or_default();
                // Of a day that is not over, what there was of it.
                let whole = bounds(*date, &person.zone).unwrap_or(range);
                let part = Interval { from: whole.from.max(range.from), until: whole.until.min(range.until) };
                lines.push((one.clone(), *date, day, consented(&one.grants, part).as_str()));
            }
        }
        Ok((person, lines))
    };
    Ok(store.read(read).await?)
}

fn header(out: &mut impl Write, names: bool) -> std::io::Result<()> {
    let mut columns =
        vec!["patient", "external_id", "study", "scope", "day", "samples", "hours_with_data", "consented"];
    if names {
        columns.insert(1, "name");
    }
    record(out, columns)
}

fn write(out: &mut impl Write, row: &Row, arguments: &Arguments) -> std::io::Result<()> {
    let Row { person, asked, date, day, consented } = row;
    let study = asked.study.as_ref().map(|(_, name)| name.as_str());
    if arguments.format == Format::Json {
        let mut document = json!({
            "patient": person.id.get(),
            "external_id": person.external_id,
            "study": study,
            "scope": asked.scope,
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
        asked.scope.clone(),
        date.to_string(),
        day.samples.to_string(),
        day.hours.len().to_string(),
        (*consented).to_owned(),
    ];
    if arguments.names {
        columns.insert(1, person.name.clone());
    }
    record(out, columns)
}

fn record<T: AsRef<[u8]>>(out: &mut impl Write, columns: Vec<T>) -> std::io::Result<()> {
    let mut line = csv::Writer::from_writer(out);
    line.write_record(columns)?;
    line.flush()
}
