//! `jhe-ow dataset`: writes the data set of a study for researchers.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::app::session::Session;
use crate::app::study_data;
use crate::common::counted::counted;
use crate::common::{failure::Failure, stdout::print_line};
use crate::daemon::signals;
use crate::dataset::request::{Format, Request};
use crate::model::account::{Actor, VisibleTo};
use crate::store::samples::dataset;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The study, by number or name
    #[arg(long)]
    study: String,
    /// The directory to write, new or empty; or a file that ends in .zip
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The format of the tables
    #[arg(long, value_enum, default_value_t = TableFormat::Csv)]
    format: TableFormat,
    /// Only what came or changed after this commit: the number is in an earlier data set
    #[arg(long, value_name = "COMMIT")]
    since: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    /// For spreadsheets and all software
    Csv,
    /// Smaller, with types: for pandas, `DuckDB` and R
    Parquet,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let Arguments { study, out, format, since } = arguments;
    let (study, study_name) = store.read(move |db| dataset::find_study(db, &study)).await?;
    let format = match format {
        TableFormat::Csv => Format::Csv,
        TableFormat::Parquet => Format::Parquet,
    };
    let (now, visible_to) = (session.clock.now(), VisibleTo::Everybody);
    let request = Request { study, study_name, format, now, visible_to, since };
    let cancel = signals::cancel_on_signal()?;
    // Dropping the work removes its unfinished files.
    let written = tokio::select! {
        written = study_data::write(&store, request, out.clone(), Actor::CommandLine) => written?,
        () = cancel.cancelled() => {
            return Err(Failure::failed("the data set was stopped", "start it again; no unfinished file was left behind"));
        }
    };
    print_line(format_args!(
        "{}: {} of {}, {} bytes. The next increment: --since {}",
        out.display(),
        counted(written.rows, "row"),
        counted(written.participants, "participant"),
        written.bytes,
        written.last_commit
    ))?;
    Ok(0)
}
