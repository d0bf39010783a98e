//! OW updates values in place. JHE gets a correction once, after the value has been unchanged long enough.

use std::time::Duration;

use jhe_ow::common::time::Timestamp;

use crate::support::connected_world::Scene;
use crate::support::fake_jhe::*;
use crate::support::harness::*;

const MINUTE: Duration = Duration::from_mins(1);
/// The time that a value must stay unchanged before its correction is sent.
const STILL: Duration = Duration::from_hours(6);
const NEARLY_STILL: Duration = Duration::from_mins(6 * 60 - 1);
const NEARLY_TWO_DAYS: Duration = Duration::from_mins(48 * 60 - 1);

const NONE: [f64; 0] = [];

/// Stores and delivers one sample; returns the user, its instant, and our patient number.
fn delivered(scene: &mut Scene, value: f64) -> (String, Timestamp, String) {
    let (user, patient) = scene.patient(40001);
    let at = scene.world.now.minus(HOUR);
    change(scene, &user, at, value);
    scene.export();
    assert_eq!(values(scene), [value]);
    (user, at, patient)
}

/// Changes the value at OW and polls.
fn change(scene: &mut Scene, user: &str, at: Timestamp, value: f64) {
    scene.world.sim.put(user, at, value);
    assert_eq!(scene.world.poll().code, 0);
}

/// Returns the values that JHE received, newest last.
fn values(scene: &Scene) -> Vec<f64> {
    scene.jhe.state().kept.iter().map(Kept::value).collect()
}

fn names(scene: &Scene) -> Vec<String> {
    scene.jhe.state().kept.iter().map(|kept| kept.identifier.1.clone()).collect()
}

/// Passes time and exports; returns the values at JHE.
fn values_after(scene: &mut Scene, later: Duration) -> Vec<f64> {
    scene.world.pass(later);
    scene.export();
    values(scene)
}

#[test]
fn a_correction_is_sent_after_six_hours_unchanged() {
    let mut scene = Scene::new();
    let (user, at, _) = delivered(&mut scene, 60.0);
    change(&mut scene, &user, at, 61.0);
    assert_eq!(values_after(&mut scene, NEARLY_STILL), [60.0]);
    change(&mut scene, &user, at, 62.0);
    assert_eq!(values_after(&mut scene, NEARLY_STILL), [60.0], "a new change restarts the wait");
    assert_eq!(values_after(&mut scene, MINUTE), [60.0, 62.0]);
    let names = names(&scene);
    assert_eq!(names[1], format!("{}#r2", names[0]), "the first revision keeps its identifier");
    assert_eq!(values_after(&mut scene, DAY), [60.0, 62.0]);
}

#[test]
fn a_value_that_changed_and_changed_back_is_not_sent() {
    let mut scene = Scene::new();
    let (user, at, patient) = delivered(&mut scene, 60.0);
    change(&mut scene, &user, at, 61.0);
    scene.world.pass(HOUR);
    change(&mut scene, &user, at, 60.0);
    assert_eq!(values_after(&mut scene, DAY), [60.0]);
    assert_eq!(scene.world.kept(&patient), [(at, 60.0)]);
    let all = scene.world.run(&["export", "--all"]);
    assert!(all.stdout.contains("Queued 1") && all.stdout.contains("Delivered 1"), "{all:?}");
    assert_eq!(values(&scene), [60.0], "a resent observation keeps its identifier");
    change(&mut scene, &user, at, 63.0);
    assert_eq!(values_after(&mut scene, STILL), [60.0, 63.0]);
}

#[test]
fn a_first_value_replaced_before_delivery_is_never_sent() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    let at = scene.world.now.minus(HOUR);
    change(&mut scene, &user, at, 60.0);
    change(&mut scene, &user, at, 61.0);
    assert_eq!(values_after(&mut scene, NEARLY_STILL), NONE);
    change(&mut scene, &user, at, 60.0);
    assert_eq!(
        values_after(&mut scene, NEARLY_STILL),
        NONE,
        "JHE never received the first value, so the second is sent as new"
    );
    assert_eq!(values_after(&mut scene, MINUTE), [60.0]);
    assert!(names(&scene)[0].ends_with("#r2"));
}

#[test]
fn a_daily_total_is_sent_after_two_days_unchanged() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    let at = scene.world.now.minus(HOUR);
    let total = |scene: &Scene, value: f64| {
        let record = format!(
            r#"{{"timestamp":"{at}","zone_offset":null,"type":"heart_rate","value":{value:?},"unit":"bpm","source":{{"provider":"oura","source":"oura","device":null}},"is_daily_total":true}}"#
        );
        scene.world.sim.put_verbatim(&user, at, &record);
        assert_eq!(scene.world.poll().code, 0);
    };
    total(&scene, 60.0);
    assert_eq!(values_after(&mut scene, DAY), NONE);
    total(&scene, 61.0);
    assert_eq!(values_after(&mut scene, NEARLY_TWO_DAYS), NONE);
    assert_eq!(values_after(&mut scene, MINUTE), [61.0]);
    total(&scene, 62.0);
    assert_eq!(values_after(&mut scene, NEARLY_TWO_DAYS), [61.0]);
    assert_eq!(values_after(&mut scene, MINUTE), [61.0, 62.0]);
}

#[test]
fn an_ambiguous_delivery_is_resolved_before_its_correction_is_sent() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    let at = scene.world.now.minus(HOUR);
    change(&mut scene, &user, at, 60.0);
    scene.jhe.state().faults.extend([Fault::Lost]);
    scene.export();
    change(&mut scene, &user, at, 61.0);
    // JHE may have the first value; the lost answer must not let the second value overtake it.
    scene.jhe.state().faults.extend([Fault::Status(502), Fault::Status(502)]);
    assert_eq!(values_after(&mut scene, STILL), [60.0]);
    assert_eq!(values_after(&mut scene, HOUR), [60.0]);
    assert_eq!(values_after(&mut scene, HOUR), [60.0, 61.0]);
    assert_eq!(scene.jhe.state().batches, [1, 1, 1, 1]);
}

#[test]
fn a_new_consent_does_not_shorten_the_wait_of_a_correction() {
    let mut scene = Scene::new();
    let (user, at, _) = delivered(&mut scene, 60.0);
    change(&mut scene, &user, at, 61.0);
    for consents in [false, true] {
        scene.world.pass(MINUTE * 5);
        scene.jhe.consent(40001, consents, scene.world.now);
        scene.export();
        scene.world.poll();
    }
    assert_eq!(values_after(&mut scene, Duration::from_mins(6 * 60 - 11)), [60.0]);
    assert_eq!(values_after(&mut scene, MINUTE), [60.0, 61.0]);
}

#[test]
fn an_observation_parked_for_configuration_is_replaced_by_its_correction() {
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    let at = scene.world.now.minus(HOUR);
    change(&mut scene, &user, at, 60.0);
    scene.jhe.state().has_oura = false;
    scene.export();
    change(&mut scene, &user, at, 61.0);
    scene.jhe.state().has_oura = true;
    assert_eq!(values_after(&mut scene, NEARLY_STILL), NONE);
    assert_eq!(values_after(&mut scene, MINUTE), [61.0]);
}

#[test]
fn a_rejected_value_is_superseded_and_tried_again_when_it_returns() {
    let mut scene = Scene::new();
    let (user, at, _) = delivered(&mut scene, 60.0);
    scene.jhe.state().refused.push(199.0);
    change(&mut scene, &user, at, 199.0);
    scene.world.pass(STILL);
    assert!(scene.export().stdout.contains("refused 1"));
    change(&mut scene, &user, at, 61.0);
    assert!(scene.world.run(&["export", "--retry-dead"]).stdout.contains("Queued 0"));
    scene.jhe.state().refused.clear();
    change(&mut scene, &user, at, 199.0);
    assert_eq!(values_after(&mut scene, STILL), [60.0, 199.0]);
}

#[test]
fn export_all_neither_hastens_nor_hides_a_correction() {
    let mut scene = Scene::new();
    let (user, at, _) = delivered(&mut scene, 60.0);
    let all = |scene: &Scene| scene.world.run(&["export", "--all"]).stdout;
    change(&mut scene, &user, at, 61.0);
    assert!(all(&scene).contains("Queued 0"), "the observation is queued");
    assert_eq!(values_after(&mut scene, STILL), [60.0, 61.0]);
    // The first value is queued again while JHE is busy, then replaced before delivery. JHE still has 61.
    scene.jhe.state().faults.extend([Fault::Busy("60")]);
    assert!(all(&scene).contains("Queued 1"));
    change(&mut scene, &user, at, 60.0);
    assert_eq!(values_after(&mut scene, STILL), [60.0, 61.0, 60.0]);
}

#[test]
fn a_changed_zone_offset_is_a_correction() {
    use jhe_ow::simulator::samples_table::Row;
    let mut scene = Scene::new();
    let (user, _) = scene.patient(40001);
    let at = scene.world.now.minus(HOUR);
    for zone in ["+01:00", "+02:00"] {
        scene.world.sim.put_row(&user, Row::heart_rate(at, 60.0).with_zone(zone));
        scene.world.poll();
        scene.world.pass(STILL);
        scene.export();
    }
    let written = |kept: &Kept| kept.document["body"]["effective_time_frame"]["date_time"].to_string();
    let written: Vec<String> = scene.jhe.state().kept.iter().map(written).collect();
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(written[0].contains("+01:00") && written[1].contains("+02:00"), "{written:?}");
}
