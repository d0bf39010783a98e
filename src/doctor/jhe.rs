//! JHE: whether it takes our client, whom that reaches, and what it lacks for the daemon.

use std::time::Duration;

use tokio::time::timeout;

use crate::common::clock::Clock;
use crate::config::load::Config;
use crate::config::settings::Snapshot;
use crate::doctor::finding::{Finding, State, many};
use crate::doctor::{clock, ow};
use crate::jhe::client::Jhe;
use crate::jhe::error::JheError;
use crate::jhe::setup::Survey;

/// How long JHE may take over the handful of questions; one alone may take its workers a minute, which nobody in front
/// of a terminal waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Without settings JHE's data sources are looked for under the names of the seed.
pub(crate) async fn look(config: &Config, settings: Option<&Snapshot>, ours: &Clock) -> Vec<Finding> {
    let jhe = match Jhe::of(config) {
        Ok(Some(jhe)) => jhe,
        Ok(None) => {
            return vec![Finding::skipped("jhe.configured", "no JHE is configured: the daemon stands alone")];
        }
        Err(failure) => return vec![Finding::stops("jhe.configured", failure.what, failure.next)],
    };
    let address = config.jhe_base_url.as_ref();
    let public_base = config.public_base();
    let naming = settings.map(Snapshot::naming).unwrap_or_default();
    let (surveyed, read) = tokio::join!(timeout(PATIENCE, jhe.survey(&public_base, &naming)), async {
        let theirs = timeout(PATIENCE, jhe.clock()).await;
        (theirs, ours.now())
    });
    let mut findings = match surveyed {
        Ok(Ok(survey)) => told(&survey, &address.map(ToString::to_string).unwrap_or_default()),
        Ok(Err(error)) => vec![trouble(&error)],
        Err(_) => vec![trouble(&JheError::Silent(format!("not within {} s", PATIENCE.as_secs())))],
    };
    findings.extend(address.and_then(|address| ow::unencrypted("jhe.https", "JHE", address)));
    if let (Ok(Ok(theirs)), now) = read {
        findings.push(clock::compare("clock.jhe", "JHE", theirs, now));
    }
    findings
}

fn trouble(error: &JheError) -> Finding {
    match error {
        JheError::Unauthorized(why) => Finding::stops(
            "jhe.client",
            format!("JHE does not accept the client key ({why})"),
            "make a new practitioner client in JHE (Profile), and set JHE_CLIENT_KEY to its key",
        ),
        error => Finding::stops("jhe.reachable", error.to_string(), error.next()),
    }
}

fn told(survey: &Survey, address: &str) -> Vec<Finding> {
    let mut findings = vec![
        Finding::ok("jhe.reachable", format!("{address} answers")),
        Finding::ok(
            "jhe.client",
            format!(
                "the client is accepted, and reaches {} through {}",
                many(survey.patients, "patient"),
                many(survey.organizations, "organization")
            ),
        ),
    ];
    findings.extend(survey.lacks.iter().map(|lack| Finding {
        check: lack.id.into(),
        state: if lack.stops { State::Stops } else { State::Warning },
        what: lack.what.clone(),
        next: lack.next.clone(),
    }));
    if survey.lacks.is_empty() {
        findings.push(Finding::ok("jhe.setup", "codes, data source and the client of invitations are there"));
    }
    findings
}
