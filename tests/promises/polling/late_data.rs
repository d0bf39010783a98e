//! Data that a device syncs late arrives, however late.

use jhe_ow::simulator::samples_table::Row;

use crate::support::harness::*;

#[test]
fn samples_synced_late_arrive_with_the_next_tick() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    world.created();
    world.pass(FIVE_MINUTES * 3);
    // Twenty samples of two to three hours ago, before the high-water mark.
    let from = world.now.minus(HOUR * 3);
    assert_eq!(world.sim.fill(&user, from, from.plus(HOUR), HOUR / 20, 1), 20);
    assert_eq!(world.created(), 20);
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn nine_offline_days_of_a_ring_arrive_with_its_next_sync() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    world.created();
    let parted = world.now;
    for _ in 0..18 {
        world.pass(HOUR * 12);
        assert_eq!(world.created(), 0);
    }
    world.sim.fill(&user, parted, world.now, FIVE_MINUTES, 1);
    world.pass(FIVE_MINUTES);
    assert_eq!(world.created(), 9 * 288);
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn samples_that_sync_days_late_arrive_within_a_day() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    world.created();
    world.sim.put(&user, world.now.minus(DAY * 5), 60.0);
    for _ in 0..25 {
        world.pass(HOUR);
        world.created();
    }
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn samples_that_sync_weeks_late_arrive_within_a_week() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    world.created();
    world.sim.put(&user, world.now.minus(DAY * 27), 60.0);
    for _ in 0..8 {
        world.pass(DAY);
        world.created();
    }
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn samples_ow_missed_are_fetched_by_the_daily_historical_sync() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.created();
    world.sim.put_unsynced(&user, Row::heart_rate(world.now.minus(HOUR * 20), 60.0));
    assert_eq!(world.created(), 0, "one request per day");
    world.pass(DAY);
    world.created();
    world.pass(FIVE_MINUTES);
    world.created();
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
    let asked = world.sim.requests().iter().filter(|seen| seen.method == "POST").count();
    assert_eq!(asked, 2, "one request for each of two days");
}

#[test]
fn a_failed_historical_sync_is_retried_and_stops_no_read() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.sim.set_queue_broken(true);
    let ran = world.poll();
    assert_eq!((ran.code, ran.created()), (0, 1), "{ran:?}");
    assert!(ran.stderr.contains("OW could not be asked to fetch late data"), "{ran:?}");
    world.sim.set_queue_broken(false);
    world.sim.put_unsynced(&user, Row::heart_rate(world.now.minus(HOUR * 2), 61.0));
    assert_eq!(world.created(), 1, "the daily read is still due");
}

#[test]
fn the_daily_historical_sync_can_be_switched_off() {
    let world = World::new();
    world.setting("ow.daily_historical_sync", "false");
    world.patient();
    world.created();
    assert!(world.sim.requests().iter().all(|seen| seen.method == "GET"));
}
