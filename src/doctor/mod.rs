//! Whether everything is there that the daemon needs, each service asked in the way in which it is really used; and
//! what to do where something is not.
//!
//! Each check is a small function that answers findings. Whatever one of them meets, the others go on: remote services
//! are asked at the same time, each with its own patience. Nothing is changed, here or there: a store with an older
//! schema is told of, and left as it is. No finding holds a secret, a name or a measurement.

mod bucket;
mod clock;
mod config;
mod data;
mod disk;
mod jhe;
mod ow;
mod store;
mod web;

use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;

use crate::clock::Clock;
use crate::config::Config;
use crate::settings::Snapshot;

pub use config::{broken as broken_configuration, look as look_at_configuration};

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

    fn ok(check: impl Into<Cow<'static, str>>, what: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Ok, what: what.into(), next: String::new() }
    }

    fn skipped(check: &'static str, what: impl Into<String>) -> Self {
        Self { state: State::Skipped, ..Self::ok(check, what) }
    }

    fn warning(check: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { state: State::Warning, next: next.into(), ..Self::ok(check, what) }
    }

    fn stops(check: &'static str, what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { state: State::Stops, ..Self::warning(check, what, next) }
    }
}

/// Looks at everything but the configuration's origins. `deep` has the whole file of the store checked, however large
/// it is.
pub async fn examine(config: &Config, clock: &Clock, deep: bool) -> Vec<Finding> {
    let (directory, now) = (config.data_dir.clone(), clock.now());
    let opened = tokio::task::spawn_blocking(move || store::open(&directory)).await;
    let (mut findings, opened) = opened.unwrap_or_else(|error| {
        let what = format!("the store could not be looked at: {error}");
        (vec![Finding::stops("store.file", what, "report this text")], None)
    });
    let settings = opened.as_ref().map(|opened| opened.settings.clone());
    let here = async {
        let Some(opened) = opened else {
            return vec![Finding::skipped("data.store", "there is no store to look into")];
        };
        let (directory, alerts) = (config.data_dir.clone(), config.alerts.clone());
        let looked = tokio::task::spawn_blocking(move || {
            let mut findings = store::look(&opened, &directory, deep, now);
            findings.extend(data::look(&opened, &directory, &alerts, now));
            findings
        });
        looked.await.unwrap_or_else(|error| {
            vec![Finding::stops(
                "store.sound",
                format!("the store could not be read: {error}"),
                "report this text",
            )]
        })
    };
    let (here, ow, bucket, jhe, web) = tokio::join!(
        here,
        ow::look(config, settings.as_ref(), clock),
        bucket::look(config, settings.as_ref(), clock),
        jhe::look(config, settings.as_ref(), clock),
        web::look(config),
    );
    let (clocks, elsewhere): (Vec<Finding>, Vec<Finding>) =
        [ow, bucket, jhe, web].into_iter().flatten().partition(|finding| finding.area() == "clock");
    let (store, data): (Vec<Finding>, Vec<Finding>) =
        here.into_iter().partition(|finding| finding.area() == "store");
    findings.extend(store);
    findings.extend(elsewhere);
    findings.extend(clocks);
    findings.extend(data);
    findings
}

/// The worst of them.
pub fn worst(findings: &[Finding]) -> State {
    findings.iter().map(|finding| finding.state).max().unwrap_or(State::Ok)
}

/// A length of time as people say it, in one unit.
fn length(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..=119 => many(seconds, "second"),
        120..=7199 => many(seconds / 60, "minute"),
        7200..=172_799 => many(seconds / 3600, "hour"),
        _ => many(seconds / 86_400, "day"),
    }
}

/// So many of something.
fn many(count: impl std::fmt::Display, what: &str) -> String {
    let count = count.to_string();
    format!("{count} {what}{}", if count == "1" { "" } else { "s" })
}

/// Whether raw payloads are read.
fn is_raw(settings: &Snapshot) -> bool {
    settings.ingest_mode() == Ok(crate::settings::IngestMode::Raw)
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
