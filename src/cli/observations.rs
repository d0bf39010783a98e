//! `jhe-ow observations`: what is kept, as a stream of documents.

use std::io::{BufWriter, Write};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::finish;
use crate::common::time::{parse_moment, time_zone_or_utc};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::PatientRef;
use crate::omh::render;
use crate::store::engine::store::Store;
use crate::store::people::patient;
use crate::store::samples::observation::Filter;
use crate::store::samples::{code, observation};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only of this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Only of this code, such as omh:heart-rate:2.0
    #[arg(long)]
    code: Option<String>,
    /// Measured at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Measured before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// How each is written
    #[arg(long, value_enum, default_value_t = Format::Omh)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The Open mHealth data point, one JSON document per line
    Omh,
    /// The FHIR R5 Observation that carries it, one JSON document per line
    Fhir,
    /// A table with a header line
    Csv,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let format = arguments.format;
    let filter = filter(&store, arguments).await?;
    let wanted = filter.clone();
    let streams = store.read(move |db| observation::streams(db, &wanted)).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if format == Format::Csv && !finish(write_csv(&mut out, render::CSV_HEADER))? {
        return Ok(0);
    }
    for stream in &streams {
        if !write_stream(&store, stream, &filter, format, &mut out).await? {
            return Ok(0);
        }
    }
    finish(out.flush())?;
    Ok(0)
}

/// A bare date is midnight where the patient lives; without a patient, in UTC.
async fn filter(store: &Store, arguments: Arguments) -> Result<Filter, Failure> {
    let (who, scope) = (arguments.patient_id, arguments.code.clone());
    let look = move |db: &rusqlite::Connection| {
        if let Some(scope) = scope {
            code::require(db, &scope)?;
        }
        who.map(|who| patient::find(db, who)).transpose()
    };
    let patient = store.read(look).await?;
    let zone = patient.as_ref().map_or(TimeZone::UTC, |patient| time_zone_or_utc(&patient.time_zone));
    let moment = |text: Option<String>| {
        let parsed = text.map(|text| parse_moment(&text, &zone)).transpose();
        parsed.map_err(|why| Failure::usage(why, ""))
    };
    Ok(Filter {
        patient: patient.map(|patient| patient.id),
        code: arguments.code,
        since: moment(arguments.since)?,
        until: moment(arguments.until)?,
    })
}

/// Writes a stream step by step, each read by itself; answers whether the reader still listens.
async fn write_stream(
    store: &Store,
    stream: &StreamInfo,
    filter: &Filter,
    format: Format,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    let mut after = None;
    loop {
        let (id, wanted) = (stream.id, filter.clone());
        let step = store.read(move |db| observation::step(db, id, after, &wanted)).await?;
        for one in &step {
            if !finish(write(out, stream, one, format))? {
                return Ok(false);
            }
        }
        match step.last() {
            Some(last) => after = Some(last.instant),
            None => return Ok(true),
        }
    }
}

fn write(
    out: &mut impl Write,
    stream: &StreamInfo,
    observation: &Observation,
    format: Format,
) -> std::io::Result<()> {
    match format {
        Format::Omh => writeln!(out, "{}", render::omh_document(stream, observation)?),
        Format::Fhir => writeln!(out, "{}", render::fhir_observation(stream, observation)?),
        Format::Csv => write_csv(out, render::csv_record(stream, observation)?),
    }
}

fn write_csv<T: AsRef<[u8]>>(out: &mut impl Write, record: [T; 13]) -> std::io::Result<()> {
    let mut line = csv::Writer::from_writer(out);
    line.write_record(record)?;
    line.flush()
}
