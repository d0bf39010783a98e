//! The result of a check, and how lengths of time and counts are worded in it.

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::common::counted::counted;
use crate::common::failure::Failure;
use crate::config::settings::{IngestMode, Settings};

/// The effect of a finding on the flow of data, from the least to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    Ok,
    /// Not checked; the message says why.
    Skipped,
    /// Data still flow, but an operator should act.
    Warning,
    /// Some patient's data do not come in, or are not delivered.
    Stops,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The stable name of the check, for programs: its area, a dot, and a word. A check may have several
    /// findings.
    pub(crate) check: Cow<'static, str>,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    /// Empty if there is nothing to do.
    pub(crate) remedy: String,
}

impl Finding {
    /// Returns `config`, `store`, `ow`, `bucket`, `jhe`, `web`, `clock` or `data`.
    pub(crate) fn area(&self) -> &str {
        self.check.split('.').next().unwrap_or_default()
    }

    pub(crate) fn ok(check: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { check: check.into(), severity: Severity::Ok, message: message.into(), remedy: String::new() }
    }

    pub(crate) fn skipped(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Skipped, ..Self::ok(check, message) }
    }

    pub(crate) fn warning(
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, remedy: remedy.into(), ..Self::ok(check, message) }
    }

    pub(crate) fn stops(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Stops, ..Self::warning(check, message, remedy) }
    }

    pub(crate) fn failed(check: &'static str, failure: Failure) -> Self {
        Self::stops(check, failure.message, failure.remedy)
    }
}

pub(crate) fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}

/// Renders a length of time in one unit, such as `5 minutes`.
pub(crate) fn render_length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=119 => counted(seconds, "second"),
        120..=7199 => counted(seconds / 60, "minute"),
        7200..=172_799 => counted(seconds / 3600, "hour"),
        _ => counted(seconds / 86_400, "day"),
    }
}

pub(crate) fn is_raw_mode(settings: &Settings) -> bool {
    settings.ingest_mode() == Ok(IngestMode::Raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_rendered_in_one_unit() {
        for (seconds, expected) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (300, "5 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(render_length(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_worst_of_several_findings_is_the_result() {
        let (ok, warning, stops) =
            (Finding::ok("a.a", ""), Finding::warning("a.b", "", ""), Finding::stops("a.c", "", ""));
        assert_eq!(worst(&[]), Severity::Ok);
        assert_eq!(worst(&[warning.clone(), ok.clone()]), Severity::Warning);
        assert_eq!(worst(&[stops, warning, ok]), Severity::Stops);
    }
}
