//! A sample is stored exactly once.

use jhe_ow::simulator::samples_table::Row;

use crate::support::harness::*;

#[test]
fn ten_runs_create_nothing_new() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    assert_eq!(world.created(), 288);
    for _ in 0..10 {
        assert_eq!(world.created(), 0);
    }
    assert_eq!(world.kept(&patient).len(), 288);
}

#[test]
fn the_same_sample_gives_the_same_bytes_on_another_machine() {
    let documents = || {
        let world = World::new();
        let user = "009edd1e-49f6-4e35-a7b9-952f45e501e9";
        world.sim.add_user_with_id(user);
        world.run(&linked_patient("A", user));
        world.sim.fill(user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
        world.created();
        ["omh", "fhir", "csv"].map(|format| world.run(&["observations", "--format", format]).stdout)
    };
    assert_eq!(documents(), documents());
}

#[test]
fn an_update_in_place_becomes_a_revision() {
    let world = World::new();
    let (user, patient) = world.patient();
    let moment = world.now.minus(HOUR);
    world.sim.put(&user, moment, 60.0);
    world.created();
    let before = world.documents(&patient);
    world.sim.put(&user, moment, 64.5);
    assert_eq!(world.created(), 0);
    assert_eq!(world.kept(&patient), [(moment, 64.5)]);
    let after = world.documents(&patient);
    assert_eq!(before[0]["header"]["uuid"], after[0]["header"]["uuid"]);
    let fhir = world.run(&["observations", "--format", "fhir"]).stdout;
    let resource: serde_json::Value = serde_json::from_str(fhir.trim()).unwrap();
    assert_eq!(resource["status"], "corrected");
    assert!(resource["identifier"][0]["value"].as_str().unwrap().ends_with("#r1"));
}

#[test]
fn a_renamed_device_does_not_duplicate_its_samples() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR * 5), world.now, FIVE_MINUTES, 1);
    assert_eq!(world.created(), 60);
    world.sim.rename_device(&user, None, Some("Ring 4"));
    assert_eq!(world.created(), 0);
    // A sample under the new name is new; a correction of an old sample is a revision of it.
    let corrected = world.sim.heart_rates(&user)[0].0;
    world.sim.put_row(&user, Row::heart_rate(corrected, 99.0).with_device("Ring 4"));
    world.sim.put_row(&user, Row::heart_rate(world.now, 70.0).with_device("Ring 4"));
    world.pass(FIVE_MINUTES);
    assert_eq!(world.created(), 1);
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn a_second_device_whose_values_sometimes_agree_is_not_taken_for_the_first() {
    let world = World::new();
    let (user, patient) = world.patient();
    let times: Vec<_> = (1..=9).map(|hours| world.now.minus(HOUR * hours / 2)).collect();
    for at in &times {
        world.sim.put(&user, *at, 60.0);
    }
    world.created();
    // OW purges the first device's rows, and a watch delivers its own at the same instants.
    for (number, at) in (0_u8..).zip(&times) {
        world.sim.remove_at(&user, *at);
        let value = if number == 4 { 60.0 } else { 70.0 };
        world.sim.put_row(&user, Row::heart_rate(*at, value).with_device("Watch"));
    }
    assert_eq!(world.created(), 9);
    assert_eq!(world.kept(&patient).len(), 18);
}

#[test]
fn a_relinked_patient_keeps_one_history() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    world.created();
    world.run(&["patient", "unlink", &patient]);
    let other = world.sim.add_user();
    world.sim.fill(&other, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    let asked = world.run(&["patient", "link", &patient, "--ow-user", &other]);
    assert_eq!(asked.code, 2);
    assert!(asked.stderr.contains("--same-person") && asked.stderr.contains("--mistake"), "{asked:?}");
    let linked = world.run(&["patient", "link", &patient, "--ow-user", &other, "--same-person"]);
    assert_eq!(linked.code, 0, "{linked:?}");
    assert_eq!(world.created(), 0);
    assert_eq!(world.kept(&patient).len(), 12);
}

#[test]
fn a_new_link_continues_where_the_old_one_ended() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.created();
    world.run(&["patient", "unlink", &patient]);
    let parted = world.now;
    world.pass(DAY * 5);
    world.sim.fill(&user, parted, world.now, HOUR, 1);
    world.run(&["patient", "link", &patient, "--ow-user", &user]);
    assert_eq!(world.created(), 120);
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn data_of_a_mistaken_link_is_set_aside() {
    let world = World::new();
    let (wrong, patient) = world.patient();
    world.sim.put(&wrong, world.now.minus(HOUR), 60.0);
    world.created();
    world.run(&["patient", "unlink", &patient]);
    let right = world.sim.add_user();
    world.sim.put(&right, world.now.minus(HOUR), 70.0);
    world.run(&["patient", "link", &patient, "--ow-user", &right, "--mistake"]);
    assert_eq!(world.created(), 1);
    assert_eq!(world.kept(&patient), [(world.now.minus(HOUR), 70.0)]);
}

#[test]
fn an_ow_user_belongs_to_one_patient() {
    let world = World::new();
    let (user, patient) = world.patient();
    let second = world.run(&["patient", "add", "--name", "B", "--ow-user", &user]);
    assert_eq!(second.code, 2);
    assert!(second.stderr.contains(&format!("linked to patient {patient}")), "{second:?}");
    assert_eq!(world.run(&["patient", "list"]).stdout.lines().count(), 1, "nothing was written");
}
