//! Near real time: data that OW has just synced is read before the next tick, and a lost webhook message loses nothing.

use std::time::Duration;

use jhe_ow::common::time::Timestamp;
use jhe_ow::secrets::webhook_signature::WebhookSecret;
use jhe_ow::simulator::sync_run::SimulatedRun;

use crate::support::harness::*;
use crate::support::hints::*;
use crate::support::running_daemon::*;

#[test]
fn a_patient_ow_has_just_synced_is_read_at_once() {
    let world = World::new();
    let (user, patient) = world.patient();
    let (other, _) = world.patient();
    world.sim.add_run(SimulatedRun::pull(&user, world.now.minus(HOUR)));
    let served = served(&world, "1s", &user, &[]);
    until("the other patient is read", || world.pages_of(&other) > 0);
    let (before, before_other) = (world.pages_of(&user), world.pages_of(&other));
    let asked = lists(&world);
    until("the list of sync runs is requested again", || lists(&world) > asked + 1);
    assert_eq!(world.pages_of(&user), before, "an old sync run triggers no read");
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    world.sim.add_run(SimulatedRun::pull(&user, world.now));
    until("the sample is stored", || world.kept(&patient).len() == 1);
    let asked = lists(&world);
    until("the list of sync runs is requested again", || lists(&world) > asked + 2);
    assert_eq!(world.pages_of(&user), before + 1, "one read per sync run");
    assert_eq!(world.pages_of(&other), before_other, "only the synced patient is read");
    served.stop("TERM");
}

#[test]
fn a_hint_waits_for_the_lock() {
    let world = World::new();
    let (user, patient) = world.patient();
    let served = served(&world, "1s", &user, &[]);
    world.setting("ow.sync_in_progress", &world.now.to_string());
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    let before = world.pages_of(&user);
    world.sim.add_run(SimulatedRun::pull(&user, world.now));
    let asked = lists(&world);
    until("the list of sync runs is requested again", || lists(&world) > asked + 2);
    assert_eq!(world.pages_of(&user), before);
    world.setting("ow.sync_in_progress", "");
    until("the sample is stored", || world.kept(&patient).len() == 1);
    served.stop("TERM");
}

#[test]
fn an_ow_without_sync_runs_costs_nothing() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.setting("ow.daily_historical_sync", "false");
    world.sim.set_queue_broken(true);
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.setting("ow.poll_interval", "1s");
    world.setting("ow.hints", "1s");
    let served = Served::start(&world);
    until("the list of sync runs was requested", || lists(&world) > 0);
    let before = world.pages_of(&user);
    until("ticks continue", || world.pages_of(&user) > before + 1);
    assert_eq!(world.kept(&patient).len(), 1);
    served.stop("TERM");
}

#[test]
fn without_hints_ows_sync_runs_are_not_requested() {
    let world = World::new();
    let (user, _) = world.patient();
    let served = served(&world, "off", &user, &[]);
    let operator = served.operator(&world);
    until("the tick has ended", || operator.get("/admin/system").body.contains("OW poll complete"));
    assert_eq!(lists(&world), 0);
    served.stop("TERM");
}

/// Sends a message as OW's Svix does; returns the status.
fn send(served: &Served, id: &str, at: Timestamp, body: &str, signature: Option<&str>) -> u16 {
    send_as(
        "svix",
        served,
        id,
        &(at.micros() / 1_000_000).to_string(),
        body,
        signature.unwrap_or(&signed(id, at, body)),
    )
}

fn signed(id: &str, at: Timestamp, body: &str) -> String {
    WebhookSecret::parse(&SIGNING.to_owned().into()).unwrap().sign(id, at, body.as_bytes())
}

/// Sends a message whose header names start with `names`; returns the status.
fn send_as(names: &str, served: &Served, id: &str, at: &str, body: &str, signature: &str) -> u16 {
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("{}/webhooks/ow", served.url()))
        .header(format!("{names}-id"), id)
        .header(format!("{names}-timestamp"), at)
        .header(format!("{names}-signature"), signature)
        .header("content-type", "application/json")
        .body(body.to_owned());
    wait_for(async { request.send().await.unwrap().status().as_u16() })
}

fn message(user: &str, start: Timestamp) -> String {
    serde_json::json!({
        "type": "heart_rate.created",
        "data": { "user_id": user, "provider": "oura", "series_type": "heart_rate", "sample_count": 1,
                  "start_time": start.to_string().replace('Z', "+00:00"),
                  "end_time": start.to_string().replace('Z', "+00:00"), "samples": [] },
    })
    .to_string()
}

#[test]
fn ows_webhook_triggers_a_read_and_an_unsigned_message_does_not() {
    let world = World::new();
    let (user, patient) = world.patient();
    let hands = Hands::new(&world);
    let variables = [("OW_WEBHOOK_SECRET", SIGNING), ("JHE_OW_CLOCK", &hands.variable())];
    world.sim.put(&user, world.now.minus(HOUR * 2), 60.0);
    let served = served(&world, "off", &user, &variables);
    until("the first sample is stored", || world.kept(&patient).len() == 1);
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let before = world.pages_of(&user);
    let now = world.now;
    let body = message(&user, now.minus(HOUR));
    assert_eq!(send(&served, "msg_1", now, &body, Some("v1,AAAA")), 401, "a wrong signature is refused");
    assert_eq!(
        send(&served, "msg_1", now.minus(HOUR), &body, None),
        401,
        "a timestamp of an hour ago is refused"
    );
    assert_eq!(served.visitor().post("/webhooks/ow", &[]).status, 401, "an unsigned message is refused");
    assert_eq!(send(&served, "msg_1", now, &"x".repeat(1_100_000), None), 413);
    assert_eq!(world.pages_of(&user), before);
    for _ in 0..20 {
        assert_eq!(send(&served, "msg_1", now, &body, None), 204, "repeated messages are accepted");
    }
    until("the sample is stored", || world.kept(&patient).len() == 2);
    for number in 2..20 {
        assert_eq!(send(&served, &format!("msg_{number}"), now, &body, None), 204);
    }
    assert_eq!(
        send(&served, "msg_other", now, r#"{"type":"ping"}"#, None),
        204,
        "a message without a user is accepted"
    );
    let read = world.pages_of(&user);
    hands.set(now.plus(Duration::from_mins(1)));
    until("the patient is read again", || world.pages_of(&user) > read);
    until("the read has ended", || world.lock().is_empty());
    assert_eq!(
        world.pages_of(&user) - read,
        read - before,
        "the other messages cause one more read, a minute later"
    );
    served.stop("TERM");
}

#[test]
fn webhooks_about_the_past_trigger_one_read_an_hour() {
    let world = World::new();
    let (user, patient) = patient_with_a_past(&world);
    let (other, other_patient) = patient_with_a_past(&world);
    world.sim.put(&other, world.now.minus(DAY * 20), 62.0);
    let hands = Hands::new(&world);
    let variables = [("OW_WEBHOOK_SECRET", SIGNING), ("JHE_OW_CLOCK", &hands.variable())];
    let served = served(&world, "off", &user, &variables);
    let late = world.now.minus(DAY * 20);
    let send_at = |minute: u64| {
        let now = world.now.plus(Duration::from_mins(minute));
        hands.set(now);
        let read = world.pages_of(&user);
        assert_eq!(send(&served, &format!("msg_{minute}"), now, &message(&user, late), None), 204);
        until("the named patient is read", || world.pages_of(&user) > read);
    };
    world.sim.put(&user, late, 60.0);
    send_at(2);
    until_all_reads_are_done(&world);
    assert_eq!(world.kept(&patient).len(), 1);
    let whole = reads_of(&world, &user, 20);
    world.sim.put(&user, late.plus(HOUR), 61.0);
    for minute in [4, 6, 8, 10, 30, 59] {
        send_at(minute);
    }
    // The oldest scheduled read runs first.
    let now = world.now.plus(Duration::from_mins(59));
    assert_eq!(send(&served, "msg_other", now, &message(&other, late), None), 204);
    until("the other patient's historical data is stored", || world.kept(&other_patient).len() == 1);
    assert_eq!(reads_of(&world, &user, 20), whole, "no second historical read within the hour");
    send_at(64);
    until("data named by the later messages is stored after the hour", || world.kept(&patient).len() == 2);
    served.stop("TERM");
}

#[test]
fn the_start_of_a_sync_triggers_no_read() {
    let world = World::new();
    let (user, _) = world.patient();
    let (other, _) = world.patient();
    let served = served(&world, "off", &other, &[("OW_WEBHOOK_SECRET", SIGNING)]);
    until("the tick has ended", || world.pages_of(&user) > 0 && world.lock().is_empty());
    let (before, before_other) = (world.pages_of(&user), world.pages_of(&other));
    let of = |kind: &str, user: &str| {
        serde_json::json!({ "type": kind, "data": { "user_id": user, "provider": "oura", "source": "pull", "run_id": "r" } })
            .to_string()
    };
    assert_eq!(send(&served, "msg_1", world.now, &of("sync.started", &user), None), 204);
    assert_eq!(send(&served, "msg_2", world.now, &of("sync.completed", &other), None), 204);
    until("the other patient is read", || world.pages_of(&other) > before_other);
    until("the read has ended", || world.lock().is_empty());
    assert_eq!(world.pages_of(&user), before);
    served.stop("TERM");
}

#[test]
fn the_headers_of_standard_webhooks_are_accepted() {
    let world = World::new();
    let (user, patient) = world.patient();
    let served = served(&world, "off", &user, &[("OW_WEBHOOK_SECRET", SIGNING)]);
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let (at, body) = ((world.now.micros() / 1_000_000).to_string(), message(&user, world.now.minus(HOUR)));
    let signature = signed("msg_1", world.now, &body);
    assert_eq!(send_as("other", &served, "msg_1", &at, &body, &signature), 401);
    assert_eq!(
        send_as("webhook", &served, "msg_2", &at, &body, &signature),
        401,
        "the signature belongs to another message"
    );
    assert_eq!(send_as("webhook", &served, "msg_1", &at, &body, &signature), 204);
    until("the sample is stored", || world.kept(&patient).len() == 1);
    served.stop("TERM");
}

#[test]
fn a_webhook_with_an_impossible_time_is_refused() {
    let world = World::new();
    let (user, _) = world.patient();
    let served = served(&world, "off", &user, &[("OW_WEBHOOK_SECRET", SIGNING)]);
    let body = message(&user, world.now);
    for at in [i64::MIN.to_string(), i64::MAX.to_string(), "99999999999999999999".into(), "now".into()] {
        assert_eq!(send_as("svix", &served, "msg_1", &at, &body, "v1,AAAA"), 401, "{at}");
    }
    let said = served.stop("TERM").stderr;
    assert!(!said.contains("panic"), "{said}");
}

#[test]
fn without_a_secret_there_is_no_webhook() {
    let world = World::new();
    let (user, _) = world.patient();
    let served = served(&world, "off", &user, &[]);
    assert_eq!(send(&served, "msg_1", world.now, &message(&user, world.now), None), 404);
    served.stop("TERM");
}

#[test]
fn a_wrong_signature_is_logged_once_a_minute() {
    let world = World::new();
    let (user, _) = world.patient();
    let hands = Hands::new(&world);
    let variables = [("OW_WEBHOOK_SECRET", SIGNING), ("JHE_OW_CLOCK", &hands.variable())];
    let served = served(&world, "off", &user, &variables);
    let (now, body) = (world.now, message(&user, world.now));
    let other = WebhookSecret::parse(&"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned().into()).unwrap();
    let send_foreign = |at| {
        let signature = other.sign("msg_1", at, body.as_bytes());
        assert_eq!(send(&served, "msg_1", at, &body, Some(&signature)), 401);
    };
    for _ in 0..3 {
        send_foreign(now);
    }
    assert_eq!(send(&served, "msg_2", now.minus(HOUR), &body, None), 401);
    assert_eq!(served.visitor().post("/webhooks/ow", &[]).status, 401, "an unsigned message is refused");
    hands.set(now.plus(Duration::from_secs(59)));
    send_foreign(now);
    hands.set(now.plus(Duration::from_mins(1)));
    // The time is wrong too, but the wrong secret is reported first.
    send_foreign(now.minus(HOUR));
    let log = served.stop("TERM").stderr;
    assert_eq!(log.matches("signed with another secret than OW_WEBHOOK_SECRET").count(), 2, "{log}");
    assert_eq!(log.matches("its timestamp is too far from the current time").count(), 1, "{log}");
    assert!(log.contains("\"seconds\":3600"), "{log}");
    assert!(
        !log.contains(&user) && !log.contains("heart_rate.created"),
        "the log has no user and no event type: {log}"
    );
}
