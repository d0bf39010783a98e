//! Hinted reads do not replace ticks, do not count as ticks, and lose no data.

use std::time::Duration;

use jhe_ow::simulator::fault::Fault;
use jhe_ow::simulator::sync_run::SimulatedRun;

use crate::support::harness::*;
use crate::support::hints::*;
use crate::support::running_daemon::*;

#[test]
fn a_hinted_read_yields_to_a_tick() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    let (user, patient) = world.patient();
    let served = served(&world, "1s", &user, &[]);
    let before = world.pages_of(&user);
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    world.sim.set_fault(&user, Some(Fault::Hang));
    world.sim.add_run(SimulatedRun::pull(&user, world.now));
    until("the hint has started a read", || world.pages_of(&user) > before);
    world.sim.set_fault(&user, None);
    let ran = world.poll();
    assert_eq!((ran.code, ran.created()), (0, 1), "{ran:?}");
    assert_eq!(world.kept(&patient).len(), 1);
    // The interrupted read is repeated.
    let read = world.pages_of(&user);
    until("the hint is followed after the poll", || world.pages_of(&user) > read);
    let said = served.stop("TERM").stderr;
    assert!(!said.contains("did not answer in time"), "the read yielded the lock before its timeout: {said}");
}

#[test]
fn the_daemons_own_tick_is_not_skipped_during_a_hinted_read() {
    let mut world = World::new();
    world.set("JHE_OW_OW_TIMEOUT", "30s");
    let (user, _) = world.patient();
    let (other, _) = world.patient();
    world.setting("ow.poll_interval", "4s");
    world.setting("ow.hints", "1s");
    let served = Served::start(&world);
    until("the first tick has ended", || {
        world.pages_of(&other) > 0 && world.lock().is_empty() && lists(&world) > 1
    });
    let (before, before_other) = (world.pages_of(&user), world.pages_of(&other));
    world.sim.set_fault(&user, Some(Fault::Hang));
    world.sim.add_run(SimulatedRun::pull(&user, world.now));
    until("the hint has started a read", || world.pages_of(&user) > before);
    world.sim.set_fault(&user, None);
    until("the next tick reads the patient without a hint", || world.pages_of(&other) > before_other);
    let said = served.stop("TERM").stderr;
    assert!(!said.contains("ow_poll skipped"), "{said}");
}

#[test]
fn a_skipped_tick_does_not_count_as_ended() {
    let world = World::new();
    let (user, _) = world.patient();
    world.setting("ow.poll_interval", "1s");
    world.setting("ow.hints", "off");
    let hands = Hands::new(&world);
    let served = Served::with(&world, &[("JHE_OW_CLOCK", &hands.variable())]);
    let operator = served.operator(&world);
    until("a tick has ended", || {
        world.pages_of(&user) > 0 && operator.get("/admin/system").body.contains("OW poll complete")
    });
    // Taken between two ticks, so that no tick loses it.
    until("the test holds the lock", || {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.busy_timeout(FIVE_MINUTES).unwrap();
        let take = "INSERT OR IGNORE INTO settings VALUES ('ow.sync_in_progress', ?)";
        db.execute(take, [world.now.to_string()]).unwrap() == 1
    });
    let says = |what: &str| operator.get("/admin/system").body.contains(what);
    until("a tick was skipped", || says("ow_poll skipped"));
    let later = world.now.plus(FIVE_MINUTES);
    hands.set(later);
    world.setting("ow.sync_in_progress", &later.to_string());
    until("another tick was skipped", || {
        says(&format!("ow_poll skipped: ow.sync_in_progress since {later}"))
    });
    let (status, body) = get(served.port, "/readyz", &[]).unwrap();
    assert_eq!(status, 503);
    assert!(body.contains("the last tick ended 300 s ago"), "{body}");
    assert!(says("OW poll complete"), "the page still shows the result of the last complete tick");
    world.setting("ow.sync_in_progress", "");
    until("the daemon is ready again", || get(served.port, "/readyz", &[]).unwrap().0 == 200);
    until("the skipped tick is no longer shown", || !says("ow_poll skipped"));
    served.stop("TERM");
}

#[test]
fn only_ticks_count_for_the_state_of_ticks() {
    let world = World::new();
    let (user, patient) = world.patient();
    for _ in 0..4 {
        world.sim.set_fault(&world.patient().0, Some(Fault::Garbage));
    }
    let served = served(&world, "1s", &user, &[]);
    let number = |query: &str| -> i64 {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.query_row(query, [], |row| row.get(0)).unwrap()
    };
    until("the tick has ended", || {
        number("SELECT count(*) FROM runs WHERE kind = 'tick' AND ended_at > 0") == 1
    });
    let ticks = || number("SELECT sum(ticks) FROM hourly_counters");
    let before = ticks();
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    world.sim.add_run(SimulatedRun::pull(&user, world.now));
    until("the sample is stored", || world.kept(&patient).len() == 1);
    until("the end of the hinted read is recorded", || {
        number("SELECT count(*) FROM runs WHERE kind = 'part' AND ended_at > 0 AND created = 1") == 1
    });
    let doctor = || world.run(&["doctor"]).stdout;
    let of_ticks = "in error in the last tick: 4 of 5 patients";
    assert!(doctor().contains(of_ticks), "{}", doctor());
    world.sim.put(&user, world.now.minus(FIVE_MINUTES * 2), 61.0);
    assert_eq!(world.run(&["poll", "--patient-id", &patient]).created(), 1);
    assert!(doctor().contains(of_ticks), "a poll of one patient does not count as a tick");
    assert_eq!(ticks(), before);
    assert_eq!(number("SELECT sum(created) FROM hourly_counters"), 2, "the samples of both count");
    served.stop("TERM");
}

#[test]
fn a_failed_hinted_read_is_tried_again() {
    let world = World::new();
    let (user, patient) = world.patient();
    let hands = Hands::new(&world);
    let served = served(&world, "1s", &user, &[("JHE_OW_CLOCK", &hands.variable())]);
    let before = world.pages_of(&user);
    world.sim.set_fault(&user, Some(Fault::Status(503)));
    world.sim.put(&user, world.now.minus(FIVE_MINUTES), 60.0);
    world.sim.add_run(SimulatedRun::pull(&user, world.now));
    until("OW answers three times with an error", || world.pages_of(&user) > before + 2);
    until("the read has ended", || world.lock().is_empty());
    world.sim.set_fault(&user, None);
    hands.set(world.now.plus(Duration::from_mins(1)));
    until("the sample is stored", || world.kept(&patient).len() == 1);
    served.stop("TERM");
}

#[test]
fn a_hinted_read_does_not_replace_a_due_sweep() {
    let world = World::new();
    let (user, patient) = world.patient();
    let hands = Hands::new(&world);
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let served = served(&world, "1s", &user, &[("JHE_OW_CLOCK", &hands.variable())]);
    until("the first sample is stored", || world.kept(&patient).len() == 1);
    world.sim.put(&user, world.now.minus(DAY * 5), 61.0);
    // The daily read of a week is due; the next tick is an hour away.
    hands.set(world.now.plus(DAY));
    world.sim.add_run(SimulatedRun::pull(&user, world.now));
    until("the samples of the whole week are stored", || world.kept(&patient).len() == 2);
    served.stop("TERM");
}
