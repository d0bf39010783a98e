//! The promises of the tests of `ow_poll`, the integration that this program replaces, with the same names.

use jhe_ow::simulator::fault::Fault;

use crate::support::harness::*;

fn one_sample() -> (World, String, String) {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    (world, user, patient)
}

#[test]
fn p1_skipped_when_module_disabled() {
    let (world, _, patient) = one_sample();
    world.setting("module.ow", "false");
    let ran = world.poll();
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "OW poll skipped: module.ow=false\n"));
    assert_eq!(world.kept(&patient), []);
    assert!(world.sim.requests().is_empty());
}

#[test]
fn p2_skipped_when_lock_held() {
    let (world, _, patient) = one_sample();
    let since = world.now.to_string();
    world.setting("ow.sync_in_progress", &since);
    let ran = world.poll();
    assert_eq!((ran.code, ran.stdout), (0, format!("ow_poll skipped: ow.sync_in_progress since {since}\n")));
    assert_eq!((world.lock(), world.kept(&patient).len()), (since, 0));
}

#[test]
fn p3_creates_observation_for_consented_patient() {
    let (world, _, patient) = one_sample();
    let ran = world.poll();
    assert_eq!(ran.stdout, "OW poll complete (mode=normalized). Created 1 observations.\n");
    let document = &world.documents(&patient)[0];
    let fhir = world.run(&["observations", "--format", "fhir"]).stdout;
    let resource: serde_json::Value = serde_json::from_str(fhir.trim()).unwrap();
    assert_eq!(resource["code"]["coding"][0]["code"], HEART_RATE);
    assert_eq!(resource["identifier"][0]["system"], "ow:normalized");
    assert_eq!(resource["identifier"][0]["value"], document["header"]["uuid"]);
    assert_eq!(world.lock(), "");
}

#[test]
fn p4_dedupes_via_observation_identifier() {
    let (world, _, patient) = one_sample();
    assert_eq!((world.created(), world.created()), (1, 0));
    assert_eq!(world.kept(&patient).len(), 1);
}

#[test]
fn p5_skips_user_without_ow_identifier() {
    let (world, _, patient) = one_sample();
    world.run(&["patient", "unlink", &patient]);
    assert_eq!(world.created(), 0);
    assert!(world.sim.requests().is_empty());
    let refused = world.run(&["patient", "link", &patient, "--ow-user", "fitbit:123"]);
    assert_eq!(refused.code, 2, "an invalid OW user id is never linked: {refused:?}");
}

#[test]
fn p6_skips_patient_without_hr_consent() {
    let (world, _, patient) = one_sample();
    world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]);
    assert_eq!(world.created(), 0);
    assert!(world.sim.requests().is_empty());
}

#[test]
fn p7_lock_released_on_exception() {
    let (world, user, _) = one_sample();
    world.sim.set_fault(&user, Some(Fault::Garbage));
    assert_eq!(world.poll().code, 3);
    assert_eq!(world.lock(), "");
}

#[test]
fn p8_aborts_when_settings_missing() {
    let (mut world, _, patient) = one_sample();
    for missing in ["OW_API_URL", "OW_API_KEY"] {
        let value = if missing == "OW_API_URL" { world.sim.url() } else { world.sim.key() };
        world.set(missing, "");
        let ran = world.poll();
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.starts_with("ow_poll aborted: OW_API_URL / OW_API_KEY not configured"), "{ran:?}");
        assert_eq!((world.lock(), world.kept(&patient).len()), (String::new(), 0));
        world.set(missing, &value);
    }
}

#[test]
fn p11_unknown_mode_aborts() {
    let (world, _, patient) = one_sample();
    assert_eq!(world.run(&["settings", "set", "ow.ingest_mode", "bogus"]).code, 2);
    let db = rusqlite::Connection::open(world.database()).unwrap();
    db.execute("INSERT INTO settings VALUES ('ow.ingest_mode', 'bogus')", []).unwrap();
    let ran = world.poll();
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("ow_poll aborted: unknown ow.ingest_mode 'bogus'"), "{ran:?}");
    assert_eq!((world.lock(), world.kept(&patient).len()), (String::new(), 0));
}

#[test]
fn p12_stale_lock_is_force_released() {
    let (world, _, _) = one_sample();
    world.setting("ow.sync_in_progress", &world.now.minus(HOUR).to_string());
    assert_eq!(world.created(), 1);
    assert_eq!(world.lock(), "");
}

#[test]
fn without_a_seed_the_poll_says_so() {
    let world = World::bare();
    world.setting("module.ow", "true");
    let ran = world.poll();
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.starts_with("CodeableConcept 'omh:heart-rate:2.0' not found. Run seed first."),
        "{ran:?}"
    );
    assert_eq!(world.lock(), "");
}

#[test]
fn raw_mode_names_the_first_setting_that_is_missing() {
    let (world, ..) = one_sample();
    world.setting("ow.ingest_mode", "raw");
    let ran = world.poll();
    assert_eq!(ran.code, 1);
    assert!(
        ran.stderr.starts_with("OW raw ingest requires setting 'ow.s3.endpoint_url' to be set."),
        "{ran:?}"
    );
    assert_eq!(world.lock(), "");
}
