//! `jhe-ow catalog`: what becomes what.

use std::fmt::Write as _;
use std::io::Write;

use clap::Args;
use serde::Serialize;

use crate::common::failure::Failure;
use crate::common::stdout::finish;
use crate::model::catalog::code::{CODES, Code};
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{Origin, Series};

/// What `jhe-ow catalog --help` ends with.
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

/// A row as programs read it.
#[derive(Serialize)]
struct Row {
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
    plausible: (f64, f64),
}

impl Row {
    fn of(series: &Series) -> Self {
        let code = CODES.iter().find(|code| code.code == series.code);
        Self {
            series_type: series.series_type,
            from: from(series),
            unit: series.unit,
            code: series.code,
            system: code.map_or("", |code| code.system),
            seeded_by_jhe: code.is_some_and(|code| code.is_of_jhe),
            sent_to_jhe: code.is_some_and(Code::goes_to_jhe),
            name: series.name,
            shown_in: series.shown.unit,
            plausible: series.plausible,
        }
    }
}

/// Where OW tells of a row.
fn from(series: &Series) -> String {
    match series.origin {
        Origin::Timeseries(types) => format!("timeseries {}", types.join(" + ")),
        Origin::Sleep => "events/sleep".to_owned(),
        Origin::Workouts => "events/workouts".to_owned(),
        Origin::Activity => "summaries/activity".to_owned(),
    }
}

const TITLES: [&str; 5] = ["TYPE", "FROM OW'S", "UNIT", "CODE", "NAME"];

pub(crate) fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let text = if arguments.json { json() } else { table() };
    finish(std::io::stdout().lock().write_all(text.as_bytes()))?;
    Ok(0)
}

fn json() -> String {
    // Texts and finite numbers only: it is always written.
    SERIES
        .iter()
        .filter_map(|series| serde_json::to_string(&Row::of(series)).ok())
        .map(|row| row + "\n")
        .collect()
}

fn table() -> String {
    let cells = |row: &Row| {
        let mark = match (row.seeded_by_jhe, row.sent_to_jhe) {
            (false, _) => " *",
            (true, false) => " +",
            (true, true) => "",
        };
        let code = format!("{}{mark}", row.code);
        [row.series_type.to_owned(), row.from.clone(), row.unit.to_owned(), code, row.name.to_owned()]
    };
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(SERIES.iter().map(|series| cells(&Row::of(series))));
    let mut text = String::new();
    for row in &rows {
        for (place, cell) in row.iter().enumerate() {
            let width = rows.iter().map(|row| row[place].chars().count()).max().unwrap_or(0);
            if place + 1 == row.len() {
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
         + kept here and not sent: over FHIR JHE takes observations of Open mHealth's codes only\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_printed_and_stands_in_the_readme() {
        let (table, json) = (table(), json());
        let chapter = include_str!("../../docs/data.md");
        for series in SERIES {
            assert!(table.contains(series.name) && json.contains(series.name), "{}", series.series_type);
            let shown = format!("| `{}` | {} | `{}` |", series.series_type, from(series), series.code);
            assert!(chapter.contains(&shown), "docs/data.md lacks {shown}");
        }
    }
}
