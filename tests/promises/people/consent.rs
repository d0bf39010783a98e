//! Nothing is read, stored or kept without consent.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::harness::*;

fn consent(world: &World, patient: &str, change: &str) {
    let ran = world.run(&["patient", "consent", patient, HEART_RATE, change]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn data_measured_during_a_withdrawal_is_not_stored() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    let began = world.now;
    for hours in 1..=9 {
        world.sim.put(&user, began.plus(HOUR * hours), 60.0);
    }
    world.pass(HOUR * 3);
    assert_eq!(world.created(), 2, "the sample of this very moment is of the next tick");
    consent(&world, &patient, "--withdraw");
    world.sim.forget_requests();
    world.pass(HOUR * 3);
    assert_eq!(world.created(), 0);
    assert!(world.sim.requests().is_empty(), "without consent OW is not asked at all");
    consent(&world, &patient, "--grant");
    world.pass(HOUR * 4);
    assert_eq!(world.created(), 4);
    let hours: Vec<u64> =
        world.kept(&patient).iter().map(|(at, _)| at.since(began).as_secs() / 3600).collect();
    assert_eq!(hours, [1, 2, 6, 7, 8, 9]);
    let after = world.sim.requests();
    assert!(after.iter().all(|seen| !seen.query.contains("start_time=2026-11-21T15%3A30")), "{after:?}");
}

#[test]
fn samples_from_before_the_first_consent_are_ingested_within_the_window() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR * 23), 60.0);
    assert_eq!(world.created(), 1);
    assert_eq!(world.kept(&patient).len(), 1);
}

#[test]
fn a_consent_that_ends_during_the_read_is_obeyed() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    let (database, once, now) = (world.database(), AtomicBool::new(true), world.now.micros());
    world.sim.on_page(move |_, _| {
        if once.swap(false, Ordering::SeqCst) {
            let db = rusqlite::Connection::open(&database).unwrap();
            db.execute("UPDATE consents SET withdrawn_at = ?", [now]).unwrap();
        }
    });
    let ran = world.poll();
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(world.kept(&patient), []);
}

#[test]
fn rejected_samples_are_stored_with_consent_only() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.put_verbatim(&user, world.now.minus(HOUR), r#"{"timestamp":"noon","value":60.0}"#);
    let (database, now) = (world.database(), world.now.micros());
    world.sim.on_page(move |_, _| {
        let db = rusqlite::Connection::open(&database).unwrap();
        db.execute("UPDATE consents SET withdrawn_at = ?", [now]).unwrap();
    });
    assert_eq!(world.poll().code, 3);
    assert_eq!(world.run(&["rejected", "list"]).stdout, "");
}

#[test]
fn a_patient_without_link_or_consent_causes_no_request_and_is_named() {
    let world = World::new();
    let user = world.sim.add_user();
    world.run(&["patient", "add", "--name", "Unlinked", "--consent", HEART_RATE]);
    world.run(&["patient", "add", "--name", "Silent", "--ow-user", &user]);
    let ran = world.poll();
    assert_eq!((ran.code, ran.created()), (0, 0));
    assert!(ran.stderr.contains("patient 1 was left out: no link"), "{ran:?}");
    assert!(ran.stderr.contains("patient 2 was left out: no consent to omh:heart-rate:2.0"), "{ran:?}");
    assert!(world.sim.requests().is_empty());
}

#[test]
fn a_command_without_effect_reports_that_nothing_changed() {
    let world = World::new();
    let (_, patient) = world.patient();
    let again = world.run(&["patient", "consent", &patient, HEART_RATE, "--grant"]);
    assert!(again.stdout.contains("already"), "{again:?}");
}
