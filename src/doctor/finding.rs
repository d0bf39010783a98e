use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::config::settings::Snapshot;

/// How a finding bears on the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not looked at; the finding says why.
    Skipped,
    /// Data come in and go out all the same; somebody should look after it.
    Warning,
    /// Data of somebody do not come in, or do not go out.
    Stops,
}

/// What one check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Names the check, for programs; never changes. What comes before its dot is the area. One check may find several
    /// things.
    pub check: Cow<'static, str>,
    /// How it bears on the work.
    pub state: State,
    /// What was found.
    pub what: String,
    /// What to do; empty where there is nothing to do.
    pub next: String,
}

impl Finding {
    /// What it is about: `config`, `store`, `ow`, `bucket`, `jhe`, `web`, `clock` or `data`.
    pub fn area(&self) -> &str {
        self.check.split('.').next().unwrap_or_default()
    }

    pub(crate) fn ok(check: impl Into<Cow<'static, str>>, what: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Ok, what: what.into(), next: String::new() }
    }

    pub(crate) fn skipped(check: &'static str, what: impl Into<String>) -> Self {
        Self { state: State::Skipped, ..Self::ok(check, what) }
    }

    pub(crate) fn warning(check: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { state: State::Warning, next: next.into(), ..Self::ok(check, what) }
    }

    pub(crate) fn stops(check: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { state: State::Stops, ..Self::warning(check, what, next) }
    }
}

/// The worst of them.
pub fn worst(findings: &[Finding]) -> State {
    findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok)
}

/// A length of time as people say it, in one unit.
pub(crate) fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=119 => many(seconds, "second"),
        120..=7199 => many(seconds / 60, "minute"),
        7200..=172_799 => many(seconds / 3600, "hour"),
        _ => many(seconds / 86_400, "day"),
    }
}

/// So many of something.
pub(crate) fn many(count: impl std::fmt::Display, what: &str) -> String {
    let count = count.to_string();
    format!("{count} {what}{}", if count == "1" { "" } else { "s" })
}

/// Whether raw payloads are read.
pub(crate) fn is_raw(settings: &Snapshot) -> bool {
    settings.ingest_mode() == Ok(crate::config::settings::IngestMode::Raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_in_one_unit() {
        for (seconds, said) in [
            (1, "1 second"),
            (119, "119 seconds"),
            (300, "5 minutes"),
            (7200, "2 hours"),
            (172_800, "2 days"),
        ] {
            assert_eq!(length(Duration::from_secs(seconds)), said);
        }
    }

    #[test]
    fn the_worst_of_several_findings_counts() {
        let (well, doubtful, bad) =
            (Finding::ok("a.a", ""), Finding::warning("a.b", "", ""), Finding::stops("a.c", "", ""));
        assert_eq!(worst(&[]), State::Ok);
        assert_eq!(worst(&[doubtful.clone(), well.clone()]), State::Warning);
        assert_eq!(worst(&[bad, doubtful, well]), State::Stops);
    }
}
