use crate::common::clock::Clock;
use crate::config::load::Config;
use crate::doctor::finding::Finding;
use crate::doctor::{bucket, jhe, ow, reachability, store, work};

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
            findings.extend(work::look(&opened, &directory, &alerts, now));
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
        reachability::look(config),
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
