//! Near real time: what has just come to OW is read before the next tick, and what is missed costs nothing.

use std::time::Duration;

use jhe_ow::demo::sim::Run;
use jhe_ow::signature::Secret;
use jhe_ow::time::Timestamp;

use crate::harness::*;
use crate::served::*;

const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const LISTED: &str = "/api/v1/sync/runs";

fn lists(world: &World) -> usize {
    world.sim.requests().iter().filter(|seen| seen.path == LISTED).count()
}

/// A daemon whose ticks are an hour apart, after its first one.
fn served(world: &World, hints: &str, user: &str, variables: &[(&str, &str)]) -> Served {
    world.setting("ow.poll_interval", "1h");
    world.setting("ow.hints", hints);
    let served = Served::with(world, variables);
    until("the first tick is over", || {
        world.pages_of(user) > 0 && world.lock().is_empty() && (hints == "off" || lists(world) > 1)
    });
    served
}

#[test]
fn whom_ow_has_just_synced_is_read_at_once() {
    let world = World::new();
    let (user, patient) = world.patient();
    let (other, _) = world.patient();
    world.sim.add_run(Run::pull(&user, world.now.minus(HOUR)));
    let served = served(&world, "1s", &user, &[]);
    until("the other is read", || world.pages_of(&other) > 0);
    let (before, before_other) = (world.pages_of(&user), world.pages_of(&other));
    let asked = lists(&world);
    until("it is asked again", || lists(&world) > asked + 1);
    assert_eq!(world.pages_of(&user), before, "an old run says nothing");
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    world.sim.add_run(Run::pull(&user, world.now));
    until("the sample is kept", || world.kept(&patient).len() == 1);
    let asked = lists(&world);
    until("it is asked again", || lists(&world) > asked + 2);
    assert_eq!(world.pages_of(&user), before + 1, "once for a run");
    assert_eq!(world.pages_of(&other), before_other, "nobody else");
    served.stop("TERM");
}

#[test]
fn a_backfill_at_ow_has_its_past_read() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let clock = world.directory.path().join("clock");
    std::fs::write(&clock, world.now.to_string()).unwrap();
    let clock_variable = format!("@{}", clock.display());
    let served = served(&world, "1s", &user, &[("JHE_OW_CLOCK", &clock_variable)]);
    until("the first sample is kept", || world.kept(&patient).len() == 1);
    world.sim.put(&user, world.now.minus(DAY * 20), 61.0);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 62.0);
    world.sim.add_run(Run::pull(&user, world.now));
    until("the new one is kept", || world.kept(&patient).len() == 2);
    std::fs::write(&clock, world.now.plus(Duration::from_mins(1)).to_string()).unwrap();
    let backfill = |from| Run { source: "backfill".into(), from, ..Run::pull(&user, world.now) };
    world.sim.add_run(backfill(Some(world.now.minus(DAY * 20 + HOUR))));
    until("the past is kept", || world.kept(&patient).len() == 3);
    let oldest = |days: u32| {
        let start = format!("start_time={}", &world.now.minus(DAY * days).to_string()[..10]);
        world.sim.requests().iter().filter(|seen| seen.query.contains(&start)).count()
    };
    assert_eq!((oldest(21), oldest(35)), (0, 0), "no further than OW has fetched");
    std::fs::write(&clock, world.now.plus(Duration::from_mins(2)).to_string()).unwrap();
    world.sim.put(&user, world.now.minus(DAY * 30), 63.0);
    world.sim.add_run(backfill(None));
    until("five weeks are read where OW does not say", || world.kept(&patient).len() == 4);
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
    world.sim.add_run(Run::pull(&user, world.now));
    let asked = lists(&world);
    until("it is asked again", || lists(&world) > asked + 2);
    assert_eq!(world.pages_of(&user), before);
    world.setting("ow.sync_in_progress", "");
    until("the sample is kept", || world.kept(&patient).len() == 1);
    served.stop("TERM");
}

#[test]
fn an_ow_that_cannot_say_who_synced_costs_nothing() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.setting("ow.daily_historical_sync", "false");
    world.sim.set_queue_broken(true);
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.setting("ow.poll_interval", "1s");
    world.setting("ow.hints", "1s");
    let served = Served::start(&world);
    until("it was asked", || lists(&world) > 0);
    let before = world.pages_of(&user);
    until("ticks go on", || world.pages_of(&user) > before + 1);
    assert_eq!(world.kept(&patient).len(), 1);
    served.stop("TERM");
}

#[test]
fn without_hints_ow_is_not_asked() {
    let world = World::new();
    let (user, _) = world.patient();
    let served = served(&world, "off", &user, &[]);
    let operator = served.operator(&world);
    until("the tick is over", || operator.get("/admin").body.contains("OW poll complete"));
    assert_eq!(lists(&world), 0);
    served.stop("TERM");
}

/// Sends a message as OW's Svix does; answers the status.
fn send(served: &Served, id: &str, at: Timestamp, body: &str, signature: Option<&str>) -> u16 {
    let secret = Secret::parse(&SIGNING.to_owned().into()).unwrap();
    let own = secret.sign(id, at, body.as_bytes());
    let request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .post(format!("{}/webhooks/ow", served.url()))
        .header("svix-id", id)
        .header("svix-timestamp", (at.micros() / 1_000_000).to_string())
        .header("svix-signature", signature.unwrap_or(&own))
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
fn ows_webhook_has_a_patient_read_at_once_and_a_stranger_has_nothing() {
    let world = World::new();
    let (user, patient) = world.patient();
    let clock = world.directory.path().join("clock");
    std::fs::write(&clock, world.now.to_string()).unwrap();
    let clock_variable = format!("@{}", clock.display());
    let variables = [("OW_WEBHOOK_SECRET", SIGNING), ("JHE_OW_CLOCK", &clock_variable)];
    let served = served(&world, "off", &user, &variables);
    let late = world.now.minus(DAY * 3);
    world.sim.put(&user, late, 60.0);
    let before = world.pages_of(&user);
    let body = message(&user, late);
    let now = world.now;
    assert_eq!(send(&served, "msg_1", now, &body, Some("v1,AAAA")), 401, "another's signature");
    assert_eq!(send(&served, "msg_1", now.minus(HOUR), &body, None), 401, "of an hour ago");
    assert_eq!(served.visitor().post("/webhooks/ow", &[]).status, 401, "not signed");
    assert_eq!(send(&served, "msg_1", now, &"x".repeat(1_100_000), None), 413);
    assert_eq!(world.pages_of(&user), before);
    for _ in 0..20 {
        assert_eq!(send(&served, "msg_1", now, &body, None), 204, "also where it comes again");
    }
    until("the late sample is kept", || world.kept(&patient).len() == 1);
    for number in 2..20 {
        assert_eq!(send(&served, &format!("msg_{number}"), now, &body, None), 204);
    }
    assert_eq!(
        send(&served, "msg_other", now, r#"{"type":"ping"}"#, None),
        204,
        "what names nobody is taken"
    );
    let read = world.pages_of(&user);
    std::fs::write(&clock, world.now.plus(Duration::from_mins(1)).to_string()).unwrap();
    until("it is read again", || world.pages_of(&user) > read);
    until("that is over", || world.lock().is_empty());
    assert_eq!(world.pages_of(&user) - read, read - before, "all of them were one, a minute later");
    served.stop("TERM");
}

#[test]
fn without_a_secret_there_is_no_webhook() {
    let world = World::new();
    let (user, _) = world.patient();
    let served = served(&world, "off", &user, &[]);
    assert_eq!(send(&served, "msg_1", world.now, &message(&user, world.now), None), 404);
    served.stop("TERM");
}
