//! Every sample that OW has is read: windows leave no gap, and every page is read.

use crate::support::harness::*;

#[test]
fn a_rings_288_samples_of_a_day_arrive_whole() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    assert_eq!(world.created(), 288);
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn the_page_size_follows_what_ow_accepts() {
    let world = World::new();
    world.sim.set_page_cap(1000);
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    assert_eq!(world.created(), 288);
    assert_eq!((world.pages_of(&user), world.kept(&patient).len()), (1, 288));
}

#[test]
fn smaller_pages_of_nights_do_not_shrink_the_pages_of_samples() {
    let world = World::new();
    world.sim.set_page_cap(1000);
    let (user, _) = world.patient_of(&[HEART_RATE, "omh:sleep-episode:1.1"], "UTC");
    world.sim.fill(&user, world.now.minus(DAY * 14), world.now, FIVE_MINUTES, 1);
    assert_eq!(world.run(&["poll", "--window", "14d"]).created(), 14 * 288);
    assert_eq!(world.pages_of(&user), 6, "three pages for each of two weeks");
}

#[test]
fn a_dense_sensor_is_read_to_its_last_page() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR * 2), world.now, std::time::Duration::from_secs(3), 1);
    assert_eq!(world.created(), 2400);
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn an_outage_of_days_leaves_no_hole() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    world.created();
    let before = world.now;
    world.pass(DAY * 9);
    world.sim.fill(&user, before, world.now, FIVE_MINUTES, 1);
    assert_eq!(world.created(), 9 * 288);
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn a_window_that_ends_at_midnight_ends_there() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    let midnight = at("2026-11-22T00:00:00Z");
    world.pass(midnight.since(world.now));
    world.sim.fill(&user, midnight.minus(DAY), midnight.plus(DAY), FIVE_MINUTES, 1);
    assert_eq!(world.created(), 288, "the following day is not requested");
    assert!(world.kept(&patient).iter().all(|(at, _)| *at < midnight));
    let ends: Vec<_> =
        world.sim.requests().iter().filter(|seen| seen.query.contains("end_time")).cloned().collect();
    assert!(
        ends.iter().all(|seen| seen.query.contains("end_time=2026-11-22T01%3A00%3A00%2B01%3A00")),
        "{ends:?}"
    );
}

#[test]
fn patients_are_read_several_at_a_time_and_no_more_than_the_setting_says() {
    let world = World::new();
    world.setting("ow.concurrency", "3");
    for _ in 0..9 {
        let (user, _) = world.patient();
        world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    }
    world.sim.set_latency(std::time::Duration::from_millis(20));
    assert_eq!(world.created(), 9 * 288);
    assert_eq!(world.sim.max_in_flight(), 3);
}

#[test]
fn two_devices_at_one_instant_are_two_observations() {
    let world = World::new();
    let (user, patient) = world.patient();
    let moment = world.now.minus(HOUR);
    world.sim.put(&user, moment, 60.0);
    world
        .sim
        .put_row(&user, jhe_ow::simulator::samples_table::Row::heart_rate(moment, 61.0).with_device("Watch"));
    assert_eq!(world.created(), 2);
    assert_eq!(world.kept(&patient).len(), 2);
}

#[test]
fn the_mark_waits_for_the_slower_of_two_devices() {
    use jhe_ow::simulator::samples_table::Row;
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.sim.put_row(&user, Row::heart_rate(world.now.minus(HOUR), 61.0).with_device("Watch"));
    world.created();
    let parted = world.now;
    // The ring continues; the watch syncs two days at once, far behind the ring's high-water mark.
    for hours in 1..=48 {
        world.sim.put(&user, parted.plus(HOUR * hours), 62.0);
    }
    world.pass(DAY * 2 + HOUR);
    assert_eq!(world.created(), 48);
    world.sim.put_row(&user, Row::heart_rate(parted.plus(HOUR * 3), 63.0).with_device("Watch"));
    world.pass(FIVE_MINUTES);
    assert_eq!(world.created(), 1);
    assert_eq!(world.kept(&patient).len(), 51);
}
