//! Runs all checks and puts their findings in order.

use crate::common::clock::Clock;
use crate::config::load::Config;
use crate::doctor::{bucket, finding::Finding, jhe, ow, reachability, sealed, store, work};

/// The order of the findings.
const AREAS: [&str; 7] = ["store", "ow", "bucket", "jhe", "web", "clock", "data"];

/// Runs all checks but those of the configuration. With `deep`, the integrity of the database file is checked
/// even if it is large.
pub(crate) async fn run(config: &Config, clock: &Clock, deep: bool) -> Vec<Finding> {
    let (directory, now) = (config.data_dir.clone(), clock.now());
    let opened = tokio::task::spawn_blocking(move || store::open(&directory)).await;
    let (mut findings, opened) = opened.unwrap_or_else(|error| (vec![panicked("store.file", &error)], None));
    let settings = opened.as_ref().map(|opened| opened.settings.clone());
    let local = async {
        let Some(opened) = opened else {
            return vec![Finding::skipped("data.store", "there is no store to check")];
        };
        let Config { data_dir: directory, alerts, secret_key, .. } = config.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let mut findings = store::check(&opened, &directory, deep, now);
            findings.extend(sealed::check(&opened, secret_key.as_ref()));
            findings.extend(work::check(&opened, &directory, &alerts, now));
            findings
        });
        checked.await.unwrap_or_else(|error| vec![panicked("store.sound", &error)])
    };
    let (local, ow, bucket, jhe, web) = tokio::join!(
        local,
        ow::check(config, settings.as_ref(), clock),
        bucket::check(config, settings.as_ref(), clock),
        jhe::check(config, settings.as_ref(), clock),
        reachability::check(config),
    );
    findings.extend([local, ow, bucket, jhe, web].into_iter().flatten());
    findings.sort_by_key(|finding| AREAS.iter().position(|area| *area == finding.area()));
    findings
}

fn panicked(check: &'static str, error: &tokio::task::JoinError) -> Finding {
    Finding::stops(check, format!("the check of the store failed: {error}"), "report this text")
}
