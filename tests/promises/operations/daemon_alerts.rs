//! Alerts about the daemon itself are sent once per fault: observations that JHE does not accept, and a store that
//! cannot be written.

use std::time::Duration;

use crate::support::alert_receivers::*;
use crate::support::connected_world::Scene;
use crate::support::fake_jhe::{FakeJhe, Fault};
use crate::support::harness::*;
use crate::support::running_daemon::*;
use crate::support::watched_patient::Watched;

/// Returns a world with a JHE and a patient with one sample at OW.
fn exporting() -> (Watched, FakeJhe) {
    let scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    (Watched::over(scene.world, user, patient), scene.jhe)
}

/// Starts a daemon with a webhook, and with metrics at this port.
fn serve_with_webhook_and_metrics(watched: &Watched, webhook: &Webhook, metrics: u16) -> Served {
    let bind = format!("127.0.0.1:{metrics}");
    watched.serve(&[("JHE_OW_ALERTS_WEBHOOK", &webhook.url()), ("JHE_OW_METRICS_BIND", &bind)])
}

fn serve_with_webhook(watched: &Watched, webhook: &Webhook) -> Served {
    watched.serve(&[("JHE_OW_ALERTS_WEBHOOK", &webhook.url())])
}

fn fail(jhe: &FakeJhe, fails: bool) {
    let breaks = |path: &str| path.starts_with("/FHIR/R5").then_some(Fault::Status(503));
    jhe.state().trouble = fails.then(|| Box::new(breaks) as _);
}

/// Waits until a few more ticks with this outcome have ended and their follow-up work is done.
fn ticks_that_end(outcome: &str, metrics: u16) {
    let prefix = format!("jhe_ow_ticks_total{{outcome=\"{outcome}\"}} ");
    let ended = || {
        let (_, scrape) = get(metrics, "/metrics", &[])?;
        let count = scrape.lines().find_map(|line| line.strip_prefix(&prefix))?;
        count.parse::<u32>().ok()
    };
    let before = ended().unwrap_or_default();
    until("some ticks have ended with the outcome", || ended().is_some_and(|ended| ended >= before + 3));
}

fn has_unsent_alert(watched: &Watched) -> bool {
    let db = rusqlite::Connection::open(watched.world.database()).unwrap();
    let exists = "SELECT EXISTS (SELECT 1 FROM alerts WHERE kind = 'unsent')";
    db.query_row(exists, [], |row| row.get(0)).unwrap()
}

#[test]
fn an_alert_is_sent_once_per_outage_of_jhe() {
    let (mut watched, jhe) = exporting();
    fail(&jhe, true);
    let webhook = Webhook::start();
    let served = serve_with_webhook(&watched, &webhook);
    // Stored before the hours pass, so that it has waited for them.
    until("the first sample is stored", || watched.world.table(&watched.patient).len() == 1);
    watched.pass(HOUR);
    watched.stay_awake();
    assert!(webhook.posted().is_empty(), "a short outage sends no alert: {:?}", webhook.kinds());
    watched.pass(HOUR * 2);
    watched.ticks();
    assert!(
        webhook.posted().is_empty(),
        "a single leap of the clock may be a suspend and sends no alert: {:?}",
        webhook.kinds()
    );
    watched.stay_awake();
    until("the alert is sent", || webhook.kinds() == ["unsent"]);
    watched.measure(63.5);
    watched.pass(HOUR);
    watched.ticks();
    served.stop("TERM");
    let served = serve_with_webhook(&watched, &webhook);
    watched.stay_awake();
    assert_eq!(webhook.kinds(), ["unsent"], "one alert per fault, also after a restart");
    let body = webhook.posted()[0].body.clone();
    assert!(body.contains("\"link\":\"http://127.0.0.1:") && !body.contains("61.25"), "{body}");
    fail(&jhe, false);
    watched.pass(HOUR);
    until("JHE has both observations", || jhe.state().kept.len() == 2);
    until("the alert has ended", || !has_unsent_alert(&watched));
    fail(&jhe, true);
    watched.measure(64.5);
    until("the third sample is stored", || watched.world.table(&watched.patient).len() == 3);
    watched.pass(HOUR * 3);
    watched.stay_awake();
    until("the next fault is alerted", || webhook.kinds() == ["unsent", "unsent"]);
    served.stop("TERM");
}

#[test]
fn an_alert_is_sent_when_jhes_consents_cannot_be_read() {
    let (mut watched, jhe) = exporting();
    let (webhook, metrics) = (Webhook::start(), free_port());
    let served = serve_with_webhook_and_metrics(&watched, &webhook, metrics);
    watched.ticks();
    jhe.state().trouble = Some(Box::new(|_| Some(Fault::Status(503))));
    // The cached consents expire, so that no tick is still reading when the hours pass.
    watched.pass(Duration::from_mins(2));
    ticks_that_end("partial", metrics);
    watched.pass(HOUR * 5);
    until("the alert is sent", || webhook.kinds() == ["stuck"]);
    let body = webhook.posted()[0].json();
    assert_eq!(body["cause"], "not_read");
    assert!(body["text"].as_str().unwrap().contains("whether JHE answers"), "{body}");
    served.stop("TERM");
}

#[test]
fn an_alert_is_sent_for_parked_and_rejected_observations() {
    let (mut watched, jhe) = exporting();
    jhe.state().has_oura = false;
    jhe.state().refused = vec![64.5];
    let webhook = Webhook::start();
    let served = serve_with_webhook(&watched, &webhook);
    watched.stay_awake();
    until("the missing configuration is alerted", || webhook.kinds() == ["held"]);
    jhe.state().has_oura = true;
    watched.pass(HOUR * 2);
    until("the observation is delivered", || jhe.state().kept.len() == 1);
    watched.measure(64.5);
    watched.stay_awake();
    until("the refusal is alerted", || webhook.kinds() == ["held", "refused"]);
    watched.pass(HOUR);
    watched.ticks();
    assert_eq!(webhook.posted().len(), 2);
    assert!(webhook.posted()[1].body.contains("--retry-dead"), "{:?}", webhook.posted());
    // Many refusals at once are alerted although one refusal is already known.
    jhe.state().refused = (0..60).map(|number| 90.0 + f64::from(number)).collect();
    for number in 0..60_u32 {
        let at = watched.world.now.minus(Duration::from_secs(number.into()));
        watched.world.sim.put(&watched.user, at, 90.0 + f64::from(number));
    }
    watched.stay_awake();
    until("the alert about many refusals is sent", || webhook.kinds() == ["held", "refused", "many-refused"]);
    served.stop("TERM");
}

#[test]
fn an_alert_of_an_unwritable_store_is_sent_from_memory_after_a_while() {
    let (mut watched, _jhe) = exporting();
    let (webhook, database, metrics) = (Webhook::start(), watched.world.database(), free_port());
    let served = serve_with_webhook_and_metrics(&watched, &webhook, metrics);
    watched.ticks();
    let elsewhere = database.with_extension("elsewhere");
    std::fs::rename(&database, &elsewhere).unwrap();
    ticks_that_end("failed", metrics);
    watched.pass(Duration::from_mins(9));
    ticks_that_end("failed", metrics);
    assert!(webhook.posted().is_empty(), "{:?}", webhook.kinds());
    watched.pass(Duration::from_mins(2));
    until("the alert is sent", || webhook.kinds() == ["unkept"]);
    watched.pass(HOUR);
    ticks_that_end("failed", metrics);
    std::fs::rename(&elsewhere, &database).unwrap();
    watched.ticks();
    assert_eq!(webhook.kinds(), ["unkept"]);
    std::fs::rename(&database, &elsewhere).unwrap();
    ticks_that_end("failed", metrics);
    watched.pass(Duration::from_mins(11));
    until("the next fault is alerted", || webhook.kinds() == ["unkept", "unkept"]);
    std::fs::rename(&elsewhere, &database).unwrap();
    watched.ticks();
    let log = served.stop("TERM").stderr;
    assert_eq!(log.matches("nothing can be stored: ").count(), 2, "one log line per fault: {log}");
}

#[test]
fn an_alert_is_sent_while_the_daemon_waits_for_its_store() {
    let (mut watched, _jhe) = exporting();
    let webhook = Webhook::start();
    std::fs::write(watched.world.database(), "this is no database, and was never one").unwrap();
    let served = serve_with_webhook(&watched, &webhook);
    until("the daemon is waiting for the store", || {
        get(served.port, "/readyz", &[]).is_some_and(|(status, _)| status == 503)
    });
    watched.pass(Duration::from_mins(11));
    until("the alert is sent", || webhook.kinds() == ["unkept"]);
    let body = webhook.posted()[0].json();
    assert!(body["text"].as_str().unwrap().contains("No data can be stored since"), "{body}");
    served.stop("TERM");
}
