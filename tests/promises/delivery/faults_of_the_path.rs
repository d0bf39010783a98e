//! Errors on the path to JHE and wrong answers of JHE: no observation is rejected, lost or delivered to another
//! patient.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::connected_world::Scene;
use crate::support::erasure::one;
use crate::support::fake_jhe::*;
use crate::support::harness::*;
use crate::support::hints::Hands;
use crate::support::running_daemon::*;

const MINUTE: Duration = Duration::from_mins(1);

/// Answers each batch with `fault` from now on; returns a counter of batches.
fn break_path(scene: &Scene, fault: Fault) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    scene.jhe.state().trouble = Some(Box::new(move |path| {
        (path.trim_end_matches('/') == "/FHIR/R5").then(|| {
            counter.fetch_add(1, Ordering::Relaxed);
            fault
        })
    }));
    count
}

#[test]
fn an_error_of_the_path_makes_nothing_dead_and_costs_few_requests() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 20);
    scene.world.created();
    for status in [400, 405, 408, 409, 413, 418, 421, 422, 425, 429, 451, 500, 502, 503, 504] {
        let count = break_path(&scene, Fault::Status(status));
        let ran = scene.export();
        assert_eq!(ran.code, 1, "{status} {ran:?}");
        assert!(ran.stdout.contains("refused 0") && ran.stderr.contains(&status.to_string()), "{ran:?}");
        let requests = count.load(Ordering::Relaxed);
        // Two batches are in flight at a time, and each may be halved.
        assert!(requests <= 2 * 17, "{status}: {requests} requests are too many");
        scene.world.pass(HOUR * 2);
    }
    scene.jhe.state().trouble = None;
    assert!(scene.export().stdout.contains("Delivered 240"));
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn the_retry_after_of_any_refusal_is_obeyed() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Proxy(405, "7200")]);
    scene.export();
    scene.world.pass(MINUTE * 110);
    assert!(scene.export().stdout.contains("Delivered 0"));
    scene.world.pass(MINUTE * 11);
    assert!(scene.export().stdout.contains("Delivered 12"));
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn a_reason_that_was_never_seen_is_retried_and_shown() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    for (minute, value) in [(10, 60.0), (20, 61.0), (30, 62.0)] {
        scene.world.sim.put(&user, scene.world.now.minus(MINUTE * minute), value);
    }
    scene.world.created();
    scene.jhe.state().strange =
        vec![(61.0, "connection already closed"), (62.0, "the moon is full, says a JHE of 2031")];
    for _ in 0..2 {
        let ran = scene.export();
        assert!(ran.stdout.contains("refused 0, to be sent again 2"), "{ran:?}");
        scene.world.pass(HOUR * 2);
    }
    let shown = scene.world.run(&["doctor"]).stdout;
    assert!(!shown.contains("rejected by JHE"), "{shown}");
    scene.jhe.state().strange.clear();
    assert!(scene.export().stdout.contains("Delivered 2"));
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn an_observation_that_a_killed_worker_left_without_identifier_is_not_sent_again() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 2);
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Killed]);
    assert!(scene.export().stdout.contains("to be sent again 24"));
    scene.world.pass(MINUTE / 2);
    assert!(scene.export().stdout.contains("Delivered 0"), "the worker may still be running");
    scene.world.pass(MINUTE * 2);
    let ran = scene.export();
    assert!(ran.stdout.contains("Delivered 24"), "{ran:?}");
    assert_eq!(ran.stderr.matches("without its identifier").count(), 1, "{ran:?}");
    assert_eq!(scene.jhe.state().batches, [24, 11], "observations already at JHE must not be sent again");
    assert!(scene.is_delivered(40001, &patient));
    let orphans = scene.jhe.state().kept.iter().filter(|kept| kept.identifier.1.is_empty()).count();
    assert_eq!(orphans, 1);
}

#[test]
fn look_ups_end_with_the_first_error_of_the_path() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 8);
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Status(502)]);
    scene.export();
    scene.world.pass(MINUTE * 2);
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    scene.jhe.state().trouble = Some(Box::new(move |path| {
        (path == "/FHIR/R5/Observation").then(|| {
            counter.fetch_add(1, Ordering::Relaxed);
            Fault::Status(503)
        })
    }));
    let ran = scene.export();
    assert!(ran.code == 1 && ran.stdout.contains("to be sent again 96"), "{ran:?}");
    assert!(count.load(Ordering::Relaxed) <= 8, "{count:?} look-ups at an unavailable JHE");
    assert_eq!(scene.jhe.state().batches.len(), 1, "observations that may be at JHE must not be sent");
    scene.jhe.state().trouble = None;
    scene.world.pass(HOUR * 2);
    assert!(scene.export().stdout.contains("Delivered 96"));
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn a_suspect_value_does_not_hold_back_its_correction() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    let measured = scene.world.now.minus(HOUR);
    scene.world.sim.put(&user, measured, 61.0);
    scene.world.created();
    scene.jhe.state().strange = vec![(61.0, "never seen")];
    for _ in 0..14 {
        scene.world.sim.put(&user, scene.world.now.minus(MINUTE), 70.0);
        scene.world.created();
        scene.export();
        scene.world.pass(HOUR * 2);
    }
    scene.world.sim.put(&user, measured, 62.0);
    assert_eq!(scene.world.run(&["poll", "--window", "3d"]).code, 0);
    scene.world.pass(HOUR * 7);
    scene.export();
    let has =
        |value: f64| scene.jhe.state().kept.iter().any(|kept| kept.value().to_bits() == value.to_bits());
    assert!(has(62.0) && !has(61.0));
}

#[test]
fn this_machines_servers_are_called_without_a_proxy() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.set("HTTP_PROXY", "http://127.0.0.1:9");
    scene.world.set("http_proxy", "http://127.0.0.1:9");
    scene.world.created();
    assert!(scene.export().stdout.contains("Delivered 12"));
}

#[test]
fn the_consents_of_another_patient_are_refused() {
    let mut scene = Scene::new();
    let ((one, first), (two, second)) = (scene.patient(40001), scene.patient(40002));
    scene.world.pass(MINUTE * 2);
    scene.jhe.consent(40001, false, scene.world.now);
    scene.jhe.state().mixed_up = Some((40001, 40002));
    scene.fill(&one, 1);
    scene.fill(&two, 1);
    let ran = scene.world.run(&["poll"]);
    assert!(ran.stderr.contains("it answered about patient 40002, not 40001"), "{ran:?}");
    assert!(scene.world.kept(&first).is_empty(), "nothing is read without an answer about this patient");
    assert_eq!(scene.world.kept(&second).len(), 12);
    scene.export();
    assert!(scene.jhe.instants(40001).is_empty());
    assert!(scene.is_delivered(40002, &second));
}

#[test]
fn the_observations_of_another_patient_are_refused() {
    let mut scene = Scene::new();
    let ((one, first), (two, second)) = (scene.patient(40001), scene.patient(40002));
    // Both patients have the same value at the same instant, and JHE's answer is lost.
    for user in [&one, &two] {
        scene.world.sim.put(user, scene.world.now.minus(HOUR), 61.0);
    }
    scene.world.created();
    scene.jhe.state().faults.extend([Fault::Lost]);
    scene.export();
    scene.world.pass(MINUTE * 2);
    scene.jhe.state().mixed_up_search = Some((40001, 40002));
    let ran = scene.export();
    assert!(
        ran.stdout.contains("to be sent again") && ran.stderr.contains("others than Patient/40001"),
        "{ran:?}"
    );
    scene.jhe.state().mixed_up_search = None;
    scene.world.pass(HOUR * 2);
    scene.export();
    assert!(scene.is_delivered(40001, &first) && scene.is_delivered(40002, &second));
}

#[test]
fn a_lease_begins_with_the_request_and_not_before_slow_consents() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 1);
    scene.world.created();
    // The answer about consents is cached for a minute.
    scene.world.pass(MINUTE * 2);
    let hands = Hands::new(&scene.world);
    let start = |arguments: &[&str]| {
        let mut command = scene.world.command(arguments);
        command.env("JHE_OW_CLOCK", hands.variable()).stdout(std::process::Stdio::null());
        Running::new(command.spawn().unwrap())
    };
    // JHE takes three minutes to answer about consents and never answers the batch.
    let (clock, later) = (Hands::new(&scene.world), scene.world.now.plus(MINUTE * 3));
    scene.jhe.state().trouble = Some(Box::new(move |path| {
        if path.ends_with("/consents") {
            clock.set(later);
        }
        (path.trim_end_matches('/') == "/FHIR/R5").then_some(Fault::Hang)
    }));
    let first = start(&["export"]);
    until("the batch is sent", || scene.jhe.state().batches.len() == 1);
    first.signal("KILL");
    drop(first);
    scene.jhe.state().trouble = None;
    let look_ups = scene.jhe.state().look_ups;
    // A minute after the request, JHE may still process it.
    hands.set(later.plus(MINUTE));
    assert_eq!(start(&["export"]).wait().code, 0);
    let sent = scene.jhe.state().batches.len();
    assert_eq!((sent, scene.jhe.state().look_ups), (1, look_ups), "nothing is sent or looked up");
    hands.set(later.plus(MINUTE * 3));
    assert_eq!(start(&["export"]).wait().code, 0);
    assert!(scene.is_delivered(40001, &patient));
}

#[test]
fn a_list_of_jhe_that_never_ends_is_given_up() {
    let scene = Scene::new();
    scene.patient(40001);
    scene.jhe.state().is_endless = true;
    let ran = scene.world.run(&["patient", "import"]);
    assert!(ran.code != 0 && ran.stderr.contains("more than 100 pages"), "{ran:?}");
    assert!(scene.jhe.state().patient_pages <= 100);
}

#[test]
fn what_was_refused_in_the_last_day_is_sent_again_with_one_button() {
    let mut scene = Scene::new();
    let people: Vec<_> = [40001, 40002].map(|id| (id, scene.patient(id))).into();
    for (value, (_, (user, _))) in [61.0, 62.0].into_iter().zip(&people) {
        scene.world.sim.put(user, scene.world.now.minus(HOUR), value);
    }
    scene.world.created();
    scene.jhe.state().refused = vec![61.0];
    scene.export();
    scene.world.pass(DAY + HOUR);
    scene.jhe.state().refused = vec![61.0, 62.0, 63.0];
    for (_, (user, _)) in &people {
        scene.world.sim.put(user, scene.world.now.minus(HOUR), 63.0);
    }
    scene.world.created();
    let ran = scene.export();
    assert!(ran.stdout.contains("refused 2"), "{ran:?}");
    scene.jhe.state().refused.clear();
    let served = Served::start(&scene.world);
    let operator = served.operator(&scene.world);
    let page = operator.get("/admin/system").body;
    assert!(page.contains("this JHE will not have") && page.contains("Send all of them again"), "{page}");
    assert_eq!(operator.submit("/admin/system", "/admin/retry-export", &[]).status, 303);
    until("the observations are delivered", || scene.jhe.state().kept.len() == 3);
    assert!(!operator.get("/admin/system").body.contains("Send all of them again"));
    let waiting: i64 = one(&scene.world, "SELECT count(*) FROM outbox WHERE state = 'dead'");
    assert_eq!(waiting, 1, "earlier refusals are not retried");
}
