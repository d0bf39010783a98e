//! Historical ranges that OW has synced are read to their end, across restarts and failures.

use std::time::Duration;

use jhe_ow::common::time::Timestamp;
use jhe_ow::simulator::fault::Fault;
use jhe_ow::simulator::sync_run::SimulatedRun;

use crate::support::harness::*;
use crate::support::hints::*;
use crate::support::running_daemon::*;

/// Returns a backfill of OW that begins at `from`.
fn backfill(user: &str, from: Option<Timestamp>, at: Timestamp) -> SimulatedRun {
    SimulatedRun { source: "backfill".into(), from, ..SimulatedRun::pull(user, at) }
}

/// Creates a patient for whom OW synced two months while no daemon ran.
fn synced_while_down() -> (World, String, String) {
    let world = World::new();
    let (user, patient) = patient_with_a_past(&world);
    world.setting("ow.poll_interval", "1h");
    world.setting("ow.hints", "1s");
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    assert_eq!(world.created(), 1);
    world.sim.put(&user, world.now.minus(DAY * 60), 61.0);
    world.sim.add_run(backfill(&user, Some(world.now.minus(DAY * 61)), world.now));
    (world, user, patient)
}

/// Waits until OW got this many more requests for its list.
fn listed(world: &World, times: usize) {
    let before = lists(world);
    until("the list of sync runs is requested again", || lists(world) > before + times);
}

#[test]
fn a_backfill_at_ow_triggers_a_historical_read() {
    let world = World::new();
    let (user, patient) = patient_with_a_past(&world);
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let hands = Hands::new(&world);
    let served = served(&world, "1s", &user, &[("JHE_OW_CLOCK", &hands.variable())]);
    until("the first sample is stored", || world.kept(&patient).len() == 1);
    world.sim.put(&user, world.now.minus(DAY * 20), 61.0);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 62.0);
    world.sim.add_run(SimulatedRun::pull(&user, world.now));
    until("the new sample is stored", || world.kept(&patient).len() == 2);
    hands.set(world.now.plus(Duration::from_mins(1)));
    world.sim.add_run(backfill(&user, Some(world.now.minus(DAY * 20 + HOUR)), world.now));
    until("the historical samples are stored", || world.kept(&patient).len() == 3);
    assert_eq!(
        [21, 35].map(|days| reads_of(&world, &user, days)),
        [0, 0],
        "no read goes further back than OW's sync"
    );
    hands.set(world.now.plus(Duration::from_mins(2)));
    world.sim.put(&user, world.now.minus(DAY * 30), 63.0);
    world.sim.add_run(backfill(&user, None, world.now));
    until("five weeks are read if OW does not name a range", || world.kept(&patient).len() == 4);
    served.stop("TERM");
}

#[test]
fn ranges_synced_while_the_daemon_was_down_are_read_once() {
    let (mut world, user, patient) = synced_while_down();
    let served = Served::start(&world);
    until_all_reads_are_done(&world);
    assert_eq!(world.kept(&patient).len(), 2);
    listed(&world, 2);
    assert_eq!(reads_of(&world, &user, 61), 1);
    served.stop("TERM");
    world.pass(HOUR);
    let served = Served::start(&world);
    listed(&world, 3);
    until("the tick has ended", || world.lock().is_empty());
    // After an hour, a repeated read of the range would begin on the same day.
    assert_eq!(reads_of(&world, &user, 61), 1, "a restart does not repeat the read");
    served.stop("TERM");
}

#[test]
fn a_failed_historical_read_is_tried_again() {
    let (world, user, patient) = synced_while_down();
    let hands = Hands::new(&world);
    world.sim.set_fault(&user, Some(Fault::Status(503)));
    let served = Served::with(&world, &[("JHE_OW_CLOCK", &hands.variable())]);
    until("the range is requested", || reads_of(&world, &user, 61) > 2);
    until("the read has ended", || world.lock().is_empty());
    world.sim.set_fault(&user, None);
    assert_eq!(world.kept(&patient).len(), 1);
    hands.set(world.now.plus(Duration::from_mins(2)));
    until("the historical samples are stored", || world.kept(&patient).len() == 2);
    served.stop("TERM");
}

#[test]
fn pending_reads_survive_a_kill_and_the_end_of_ows_list() {
    let (mut world, user, patient) = synced_while_down();
    world.sim.set_fault(&user, Some(Fault::Hang));
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    let served = Served::start(&world);
    until("OW got the request", || world.pages_of(&user) > 0);
    let is_noted = || {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.query_row("SELECT count(*) FROM historical_reads", [], |row| row.get::<_, i64>(0)).unwrap() == 1
    };
    until("the historical read is scheduled", is_noted);
    served.running.signal("KILL");
    served.running.wait();
    world.sim.set_fault(&user, None);
    world.pass(HOUR * 25);
    let served = Served::start(&world);
    until("the historical samples are stored", || world.kept(&patient).len() == 2);
    served.stop("TERM");
}

#[test]
fn many_later_sync_runs_do_not_hide_a_backfill() {
    let (world, _, patient) = synced_while_down();
    let other = world.sim.add_user();
    for _ in 0..500 {
        world.sim.add_run(SimulatedRun::pull(&other, world.now.plus(Duration::from_secs(1))));
    }
    let served = Served::start(&world);
    until("the historical samples are stored", || world.kept(&patient).len() == 2);
    served.stop("TERM");
}

#[test]
fn a_patient_linked_later_gets_the_ranges_ow_synced_before() {
    let (world, _, _) = synced_while_down();
    let user = world.sim.add_user();
    world.sim.put(&user, world.now.minus(DAY * 60), 61.0);
    world.sim.add_run(backfill(&user, Some(world.now.minus(DAY * 61)), world.now));
    let served = Served::start(&world);
    listed(&world, 1);
    world.setting("ow.first_connect_window", "366d");
    let ran = world.run(&["patient", "add", "--name", "B", "--ow-user", &user]);
    let patient = ran.stdout.trim().to_owned();
    listed(&world, 1);
    assert_eq!(world.pages_of(&user), 0, "nothing is read without consent");
    world.consent(&patient, "--grant");
    until("the historical samples are stored", || world.kept(&patient).len() == 1);
    served.stop("TERM");
}

#[test]
fn a_long_past_is_read_in_slices() {
    let (world, user, patient) = synced_while_down();
    let dense = world.now.minus(DAY * 50);
    world.sim.fill(&user, dense, dense.plus(DAY * 20), HOUR, 1);
    let served = Served::start(&world);
    until_all_reads_are_done(&world);
    assert_eq!(world.kept(&patient).len(), 2 + 20 * 24);
    served.stop("TERM");
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let runs: i64 = db
        .query_row("SELECT count(*) FROM runs WHERE kind = 'backfill' AND ended_at IS NOT NULL", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(runs, 1);
    // Each slice begins a week after the previous one.
    let weeks = [61, 54, 47, 40, 33, 26, 19, 12, 5].map(|days| reads_of(&world, &user, days).min(1));
    assert_eq!(weeks, [1; 9]);
}

#[test]
fn a_historical_sync_reaches_back_as_far_as_the_patient_agreed_to() {
    let world = World::new();
    world.setting("ow.first_connect_window", "3d");
    let (user, patient) = world.patient();
    // OW fetches 90 days by itself; the changed setting applies to later patients.
    world.setting("ow.first_connect_window", "90d");
    world.sim.fill(&user, world.now.minus(DAY * 90), world.now, HOUR, 1);
    world.sim.add_run(backfill(&user, Some(world.now.minus(DAY * 90)), world.now));
    let served = served(&world, "1s", &user, &[]);
    until_all_reads_are_done(&world);
    served.stop("TERM");
    let first = world.kept(&patient)[0].0;
    assert!(first >= world.now.minus(DAY * 3) && first < world.now.minus(HOUR * 70), "{first}");
}
