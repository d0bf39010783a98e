//! After a withdrawal, stored data is kept, hidden or erased as the setting says.

use std::time::Duration;

use jhe_ow::simulator::samples_table::Row;

use crate::support::connected_world::Scene;
use crate::support::erasure::*;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Counts a patient's rows in all tables, hidden or not.
fn in_tables(world: &World, patient: &str) -> i64 {
    let count =
        "SELECT count(*) FROM observations JOIN streams ON streams.id = stream_id WHERE patient_id = ";
    one(world, &format!("{count}{patient}"))
}

#[test]
fn withdrawn_data_is_kept_or_hidden_as_the_setting_says() {
    let mut world = World::new();
    let (_, patient, neighbour) = canaries(&world);
    let (kept, others) = (world.kept(&patient), world.kept(&neighbour));
    world.pass(HOUR);
    world.consent(&patient, "--withdraw");
    assert_eq!(world.kept(&patient), kept);
    world.setting("data.after_withdrawal", "hide");
    assert_eq!(world.kept(&patient), []);
    assert!(world.rejected().is_empty(), "rejected samples are hidden too");
    assert_eq!(world.kept(&neighbour), others);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let pages = [format!("/admin/patients/{patient}"), format!("/admin/patients/{patient}/observations")];
    let shows = |page: &String| operator.get(page).body.contains("62.8");
    assert!(!pages.iter().any(shows));
    world.consent(&patient, "--grant");
    assert!(pages.iter().any(shows), "precondition: the patient has rows");
    assert_eq!(world.kept(&patient), kept);
}

/// Creates a patient who withdrew after a day; returns the OW user and the number.
fn withdrawn(world: &mut World) -> (String, String) {
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR * 3), world.now, FIVE_MINUTES, 1);
    let unread = format!(r#"{{"timestamp":"{SAMPLE}","value":60.0}}"#);
    world.sim.put_verbatim(&user, world.now.minus(HOUR * 2), &unread);
    assert_eq!(world.created(), 36);
    assert_eq!(one::<i64>(world, "SELECT count(*) FROM rejected_samples"), 1);
    world.consent(&patient, "--withdraw");
    world.setting("data.after_withdrawal", "erase");
    world.setting("data.erase_after", "2d");
    // The erasure delay starts here.
    world.poll();
    (user, patient)
}

#[test]
fn withdrawn_data_is_erased_after_the_delay_and_never_fetched_again() {
    let mut world = World::new();
    let (other, neighbour) = world.patient();
    world.sim.fill(&other, world.now.minus(HOUR * 3), world.now, FIVE_MINUTES, 2);
    let _ = world.poll();
    let others = world.kept(&neighbour);
    let (user, patient) = withdrawn(&mut world);
    world.pass(DAY);
    world.poll();
    assert_eq!(
        (in_tables(&world, &patient), world.kept(&patient).len()),
        (36, 0),
        "the rows are hidden and not yet erased"
    );
    let mark = format!(
        "SELECT max(instant) FROM high_water_marks JOIN links ON links.id = link_id WHERE patient_id = {patient}"
    );
    let before: i64 = one(&world, &mark);
    world.pass(DAY);
    // Erasure also runs while polling is disabled.
    world.setting("module.ow", "false");
    world.poll();
    world.setting("module.ow", "true");
    assert_eq!(in_tables(&world, &patient), 0);
    assert_eq!(one::<i64>(&world, &format!("SELECT count(*) FROM streams WHERE patient_id = {patient}")), 0);
    assert_eq!(one::<i64>(&world, "SELECT count(*) FROM rejected_samples"), 0);
    assert_eq!(one::<i64>(&world, &mark), before, "the high-water mark never moves back");
    assert_eq!(world.kept(&neighbour), others);
    let audit = world.run(&["audit", "list"]).stdout;
    assert_eq!(audit.matches("daemon  data.erase").count(), 1, "{audit}");
    world.pass(HOUR);
    world.consent(&patient, "--grant");
    world.pass(HOUR);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 64.0);
    world.sim.forget_requests();
    assert_eq!(world.created(), 1);
    let ran = world.run(&["poll", "--window", "30d", "--patient-id", &patient]);
    assert!(ran.code == 0 && ran.created() == 0, "{ran:?}");
    assert_eq!(world.kept(&patient).len(), 1);
    world.pass(DAY * 9);
    world.poll();
    assert_eq!(world.kept(&patient).len(), 1, "the weekly sweeps do not fetch the data again");
    let asked = format!("/api/v1/users/{user}/timeseries");
    let requests = world.sim.requests();
    let is_early = |query: &str| {
        ["20", "21", "22"].iter().any(|day| query.contains(&format!("start_time=2026-11-{day}")))
    };
    assert!(requests.iter().filter(|seen| seen.path == asked).all(|seen| !is_early(&seen.query)));
}

#[test]
fn data_is_kept_when_consent_returns_in_time() {
    let mut world = World::new();
    let (_, patient) = withdrawn(&mut world);
    world.pass(DAY);
    world.consent(&patient, "--grant");
    world.pass(DAY * 2);
    world.poll();
    assert_eq!(world.kept(&patient).len(), 36);
    // The delay runs from the tick that records the last withdrawal.
    world.consent(&patient, "--withdraw");
    world.poll();
    world.pass(DAY);
    world.poll();
    assert_eq!(in_tables(&world, &patient), 36);
    world.pass(DAY + Duration::from_secs(1));
    world.poll();
    assert_eq!(in_tables(&world, &patient), 0);
}

#[test]
fn erasure_after_withdrawal_is_limited_to_its_scope() {
    let mut world = World::new();
    let steps = "omh:step-count:3.0";
    let (user, patient) = world.patient_of(&[HEART_RATE, steps], "UTC");
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let stamp = world.now.midnight().plus(HOUR * 4);
    world.sim.put_row(&user, Row::of("steps", stamp, 900.0).with_zone("+00:00").with_daily_total(true));
    assert_eq!(world.created(), 2);
    world.setting("data.after_withdrawal", "erase");
    world.setting("data.erase_after", "1h");
    world.consent(&patient, "--withdraw");
    world.poll();
    world.pass(HOUR);
    world.poll();
    let left: Vec<String> = world.table(&patient).into_iter().map(|line| line.series).collect();
    assert_eq!((left, in_tables(&world, &patient)), (vec!["steps".to_owned()], 1));
}

#[test]
fn unsent_withdrawn_data_is_erased_and_delivered_data_stays_at_jhe() {
    let mut scene = Scene::new();
    let (user, patient) = scene.patient(40001);
    scene.fill(&user, 3);
    scene.world.created();
    scene.export();
    scene.world.pass(HOUR);
    scene.fill(&user, 1);
    scene.world.created();
    scene.jhe.consent(40001, false, scene.world.now);
    scene.world.setting("data.after_withdrawal", "erase");
    scene.world.setting("data.erase_after", "1h");
    scene.world.pass(Duration::from_mins(5));
    scene.world.poll();
    assert!(one::<i64>(&scene.world, "SELECT count(*) FROM outbox") > 0, "the observations wait for consent");
    scene.world.pass(HOUR);
    scene.world.poll();
    assert_eq!(in_tables(&scene.world, &patient), 0);
    assert_eq!(one::<i64>(&scene.world, "SELECT count(*) FROM outbox"), 0);
    assert_eq!(orphans(&scene.world), 0);
    assert_eq!(scene.jhe.instants(40001).len(), 36);
}
