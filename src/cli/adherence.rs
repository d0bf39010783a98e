//! `jhe-ow adherence`: prints the days of all studies, or of one: the table `days` of their data sets.

use std::collections::BTreeMap;
use std::io::{self, Stdout};
use std::iter;
use std::ops::Range;

use clap::Args;
use jiff::civil::Date;

use crate::app::session::Session;
use crate::common::{failure::Failure, stdout::check_write};
use crate::dataset::csv::CsvWriter;
use crate::dataset::export::{ExportError, write_tables};
use crate::dataset::table::{Cell, ColumnType, Sink, Table, TableWriter};
use crate::model::account::VisibleTo;
use crate::store::samples::dataset;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// From this day on, as YYYY-MM-DD [default: the first with data]
    #[arg(long, value_name = "DAY")]
    since: Option<Date>,
    /// Before this day
    #[arg(long, value_name = "DAY")]
    until: Option<Date>,
    /// Only this study, by number or name
    #[arg(long)]
    study: Option<String>,
    /// Include the patients' names
    #[arg(long)]
    names: bool,
}

/// A sink that prints the days of one study and drops the other tables.
struct DaysSink {
    study: String,
    /// Names by study number; none if they are not wanted.
    names: Option<BTreeMap<String, String>>,
    range: Range<Date>,
    has_header: bool,
}

/// A writer that prints days with their study.
struct DaysWriter {
    study: String,
    names: Option<BTreeMap<String, String>>,
    range: Range<Date>,
    out: CsvWriter<Stdout>,
}

/// A writer that drops its rows.
struct Dropped;

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let (now, Arguments { since, until, study, names }) = (session.clock.now(), arguments);
    let range = since.unwrap_or(Date::MIN)..until.unwrap_or(Date::MAX);
    let studies = store
        .read(move |db| match study {
            Some(text) => Ok(vec![dataset::find_study(db, &text)?]),
            None => dataset::list_studies(db),
        })
        .await?;
    if studies.is_empty() {
        eprintln!(
            "There is no study: adherence is counted for the patients of a study and what it asks for."
        );
    }
    for (position, (study, name)) in studies.into_iter().enumerate() {
        let range = range.clone();
        let written = store.read(move |db| {
            let names = if names { Some(dataset::list_names(db, study)?) } else { None };
            let mut sink = DaysSink { study: name, names, range, has_header: position > 0 };
            Ok(write_tables(db, (study, VisibleTo::Everybody), None, now, &mut sink).map(drop))
        });
        match written.await? {
            Ok(()) => {}
            Err(ExportError::Io(error)) => {
                // A reader such as `head` that stops reading is no error.
                if !check_write(Err(error))? {
                    return Ok(0);
                }
            }
            Err(ExportError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(Failure::failed(error.to_string(), "")),
        }
    }
    Ok(0)
}

impl Sink for DaysSink {
    fn open(&mut self, table: &Table) -> io::Result<Box<dyn TableWriter>> {
        if table.name != "days" {
            return Ok(Box::new(Dropped));
        }
        let mut columns: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
        columns.insert(0, "study");
        if self.names.is_some() {
            columns.insert(2, "name");
        }
        let types = iter::once(ColumnType::String).chain(table.columns.iter().map(|column| column.kind));
        let header = (!self.has_header).then_some(columns.as_slice());
        let out = CsvWriter::new(io::stdout(), types.collect(), header);
        let (study, names) = (self.study.clone(), self.names.take());
        Ok(Box::new(DaysWriter { study, names, range: self.range.clone(), out }))
    }
}

impl TableWriter for DaysWriter {
    fn write(&mut self, row: &[Cell<'_>]) -> io::Result<()> {
        let is_wanted = |cell: &Cell<'_>| matches!(cell, Cell::Date(date) if self.range.contains(date));
        if !row.iter().any(is_wanted) {
            return Ok(());
        }
        let mut cells = vec![Cell::Text(&self.study)];
        cells.extend_from_slice(row);
        if let (Some(names), Some(Cell::Text(participant))) = (&self.names, row.first()) {
            cells.insert(2, Cell::text(names.get(*participant).map_or("", String::as_str)));
        }
        self.out.write(&cells)
    }

    fn finish(self: Box<Self>) -> io::Result<u64> {
        Box::new(self.out).finish()
    }
}

impl TableWriter for Dropped {
    fn write(&mut self, _: &[Cell<'_>]) -> io::Result<()> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<u64> {
        Ok(0)
    }
}
