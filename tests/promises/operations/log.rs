//! The log has one line for each tick and an id for each failed request, and no health data.

use std::time::Duration;

use jhe_ow::simulator::fault::Fault;
use serde_json::Value;

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Parses the JSON lines of a log written to a pipe.
fn lines(log: &str) -> Vec<Value> {
    let json =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("the line is not JSON: {line}"));
    log.lines().map(json).collect()
}

#[test]
fn a_tick_is_one_line_with_its_figures() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the tick has ended", || operator.get("/admin/system").body.contains("OW poll complete"));
    let lines = lines(&served.stop("TERM").stderr);
    let is_tick = |line: &&Value| line["message"].as_str().unwrap_or_default().starts_with("OW poll");
    let ticks: Vec<&Value> = lines.iter().filter(is_tick).collect();
    assert_eq!(ticks.len(), 1, "{lines:#?}");
    let tick = ticks[0];
    for (figure, count) in
        [("patients", 1), ("failed", 0), ("created", 12), ("revised", 0), ("unchanged", 0), ("rejected", 0)]
    {
        assert_eq!(tick[figure], count, "{figure} in {tick}");
    }
    assert!(tick["millis"].is_number() && tick["level"] == "INFO" && tick["timestamp"].is_string(), "{tick}");
}

#[test]
fn a_failed_request_has_the_same_id_on_the_page_and_in_the_log() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let well = operator.send(reqwest::Method::GET, "/admin", &[("X-Request-Id", "proxy-17")], None);
    assert_eq!((well.status, well.headers["x-request-id"].to_str().unwrap()), (200, "proxy-17"));
    assert!(!well.body.contains("proxy-17"), "a page without an error shows no request id");
    let own = operator.send(reqwest::Method::GET, "/admin", &[("X-Request-Id", "a b\"<i>")], None);
    assert_eq!(own.headers["x-request-id"].to_str().unwrap().len(), 16);
    std::fs::rename(world.database(), world.directory.path().join("aside")).unwrap();
    let failed = operator.get("/admin/patients");
    let name = failed.headers["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(failed.status, 503, "{}", failed.body);
    assert!(failed.body.contains(&format!("reference: <code>{name}</code>")), "{}", failed.body);
    served.running.signal("KILL");
    let log = served.running.wait().stderr;
    let lines = lines(&log);
    let told = lines.iter().filter(|line| line["span"]["id"] == name.as_str());
    let told: Vec<&Value> = told.collect();
    assert!(
        told.iter().any(|line| line["message"].as_str().unwrap().contains("a page could not be made")),
        "{name} is not in {log}"
    );
}

#[test]
fn levels_are_set_module_by_module() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.sim.set_fault(&user, Some(Fault::FailFirst { times: 2, status: 503 }));
    let served = Served::with(&world, &[("JHE_OW_LOG", "warn,jhe_ow::common::backoff=debug")]);
    until("the sample is stored", || world.kept(&patient).len() == 1);
    let lines = lines(&served.stop("TERM").stderr);
    let is_of_module = |line: &Value| line["target"].as_str().unwrap().starts_with("jhe_ow::common::backoff");
    assert!(lines.iter().any(|line| is_of_module(line) && line["level"] == "DEBUG"), "{lines:#?}");
    assert!(lines.iter().all(|line| is_of_module(line) || line["level"] != "INFO"), "{lines:#?}");
}

#[test]
fn the_log_is_free_of_health_data_names_and_secrets() {
    let mut world = World::new();
    world.set("JHE_OW_LOG", "debug,jhe_ow=trace");
    let user = world.sim.add_user();
    let add =
        ["patient", "add", "--name", "Rosalind Quux", "--email", "rosalind@example.org", "--ow-user", &user];
    let ran = world.run(&[add.as_slice(), &["--consent", HEART_RATE, "--reason", "paper"]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    world.sim.put(&user, world.now.minus(HOUR), 61.53);
    world.sim.put_verbatim(&user, world.now.minus(HOUR * 2), r#"{"timestamp":"noon","value":62.625}"#);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the tick has ended", || operator.get("/admin/system").body.contains("OW poll complete"));
    assert!(
        operator.get("/admin/patients/1/observations").body.contains("61.53"),
        "the page shows the measurement"
    );
    let study = make_study(&operator, "Sleep");
    let link = invite(&operator, &make_patient(&operator, "Ada Frobnitz", &study));
    let token = link.rsplit(['=', '/']).next().unwrap().to_owned();
    assert!(token.len() > 20, "{link}");
    served.visitor().get(&link);
    let session = operator.cookies.lock().unwrap()["jhe_ow_session"].clone();
    let log = served.stop("TERM").stderr;
    assert!(log.contains("answered"), "the log is at its most detailed level: {log}");
    let key = world.sim.key();
    for secret in
        ["61.53", "62.625", "Rosalind", "Frobnitz", "example.org\"", PASSWORD, &token, &session, &key]
    {
        assert!(!log.contains(secret), "{secret} is in {log}");
    }
}

#[test]
fn the_overview_shows_the_progress_of_a_tick_and_hourly_counters() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    let (user, _) = world.patient();
    let (other, _) = world.patient();
    for user in [&user, &other] {
        world.sim.fill(user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    }
    world.sim.set_latency(Duration::from_secs(2));
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("a tick runs", || operator.get("/admin/system").body.contains("of 2 patients"));
    world.sim.set_latency(Duration::ZERO);
    until("the tick has ended", || operator.get("/admin/system").body.contains("OW poll complete"));
    let page = operator.get("/admin/system").body;
    assert!(!page.contains("A sync is running"), "{page}");
    for told in [
        "aria-label=\"Samples, the last 24 hours: 24 new, 0 revised, 0 rejected.\"",
        "Errors, the last 24 hours: No errors. Syncs: 1; 0 left patients out",
    ] {
        assert!(page.contains(told), "{told} is not in {page}");
    }
    assert!(operator.get("/admin/system?period=week").body.contains("Samples, the last 7 days: 24 new"));
    served.stop("TERM");
}
