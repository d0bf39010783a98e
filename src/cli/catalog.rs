//! `jhe-ow catalog`: shows OW's data types with their schemas and JHE's codes.

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;
use serde::Serialize;

use crate::common::{failure::Failure, stdout::check_write};
use crate::model::catalog::code::{CODES, Code};
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{OwEndpoint, SeriesType};

pub(crate) const HELP: &str = "\
Examples:
  jhe-ow catalog                     a table to read
  jhe-ow catalog --json | jq .       one JSON document per line, for programs

A code that JHE's own seed does not make is offered to patients only once JHE lists it.";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// One JSON document per line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct CatalogRow {
    #[serde(rename = "type")]
    series_type: &'static str,
    from: String,
    unit: &'static str,
    code: &'static str,
    system: &'static str,
    seeded_by_jhe: bool,
    sent_to_jhe: bool,
    name: &'static str,
    shown_in: &'static str,
    column: &'static str,
    plausible: (f64, f64),
    possible: (f64, f64),
}

impl CatalogRow {
    fn of(series: &SeriesType) -> Self {
        let code = CODES.iter().find(|code| code.code == series.code);
        Self {
            series_type: series.series_type,
            from: describe_source(series),
            unit: series.unit,
            code: series.code,
            system: code.map_or("", |code| code.system),
            seeded_by_jhe: code.is_some_and(|code| code.in_jhe_seed),
            sent_to_jhe: code.is_some_and(Code::is_sent_to_jhe),
            name: series.name,
            shown_in: series.display.unit,
            column: series.column,
            plausible: series.limits.plausible,
            possible: series.limits.possible,
        }
    }
}

/// Names the records of OW that a series comes from.
fn describe_source(series: &SeriesType) -> String {
    match series.origin {
        OwEndpoint::Timeseries(types) => format!("timeseries {}", types.join(" + ")),
        OwEndpoint::Sleep => "events/sleep".to_owned(),
        OwEndpoint::Workouts => "events/workouts".to_owned(),
        OwEndpoint::Activity => "summaries/activity".to_owned(),
    }
}

const TITLES: [&str; 5] = ["TYPE", "FROM OW'S", "UNIT", "CODE", "NAME"];

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let text = if arguments.json { render_json() } else { render_table() };
    check_write(std::io::stdout().lock().write_all(text.as_bytes()))?;
    Ok(0)
}

fn render_json() -> String {
    // A row of texts and finite numbers always serializes.
    SERIES
        .iter()
        .filter_map(|series| serde_json::to_string(&CatalogRow::of(series)).ok())
        .map(|row| row + "\n")
        .collect()
}

fn render_table() -> String {
    let cells = |row: &CatalogRow| {
        let mark = match (row.seeded_by_jhe, row.sent_to_jhe) {
            (false, _) => " *",
            (true, false) => " +",
            (true, true) => "",
        };
        let code = format!("{}{mark}", row.code);
        [row.series_type.to_owned(), row.from.clone(), row.unit.to_owned(), code, row.name.to_owned()]
    };
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(SERIES.iter().map(|series| cells(&CatalogRow::of(series))));
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            if column + 1 == row.len() {
                text.push_str(cell);
            } else {
                // Writing to memory does not fail.
                let _ = write!(text, "{cell:<width$}  ");
            }
        }
        text.push('\n');
    }
    text.push_str(
        "\n* not made by JHE's own seed: offered to patients only once JHE lists it\n\
         + stored here and not sent: over FHIR, JHE takes observations of Open mHealth's codes only\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_series_is_printed_and_documented() {
        let (table, json) = (render_table(), render_json());
        let chapter = include_str!("../../docs/data.md");
        for series in SERIES {
            assert!(table.contains(series.name) && json.contains(series.name), "{}", series.series_type);
            let shown =
                format!("| `{}` | {} | `{}` |", series.series_type, describe_source(series), series.code);
            assert!(chapter.contains(&shown), "docs/data.md lacks {shown}");
        }
    }
}
