//! `jhe-ow observations`: prints the stored observations.

use std::io::{BufWriter, IsTerminal, Write};

use clap::{Args, ValueEnum};
use jiff::tz::TimeZone;
use rusqlite::Connection;

use crate::app::session::{Session, find_optional};
use crate::common::time::{parse_instant, time_zone_or_utc};
use crate::common::{csv_line::csv_line, failure::Failure, stdout::check_write, visible::VisibleLine};
use crate::model::consent_intervals::ConsentIntervals;
use crate::model::observation::{Observation, StreamInfo};
use crate::model::{account::VisibleTo, patient::PatientRef, study::Enrolment};
use crate::omh::{render, vitals};
use crate::store::people::study;
use crate::store::samples::observation::{self, ObservationFilter};
use crate::store::samples::{code, commit, dataset};
use crate::store::{engine::store::Store, error::StoreResult};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Only this code, such as omh:heart-rate:2.0
    #[arg(long)]
    code: Option<String>,
    /// Only this study, by number or name: its patients, its codes, and what they agreed to give it
    #[arg(long)]
    study: Option<String>,
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
    /// The FHIR R5 Observation that carries it, one JSON document per line, as JHE takes it
    Fhir,
    /// A FHIR R4 and R5 Observation for any server, with LOINC and UCUM, one JSON document per line
    FhirVitals,
    /// A table with a header line; text that a spreadsheet would take for a formula begins with '
    Csv,
}

/// A stream, and the studies that its rows name.
struct SelectedStream {
    stream: StreamInfo,
    enrolments: Vec<Enrolment>,
    /// With `--study`: the time for which the patient agreed to give the study this code.
    allowed: Option<ConsentIntervals>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let format = arguments.format;
    let filter = filter(&store, arguments).await?;
    let wanted = filter.clone();
    let streams = store.read(move |db| select_streams(db, &wanted)).await?;
    // On a terminal the texts of devices must not move the cursor. Elsewhere they are data.
    let is_terminal = std::io::stdout().is_terminal();
    let mut out = LineWriter { out: BufWriter::new(std::io::stdout().lock()), is_terminal };
    if format == ObservationFormat::Csv && !check_write(out.write(&csv_text(render::CSV_HEADER)))? {
        return Ok(0);
    }
    for stream in &streams {
        if !write_stream(&store, stream, &filter, format, &mut out).await? {
            return Ok(0);
        }
    }
    check_write(out.out.flush())?;
    Ok(0)
}

/// Checks the arguments. A bare date is midnight where the patient lives; without a patient, in UTC.
async fn filter(store: &Store, arguments: Arguments) -> Result<ObservationFilter, Failure> {
    if let Some(scope) = arguments.code.clone() {
        store.read(move |db| code::require(db, &scope).map(drop)).await?;
    }
    let study = match arguments.study.clone() {
        Some(text) => Some(store.read(move |db| dataset::find_study(db, &text)).await?.0),
        None => None,
    };
    let patient = find_optional(store, arguments.patient_id).await?;
    let zone = patient.as_ref().map_or(TimeZone::UTC, |patient| time_zone_or_utc(&patient.time_zone));
    let moment = |text: Option<String>| {
        let parsed = text.map(|text| parse_instant(&text, &zone)).transpose();
        parsed.map_err(|why| Failure::usage(why, ""))
    };
    Ok(ObservationFilter {
        patient: patient.map(|patient| patient.id),
        code: arguments.code,
        study,
        since: moment(arguments.since)?,
        until: moment(arguments.until)?,
    })
}

/// With `--study` the same observations as in its data set.
fn select_streams(db: &Connection, filter: &ObservationFilter) -> StoreResult<Vec<SelectedStream>> {
    let terms = filter.study.map(|study| study::find(db, study)).transpose()?;
    let mut streams = observation::list_streams(db, VisibleTo::Everybody, filter)?;
    streams.retain(|stream| terms.as_ref().is_none_or(|terms| terms.accepts_provider(&stream.provider)));
    let select = |stream: StreamInfo| {
        let allowed = match filter.study {
            Some(study) => {
                let consents = dataset::list_consents(db, study, stream.patient)?;
                let mut allowed = dataset::find_allowed(db, study, stream.patient, &consents)?;
                Some(allowed.remove(&stream.code).unwrap_or_default())
            }
            None => None,
        };
        let enrolments = study::list_enrolments(db, stream.patient, &stream.code, filter.study)?;
        Ok(SelectedStream { stream, enrolments, allowed })
    };
    streams.into_iter().map(select).collect()
}

/// Writes a stream in pages, each in its own read transaction. Returns whether the reader still listens.
async fn write_stream(
    store: &Store,
    selected: &SelectedStream,
    filter: &ObservationFilter,
    format: ObservationFormat,
    out: &mut LineWriter<impl Write>,
) -> Result<bool, Failure> {
    let mut after = None;
    loop {
        let (id, wanted) = (selected.stream.id, filter.clone());
        let page = store.read(move |db| observation::list_page(db, id, after, &wanted)).await?;
        let is_allowed = |one: &&Observation| {
            selected.allowed.as_ref().is_none_or(|all| commit::is_allowed(all, one.instant, one.frame()))
        };
        for observation in page.iter().filter(is_allowed) {
            if !check_write(write(out, selected, observation, format))? {
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
    out: &mut LineWriter<impl Write>,
    selected: &SelectedStream,
    observation: &Observation,
    format: ObservationFormat,
) -> std::io::Result<()> {
    let SelectedStream { stream, enrolments, allowed } = selected;
    let line = match format {
        ObservationFormat::Omh => render::omh_line(stream, observation, enrolments)?,
        ObservationFormat::Fhir => render::fhir_observation(stream, observation, enrolments)?,
        ObservationFormat::FhirVitals => {
            let participant = enrolments.first().filter(|_| allowed.is_some());
            vitals::fhir_vital_signs(stream, observation, enrolments, participant, None)?
        }
        ObservationFormat::Csv => csv_text(render::csv_record(stream, observation, enrolments)?),
    };
    out.write(&line)
}

/// Returns a line of CSV without its line feed.
fn csv_text<T: AsRef<str>>(record: impl IntoIterator<Item = T>) -> String {
    String::from_utf8_lossy(&csv_line(record)).trim_end_matches('\n').to_owned()
}

struct LineWriter<W> {
    out: W,
    is_terminal: bool,
}

impl<W: Write> LineWriter<W> {
    fn write(&mut self, line: &str) -> std::io::Result<()> {
        if self.is_terminal {
            writeln!(self.out, "{}", VisibleLine(line))
        } else {
            writeln!(self.out, "{line}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_moves_no_cursor_and_is_data_elsewhere() {
        let line = csv_text(["1", "Ring\u{1b}[2J\n\u{202e}"]);
        for (is_terminal, shown) in
            [(true, "1,\"Ring\\u001b[2J\\u000a\\u202e\"\n"), (false, "1,\"Ring\u{1b}[2J\n\u{202e}\"\n")]
        {
            let mut out = LineWriter { out: Vec::new(), is_terminal };
            out.write(&line).unwrap();
            assert_eq!(String::from_utf8(out.out).unwrap(), shown);
        }
    }
}
