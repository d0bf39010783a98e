//! `jhe-ow doctor`: prints the findings of all checks, each with its remedy.

use std::io::IsTerminal;

use clap::Args;
use serde_json::json;

use crate::app::session;
use crate::cli::data_directory_check::check_data_directory;
use crate::common::clock::Clock;
use crate::common::failure::{EXIT_FAILED, Failure};
use crate::common::stdout::{print_json, print_layout, print_line};
use crate::common::visible::VisibleLine;
use crate::config::load::{self, Config};
use crate::config::sources;
use crate::config::{environment::Environment, flags::Flags};
use crate::doctor::finding::{self, Finding, Severity};
use crate::doctor::{checks, config};
use crate::store::engine::data_directory::DEMONSTRATION_FILE;

/// The widths of the first two columns.
const STATE_WIDTH: usize = 7;
const AREA_WIDTH: usize = 6;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Check the whole database file, even a large one
    #[arg(long)]
    deep: bool,
    /// One JSON document: an array of the findings
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(flags: &Flags, arguments: &Arguments) -> Result<u8, Failure> {
    let findings = run_checks(flags, arguments.deep).await;
    if arguments.json {
        let documents: Vec<serde_json::Value> = findings.iter().map(document).collect();
        print_json(&documents)?;
    } else {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        findings.iter().try_for_each(|finding| print_layout(&lines(finding, colours)))?;
        print_line(summary(&findings))?;
    }
    Ok(if finding::worst(&findings) == Severity::Stops { EXIT_FAILED } else { 0 })
}

/// Runs all checks. A configuration that cannot be read is the only finding.
async fn run_checks(flags: &Flags, deep: bool) -> Vec<Finding> {
    let read = || -> Result<(Config, Vec<Finding>, Clock), Failure> {
        let environment = Environment::from_process()?;
        let config = load::load(flags, &environment)?;
        check_data_directory(flags, &environment, &config)?;
        let mut findings = config::check(&config, &sources::effective_values(flags, &environment)?);
        findings.extend(config::check_permissions(&sources::list_secret_files(flags, &environment)?));
        Ok((config, findings, session::clock(&environment)?))
    };
    match read() {
        Ok((config, mut findings, clock)) => {
            findings.extend(checks::run(&config, &clock, deep).await);
            if config.data_dir.join(DEMONSTRATION_FILE).exists() {
                // The machine, OW and the simulated troubles of its patients are not those of an installation.
                findings.retain(|one| {
                    one.severity != Severity::Warning && ["store", "data"].contains(&one.area())
                });
                let what = "a demonstration made this directory: its store alone is checked";
                findings.insert(0, Finding::ok("store.demonstration", what));
            }
            findings
        }
        Err(failure) => vec![config::unreadable(failure)],
    }
}

fn document(finding: &Finding) -> serde_json::Value {
    json!({
        "check": finding.check,
        "area": finding.area(),
        "state": finding.severity,
        "what": finding.message,
        "next": finding.remedy,
    })
}

/// Renders a finding on one line, and its remedy on the next.
fn lines(finding: &Finding, colours: bool) -> String {
    let (word, colour) = match finding.severity {
        Severity::Ok => ("ok", "32"),
        Severity::Skipped => ("skipped", "2"),
        Severity::Warning => ("warning", "33"),
        Severity::Stops => ("STOPS", "31"),
    };
    let word = format!("{word:STATE_WIDTH$}");
    let word = if colours { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word };
    let line = format!(
        "{word}  {:AREA_WIDTH$}  {}",
        finding.area(),
        VisibleLine(finding.message.replace('\n', " "))
    );
    match finding.remedy.as_str() {
        "" => line,
        next => {
            let indent = STATE_WIDTH + AREA_WIDTH + 4;
            format!("{line}\n{:indent$}-> {}", "", VisibleLine(next))
        }
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |state| findings.iter().filter(|finding| finding.severity == state).count();
    match (count(Severity::Stops), count(Severity::Warning)) {
        (0, 0) => "All is well.".to_owned(),
        (0, warnings) => format!("Data flow; warnings: {warnings}."),
        (stops, warnings) => format!("Things that stop data: {stops}; warnings: {warnings}."),
    }
}
