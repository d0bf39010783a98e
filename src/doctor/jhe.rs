//! Checks that JHE accepts the client key, which patients it reaches, and what is missing in JHE's setup.

use std::time::Duration;

use tokio::time::timeout;

use crate::common::clock::Clock;
use crate::common::counted::counted;
use crate::config::{load::Config, settings::Settings};
use crate::doctor::finding::{Finding, Severity};
use crate::doctor::{clock, ow};
use crate::jhe::{client::Jhe, error::JheError, setup::SetupReport};

/// The limit for all requests. The client itself allows JHE a minute for each, too long for a person at a
/// terminal.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Runs the checks; without settings JHE's data sources are expected under their default names.
pub(crate) async fn check(config: &Config, settings: Option<&Settings>, ours: &Clock) -> Vec<Finding> {
    let jhe = match Jhe::from_config(config) {
        Ok(Some(jhe)) => jhe,
        Ok(None) => {
            return vec![Finding::skipped(
                "jhe.configured",
                "no JHE is configured: the daemon runs standalone",
            )];
        }
        Err(failure) => return vec![Finding::failed("jhe.configured", failure)],
    };
    let address = config.jhe_base_url.as_ref();
    let public_base = config.public_base();
    let names = settings.map(Settings::data_source_names).unwrap_or_default();
    let (report, clocks) = tokio::join!(timeout(TIMEOUT, jhe.inspect_setup(&public_base, &names)), async {
        let theirs = timeout(TIMEOUT, jhe.fetch_clock()).await;
        (theirs, ours.now())
    });
    let mut findings = match report {
        Ok(Ok(report)) => report_setup(&report, &address.map(ToString::to_string).unwrap_or_default()),
        Ok(Err(error)) => vec![report_error(&error)],
        Err(_) => vec![report_error(&JheError::NoResponse(format!("not within {} s", TIMEOUT.as_secs())))],
    };
    findings.extend(address.and_then(|address| ow::check_https("jhe.https", "JHE", address)));
    if let (Ok(Ok(theirs)), now) = clocks {
        findings.push(clock::compare("clock.jhe", "JHE", theirs, now));
    }
    findings
}

fn report_error(error: &JheError) -> Finding {
    match error {
        JheError::Unauthorized(reason) => Finding::stops(
            "jhe.client",
            format!("JHE does not accept the client key ({reason})"),
            "make a new practitioner client in JHE (Profile), and set JHE_CLIENT_KEY to its key",
        ),
        error => Finding::stops("jhe.reachable", error.to_string(), error.remedy()),
    }
}

fn report_setup(report: &SetupReport, address: &str) -> Vec<Finding> {
    let mut findings = vec![
        Finding::ok("jhe.reachable", format!("{address} answers")),
        Finding::ok(
            "jhe.client",
            format!(
                "the client is accepted, and reaches {} through {}",
                counted(report.patients, "patient"),
                counted(report.organizations, "organization")
            ),
        ),
    ];
    findings.extend(report.gaps.iter().map(|gap| Finding {
        check: gap.id.into(),
        severity: if gap.blocks_delivery { Severity::Stops } else { Severity::Warning },
        message: gap.message.clone(),
        remedy: gap.remedy.clone(),
    }));
    if report.gaps.is_empty() {
        findings.push(Finding::ok("jhe.setup", "codes, data source and invitation client are set up"));
    }
    findings
}
