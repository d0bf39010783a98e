//! Nothing is read, stored or kept without consent.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::harness::*;

#[test]
fn data_measured_during_a_withdrawal_is_not_stored() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    let began = world.now;
    for hours in 1..=9 {
        world.sim.put(&user, began.plus(HOUR * hours), 60.0);
    }
    world.pass(HOUR * 3);
    assert_eq!(world.created(), 2, "a sample measured at this instant is left to the next tick");
    world.consent(&patient, "--withdraw");
    world.sim.forget_requests();
    world.pass(HOUR * 3);
    assert_eq!(world.created(), 0);
    assert!(world.sim.requests().is_empty(), "OW gets no request without consent");
    world.consent(&patient, "--grant");
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
    world.sim.set_page_cap(100);
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
    assert_eq!(
        world.pages_of(&user),
        2,
        "one request determines the page size; no page is read after the withdrawal"
    );
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
    world.run(&["patient", "add", "--name", "Unlinked", "--consent", HEART_RATE, "--reason", "paper"]);
    world.run(&["patient", "add", "--name", "Silent", "--ow-user", &user]);
    let ran = world.poll();
    assert_eq!((ran.code, ran.created()), (0, 0));
    assert!(ran.stderr.contains("patient 1 was left out: no link"), "{ran:?}");
    let never =
        "patient 2 was left out: no consent to omh:heart-rate:2.0, and no answer yet; invite the patient";
    assert!(ran.stderr.contains(never), "{ran:?}");
    assert!(world.sim.requests().is_empty());
}

#[test]
fn a_command_without_effect_reports_that_nothing_changed() {
    let world = World::new();
    let (_, patient) = world.patient();
    let again = world.run(&["patient", "consent", &patient, HEART_RATE, "--grant", "--reason", "paper"]);
    assert!(again.stdout.contains("already"), "{again:?}");
}

#[test]
fn poll_and_doctor_tell_a_withdrawal_from_a_missing_answer() {
    let world = World::new();
    let (_, patient) = world.patient();
    let user = world.sim.add_user();
    world.run(&["patient", "add", "--name", "Silent", "--ow-user", &user]);
    world.consent(&patient, "--withdraw");
    let ran = world.poll();
    let withdrawn =
        format!("patient {patient} was left out: the patient has withdrawn or declined every consent");
    assert!(ran.stderr.contains(&withdrawn), "{ran:?}");
    assert!(!ran.stderr.contains("--grant"), "no remedy suggests overriding a withdrawal: {ran:?}");
    let doctor = world.run(&["doctor"]).stdout;
    assert!(doctor.contains("withdrew or declined: 1; linked and not answered yet: 1"), "{doctor}");
}

#[test]
fn a_consent_for_a_person_needs_a_reason_which_the_audit_keeps() {
    let world = World::new();
    let (_, patient) = world.patient();
    world.consent(&patient, "--withdraw");
    let grant = |more: &[&str]| {
        let command = ["patient", "consent", &patient, HEART_RATE, "--grant"];
        world.run(&[&command[..], more].concat())
    };
    assert_eq!(grant(&[]).code, 2);
    assert_eq!(grant(&["--reason", "because"]).code, 2);
    let granted = grant(&["--reason", "phone"]);
    assert!(granted.stdout.contains("after a withdrawal at"), "{granted:?}");
    assert!(granted.stdout.contains("you answered for the patient"), "{granted:?}");
    let audit = world.run(&["audit", "list"]).stdout;
    assert!(audit.contains("consent.grant") && audit.contains("reason phone"), "{audit}");
}
