//! `jhe-ow doctor` checks each service the way the daemon uses it, names each fault with its remedy, completes all
//! checks, and changes nothing.

use std::time::Duration;

use serde_json::Value;

use crate::support::bucket::{Bucket, use_bucket};
use crate::support::doctor::*;
use crate::support::fake_jhe::*;
use crate::support::harness::*;

#[test]
fn a_healthy_installation_has_no_finding_that_stops_data() {
    let mut world = well();
    let jhe = connect(&mut world);
    let found = examine(&world);
    assert_eq!((found.code, found.checks("stops")), (0, vec![]), "{}", found.text);
    // Warnings about the disk and the network depend on this machine.
    let odd: Vec<&str> = found
        .checks("warning")
        .into_iter()
        .filter(|check| !check.starts_with("web.") && !check.starts_with("store."))
        .collect();
    assert_eq!(odd, Vec::<&str>::new(), "{}", found.text);
    for check in [
        "store.directory",
        "store.schema",
        "store.sound",
        "store.backup",
        "ow.reachable",
        "ow.key",
        "ow.version",
        "ow.providers",
        "ow.redirect",
        "ow.authorize",
        "jhe.reachable",
        "jhe.client",
        "jhe.setup",
        "clock.ow",
        "clock.jhe",
        "data.module",
        "data.mode",
        "data.code",
        "data.lock",
        "data.tick",
        "data.samples",
        "data.export",
        "data.audit",
        "data.rejected",
    ] {
        found.said(check, "ok");
    }
    found.has("ow.version", "ok", "100 samples per page", "");
    let redirect = format!("byte for byte: {}/api/v1/oauth/oura/callback", world.sim.url());
    found.has("ow.redirect", "ok", &redirect, "");
    found.has("jhe.client", "ok", "reaches 1 patient through", "");
    found.has("store.sound", "ok", "all of it read)", "");
    assert!(jhe.state().batches.is_empty(), "the doctor must not change the store");
}

#[test]
fn a_finding_has_five_fields_in_json_and_a_line_with_its_remedy_for_people() {
    let mut world = well();
    world.set("OW_API_KEY", "sk-wrong");
    let found = examine(&world);
    for finding in &found.findings {
        let fields = finding.as_object().unwrap();
        let names: Vec<&String> = fields.keys().collect();
        assert_eq!(names, ["area", "check", "next", "state", "what"]);
        assert!(fields.values().all(Value::is_string));
        let (area, check) = (finding["area"].as_str().unwrap(), finding["check"].as_str().unwrap());
        assert!(check.starts_with(&format!("{area}.")), "{check}");
        assert!(["ok", "skipped", "warning", "stops"].contains(&finding["state"].as_str().unwrap()));
        let doubtful = matches!(finding["state"].as_str(), Some("warning" | "stops"));
        assert_eq!(doubtful, finding["next"] != "", "each fault has a remedy: {finding}");
        assert!(!finding["what"].as_str().unwrap().contains('\n'), "each message is one line");
    }
    let lines: Vec<&str> = found.text.lines().collect();
    let at =
        lines.iter().position(|line| line.starts_with("STOPS    ow      401 Invalid or missing API key"));
    let remedy = lines[at.unwrap() + 1];
    assert!(remedy.starts_with("                 -> make a new key in OW's admin pages"), "{remedy}");
    assert!(lines.last().unwrap().starts_with("Things that stop data: 1; warnings: "), "{}", found.text);
}

#[test]
fn each_value_of_the_configuration_says_where_it_came_from() {
    let mut world = well();
    let file = world.directory.path().join("key");
    std::fs::write(&file, world.sim.key()).unwrap();
    std::fs::write(world.directory.path().join("jhe-ow.toml"), "[ow]\n# a ring\ntimeout = \"7s\"\n").unwrap();
    world.set("OW_API_KEY", "");
    world.set("JHE_OW_OW_TIMEOUT", "");
    world.set("OW_API_KEY_FILE", file.to_str().unwrap());
    let found = examine_with(&world, &["--log", "error"]);
    found.has("config.log.level", "ok", "log.level = error (flag --log)", "");
    found.has("config.ow.api_url", "ok", "(environment variable OW_API_URL)", "");
    found.has("config.ow.api_key_file", "ok", "(environment variable OW_API_KEY_FILE)", "");
    found.has("config.ow.timeout", "ok", "ow.timeout = 7s (", "");
    found.has("config.ow.timeout", "ok", "jhe-ow.toml line 3)", "");
    found.has("config.secret_key", "ok", "secret_key = (set) (environment variable JHE_OW_SECRET_KEY)", "");
    found.has("config.server.bind", "ok", "server.bind = 127.0.0.1:8002 (default)", "");
    assert_eq!(found.code, 0, "{}", found.text);
}

#[test]
fn without_configuration_it_names_the_first_value_to_set() {
    let mut world = World::bare();
    for name in ["OW_API_URL", "OW_API_KEY", "JHE_OW_OW_TIMEOUT"] {
        world.set(name, "");
    }
    let found = examine(&world);
    assert_eq!((found.code, found.checks("stops")), (1, vec!["config.ow", "store.file"]));
    found.has(
        "config.ow",
        "stops",
        "OW_API_URL / OW_API_KEY not configured",
        "set OW_API_URL to the address",
    );
    found.has("store.file", "stops", "there is no store in", "jhe-ow seed");
    found.said("ow.configured", "skipped");
    found.said("data.store", "skipped");
    assert!(!world.data_dir().exists(), "the doctor creates nothing");
    world.set("JHE_OW_LOG_FORMAT", "xml");
    let found = examine(&world);
    found.stops("config.read", "log.format = 'xml'", "give auto, pretty or json");
}

#[test]
fn an_unreachable_ow_a_refused_key_and_a_foreign_server_are_distinguished() {
    let mut world = well();
    world.sim.set_configured(&[]);
    examine(&world).warns("ow.providers", "credentials for no provider", "OURA_CLIENT_ID");
    world.sim.set_configured(&["oura"]);
    let (url, key) = (world.sim.url(), world.sim.key());
    world.set("OW_API_KEY", "sk-wrong");
    examine(&world).stops("ow.key", "401 Invalid or missing API key", "OW's admin pages");
    world.set("OW_API_KEY", &key);
    let nobody = format!("http://127.0.0.1:{}", free_port());
    world.set("OW_API_URL", &nobody);
    examine(&world).stops("ow.reachable", "OW cannot be reached", "check that OW runs");
    let jhe = FakeJhe::start();
    world.set("OW_API_URL", &format!("{url}/elsewhere"));
    examine(&world).stops("ow.reachable", "is not OW", "set OW_API_URL to OW's address");
    world.set("OW_API_URL", &url);
    world.sim.set_users_broken(Some(500));
    examine(&world).stops("ow.reachable", "OW answered 500", "see OW's log");
    drop(jhe);
}

#[test]
fn faults_of_jhe_are_distinguished() {
    let mut world = well();
    let jhe = connect(&mut world);
    jhe.state().people.codes_known.retain(|code| code != HEART_RATE);
    examine(&world).stops("jhe.code", "JHE has no code 'omh:heart-rate:2.0'", "have its seed run");
    jhe.state().people.codes_known.push(HEART_RATE.to_owned());
    jhe.state().has_oura = false;
    examine(&world).stops("jhe.source", "none of the data sources", "attach them to the study");
    world.setting("jhe.data_sources", "Oura = CareX");
    examine(&world).has("jhe.setup", "ok", "codes, data source", "");
    world.setting("jhe.data_sources", "");
    jhe.state().has_oura = true;
    jhe.hide(40001, true);
    examine(&world).stops("jhe.reach", "shares no organization", "member of each organization");
    jhe.hide(40001, false);
    jhe.state().people.invitation_url = None;
    examine(&world).warns(
        "jhe.invitation",
        "no client whose invitations open this daemon",
        "invitationUrl http://127.0.0.1:8002/",
    );
    world.set("JHE_CLIENT_KEY", "d3Jvbmc6a2V5");
    examine(&world).stops(
        "jhe.client",
        "JHE does not accept the client key (invalid_client)",
        "set JHE_CLIENT_KEY",
    );
    world.set("JHE_BASE_URL", &format!("http://127.0.0.1:{}", free_port()));
    examine(&world).stops("jhe.reachable", "JHE cannot be reached", "see that JHE runs");
    world.set("JHE_CLIENT_KEY", "");
    examine(&world).stops(
        "jhe.configured",
        "JHE_BASE_URL is set, and no client key",
        "make a practitioner client",
    );
}

#[test]
fn the_bucket_is_listed_and_an_object_of_it_read() {
    let (world, bucket) = (well(), Bucket::start());
    examine(&world).has("bucket.mode", "skipped", "no bucket is read", "");
    use_bucket(&world, &bucket);
    examine(&world).warns("bucket.read", "is empty", "ow.s3.key_prefix");
    bucket.put_heart_rates(&Bucket::key("2026-11-21", "u", "a"), &[("2026-11-21T08:00:00Z", 60.0, "rest")]);
    examine(&world).has("bucket.read", "ok", "was listed and read", "");
    world.setting("ow.s3.secret_access_key", "another");
    examine(&world).stops(
        "bucket.read",
        "may not be listed (403",
        "see ow.s3.access_key_id and ow.s3.secret_access_key",
    );
    assert_eq!(world.run(&["settings", "unset", "ow.s3.bucket_name"]).code, 0);
    examine(&world).stops("bucket.settings", "requires setting 'ow.s3.bucket_name'", "jhe-ow settings set");
}

#[test]
fn clocks_that_are_five_minutes_apart_are_reported() {
    let mut world = well();
    let _jhe = connect(&mut world);
    // The Date header of servers has a resolution of one second.
    world.now = real_now().minus(FIVE_MINUTES + Duration::from_secs(9));
    let found = examine(&world);
    found.warns("clock.ow", "5 minutes behind that of OW", "NTP");
    found.warns("clock.jhe", "5 minutes behind that of JHE", "NTP");
    world.now = real_now().plus(FIVE_MINUTES + Duration::from_secs(9));
    examine(&world).has("clock.ow", "warning", "5 minutes ahead of that of OW", "NTP");
}

#[test]
fn a_switched_off_module_a_missing_seed_and_an_overdue_tick_stop_data() {
    let mut world = well();
    world.setting("module.ow", "false");
    examine(&world).stops("data.module", "module.ow=false", "jhe-ow settings set module.ow true");
    world.setting("module.ow", "true");
    world.setting("ow.poll_interval", "1m");
    world.now = world.now.plus(FIVE_MINUTES);
    examine(&world).stops("data.tick", "the last tick ended 5 minutes ago", "check that the daemon runs");
    world.now = world.now.minus(FIVE_MINUTES);
    sql(&world, "PRAGMA foreign_keys = OFF; UPDATE codes SET code = 'x' WHERE code = 'omh:heart-rate:2.0'");
    examine(&world).stops(
        "data.code",
        "CodeableConcept 'omh:heart-rate:2.0' not found. Run seed first.",
        "jhe-ow seed",
    );
}

#[test]
fn a_silent_patient_is_named_by_number() {
    let mut world = well();
    world.now = world.now.plus(DAY * 3);
    world.created();
    let found = examine(&world);
    found.has("data.silent", "warning", "from patient 1 (", "");
    sql(&world, "UPDATE links SET state = 'needs_relink'");
    examine(&world).has(
        "data.links",
        "warning",
        "no longer knows the users who are linked to: patient 1",
        "jhe-ow patient link",
    );
}

#[test]
fn the_lock_is_reported_with_its_holder() {
    let world = well();
    world.setting("ow.sync_in_progress", &world.now.minus(FIVE_MINUTES * 7).to_string());
    examine(&world).warns("data.lock", "without renewal", "settings set ow.sync_in_progress \"\"");
    world.setting("ow.sync_in_progress", &world.now.minus(FIVE_MINUTES).to_string());
    examine(&world).warns("data.lock", "no process holds it", "settings set ow.sync_in_progress \"\"");
    world.setting("ow.sync_in_progress", "");
    let user = world.sim.add_user();
    let add = linked_patient(NAME, &user);
    assert_eq!(world.run(&add).code, 0);
    world.sim.set_fault(&user, Some(jhe_ow::simulator::fault::Fault::Hang));
    world.sim.forget_requests();
    let poll = world.start(&["poll"]);
    until("the doctor has sent its request", || world.pages_of(&user) > 0);
    let found = examine(&world);
    found.has("data.lock", "ok", "in a live process", "");
    poll.signal("KILL");
    poll.wait();
    let found = examine(&world);
    found.has("data.lock", "warning", "belongs to a process that has ended", "the next tick reclaims it");
    assert!(!world.lock().is_empty(), "the doctor must not change the store");
}

#[test]
fn observations_that_wait_for_jhe_are_grouped_by_reason() {
    let mut world = well();
    let _jhe = connect(&mut world);
    add_pending_observation(&world);
    let found = examine(&world);
    found.has("data.export", "ok", "waiting to be sent to JHE: 1 observation", "");
    let later = world.now.plus(HOUR * 30);
    sql(&world, &format!("UPDATE outbox SET due_at = {0}, first_due_at = {0}", later.micros()));
    let found = examine(&world);
    found.has(
        "data.still",
        "ok",
        &format!("1 observation waits because it may still change: the next at {later}"),
        "",
    );
    found.has("data.export", "ok", "nothing else waits to be sent to JHE", "");
    let due = world.now;
    sql(&world, &format!("UPDATE outbox SET due_at = {0}, first_due_at = {0}", due.micros()));
    world.now = world.now.plus(HOUR * 2);
    assert_eq!(world.poll().code, 0);
    let found = examine(&world);
    found.stops("data.export", "overdue for", "jhe-ow export");
    sql(&world, "UPDATE outbox SET state = 'configuration', reason = 'no device'");
    examine(&world).stops(
        "data.held",
        "parked until something is fixed at JHE: 1 observation",
        "tried again hourly",
    );
    sql(&world, "UPDATE outbox SET state = 'dead', reason = 'no'");
    examine(&world).has(
        "data.dead",
        "warning",
        "rejected by JHE: 1 observation",
        "jhe-ow export --retry-dead",
    );
}

#[test]
fn rejected_samples_and_a_broken_audit_are_reported() {
    let world = well();
    let (user, _) = world.patient();
    world.sim.put_verbatim(&user, world.now.minus(HOUR), r#"{"timestamp":"noon","value":187.25}"#);
    world.created();
    examine(&world).warns("data.rejected", "not converted: 1 sample of 1 patient", "jhe-ow rejected list");
    sql(&world, "DROP TRIGGER audit_entries_no_update; UPDATE audit_entries SET detail = 'z' WHERE id = 2");
    examine(&world).warns("data.audit", "entry 2 does not follow", "jhe-ow audit verify");
}
