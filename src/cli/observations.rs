//! `jhe-ow observations`: prints the stored observations.

use std::io::{BufWriter, Write};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;

use crate::app::session::{Session, find_optional};
use crate::common::time::{parse_instant, time_zone_or_utc};
use crate::common::{failure::Failure, stdout::check_write};
use crate::model::observation::{Observation, StreamInfo};
use crate::model::patient::PatientRef;
use crate::omh::render;
use crate::store::engine::store::Store;
use crate::store::samples::code;
use crate::store::samples::observation::{self, ObservationFilter};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Only this code, such as omh:heart-rate:2.0
    #[arg(long)]
    code: Option<String>,
    /// Measured at this time or later
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Measured before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The output format
    #[arg(long, value_enum, default_value_t = ObservationFormat::Omh)]
    format: ObservationFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ObservationFormat {
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
    let streams = store.read(move |db| observation::list_streams(db, &wanted)).await?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    if format == ObservationFormat::Csv && !check_write(write_csv(&mut out, render::CSV_HEADER))? {
        return Ok(0);
    }
    for stream in &streams {
        if !write_stream(&store, stream, &filter, format, &mut out).await? {
            return Ok(0);
        }
    }
    check_write(out.flush())?;
    Ok(0)
}

/// Checks the arguments. A bare date is midnight where the patient lives; without a patient, in UTC.
async fn filter(store: &Store, arguments: Arguments) -> Result<ObservationFilter, Failure> {
    if let Some(scope) = arguments.code.clone() {
        store.read(move |db| code::require(db, &scope).map(drop)).await?;
    }
    let patient = find_optional(store, arguments.patient_id).await?;
    let zone = patient.as_ref().map_or(TimeZone::UTC, |patient| time_zone_or_utc(&patient.time_zone));
    let moment = |text: Option<String>| {
        let parsed = text.map(|text| parse_instant(&text, &zone)).transpose();
        parsed.map_err(|why| Failure::usage(why, ""))
    };
    Ok(ObservationFilter {
        patient: patient.map(|patient| patient.id),
        code: arguments.code,
        since: moment(arguments.since)?,
        until: moment(arguments.until)?,
    })
}

/// Writes a stream in pages, each in its own read transaction. Returns whether the reader still listens.
async fn write_stream(
    store: &Store,
    stream: &StreamInfo,
    filter: &ObservationFilter,
    format: ObservationFormat,
    out: &mut impl Write,
) -> Result<bool, Failure> {
    let mut after = None;
    loop {
        let (id, wanted) = (stream.id, filter.clone());
        let page = store.read(move |db| observation::list_page(db, id, after, &wanted)).await?;
        for observation in &page {
            if !check_write(write(out, stream, observation, format))? {
                return Ok(false);
            }
        }
        match page.last() {
            Some(last) => after = Some(last.instant),
            None => return Ok(true),
        }
    }
}

fn write(
    out: &mut impl Write,
    stream: &StreamInfo,
    observation: &Observation,
    format: ObservationFormat,
) -> std::io::Result<()> {
    match format {
        ObservationFormat::Omh => writeln!(out, "{}", render::omh_document(stream, observation)?),
        ObservationFormat::Fhir => writeln!(out, "{}", render::fhir_observation(stream, observation)?),
        ObservationFormat::Csv => write_csv(out, render::csv_record(stream, observation)?),
    }
}

pub(crate) fn write_csv<T: AsRef<[u8]>>(
    out: &mut impl Write,
    record: impl IntoIterator<Item = T>,
) -> std::io::Result<()> {
    let mut line = csv::Writer::from_writer(out);
    line.write_record(record)?;
    line.flush()
}
