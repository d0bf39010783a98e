//! `jhe-ow doctor`: whether everything is there, a line each, and what to do where it is not.

use std::io::IsTerminal;

use clap::Args;
use serde_json::json;

use crate::common::failure::{EXIT_FAILED, Failure};
use crate::common::stdout::{say, say_json};
use crate::config::environment::Environment;
use crate::config::flags::Flags;
use crate::config::load::Config;
use crate::config::{load, origin};
use crate::doctor::finding::{Finding, State};
use crate::doctor::{checks, config, finding};

/// Columns of the widest state and the widest area.
const STATE: usize = 7;
const AREA: usize = 6;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Check the whole file of the store, also where it is large
    #[arg(long)]
    deep: bool,
    /// One JSON document: an array of the findings
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(flags: &Flags, arguments: &Arguments) -> Result<u8, Failure> {
    let findings = look(flags, arguments.deep).await;
    if arguments.json {
        let documents: Vec<serde_json::Value> = findings.iter().map(document).collect();
        say_json(&documents)?;
    } else {
        let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        findings.iter().try_for_each(|finding| say(lines(finding, colours)))?;
        say(summary(&findings))?;
    }
    Ok(if finding::worst(&findings) == State::Stops { EXIT_FAILED } else { 0 })
}

/// A configuration that cannot be read is the first finding, and the last.
async fn look(flags: &Flags, deep: bool) -> Vec<Finding> {
    let read = || -> Result<(Config, Vec<origin::Origin>, crate::common::clock::Clock), Failure> {
        let environment = Environment::from_process()?;
        let config = load::load(flags, &environment)?;
        crate::cli::own_store::means_this_store(flags, &environment, &config)?;
        Ok((config, origin::origins(flags, &environment)?, crate::app::session::clock(&environment)?))
    };
    match read() {
        Ok((config, origins, clock)) => {
            let mut findings = config::look(&config, &origins);
            findings.extend(checks::examine(&config, &clock, deep).await);
            findings
        }
        Err(failure) => vec![config::broken(failure)],
    }
}

fn document(finding: &Finding) -> serde_json::Value {
    json!({
        "check": finding.check,
        "area": finding.area(),
        "state": finding.state,
        "what": finding.what,
        "next": finding.next,
    })
}

/// A finding on one line, its remedy on the next.
fn lines(finding: &Finding, colours: bool) -> String {
    let (word, colour) = match finding.state {
        State::Ok => ("ok", "32"),
        State::Skipped => ("skipped", "2"),
        State::Warning => ("warning", "33"),
        State::Stops => ("STOPS", "31"),
    };
    let word = format!("{word:STATE$}");
    let word = if colours { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word };
    let line = format!("{word}  {:AREA$}  {}", finding.area(), finding.what.replace('\n', " "));
    match finding.next.as_str() {
        "" => line,
        next => format!("{line}\n{:indent$}-> {next}", "", indent = STATE + AREA + 4),
    }
}

fn summary(findings: &[Finding]) -> String {
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    match (count(State::Stops), count(State::Warning)) {
        (0, 0) => "All is well.".to_owned(),
        (0, warnings) => format!("Data flow; warnings: {warnings}."),
        (stops, warnings) => format!("Things that stop data: {stops}; warnings: {warnings}."),
    }
}
