//! One tick at a time; a tick that loses the lock ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jhe_ow::simulator::fault::Fault;

use crate::support::harness::*;

#[test]
fn a_tick_is_skipped_while_the_lock_is_fresh() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    let since = world.now.minus(Duration::from_mins(29)).to_string();
    world.setting("ow.sync_in_progress", &since);
    let ran = world.poll();
    assert_eq!(
        (ran.code, ran.stdout.trim()),
        (0, format!("ow_poll skipped: ow.sync_in_progress since {since}").as_str())
    );
    assert_eq!(world.lock(), since, "the lock is unchanged");
    assert!(world.sim.requests().is_empty());
}

#[test]
fn a_stale_or_unreadable_timestamp_is_reclaimed_with_a_warning() {
    let world = World::new();
    let (user, _) = world.patient();
    let stale = world.now.minus(Duration::from_mins(31)).to_string();
    for (hour, value) in [(1, stale.as_str()), (2, "yes")] {
        world.sim.put(&user, world.now.minus(HOUR * hour), 60.0);
        let db = rusqlite::Connection::open(world.database()).unwrap();
        db.execute("INSERT OR REPLACE INTO settings VALUES ('ow.sync_in_progress', ?)", [value]).unwrap();
        let ran = world.poll();
        assert_eq!((ran.code, ran.created()), (0, 1), "{ran:?}");
        assert!(ran.stderr.contains("reclaimed"), "{ran:?}");
        assert_eq!(world.lock(), "");
    }
}

#[test]
fn the_lock_of_a_killed_process_is_reclaimed_at_once() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.sim.set_fault(&user, Some(Fault::Hang));
    let running = world.start(&["poll"]);
    until("OW got the request", || world.pages_of(&user) > 0);
    assert_ne!(world.lock(), "");
    assert!(world.poll().stdout.contains("skipped"), "the lock of a live process is honoured");
    running.signal("KILL");
    running.wait();
    world.sim.set_fault(&user, None);
    assert_eq!(world.created(), 1);
}

#[test]
fn a_tick_whose_lock_was_taken_over_ends() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    let (database, stolen) = (world.database(), world.now.plus(Duration::from_mins(1)).to_string());
    let once = AtomicBool::new(true);
    let theirs = stolen.clone();
    world.sim.on_page(move |_, _| {
        if once.swap(false, Ordering::SeqCst) {
            let db = rusqlite::Connection::open(&database).unwrap();
            db.execute("UPDATE settings SET value = ? WHERE key = 'ow.sync_in_progress'", [&theirs]).unwrap();
        }
    });
    let ran = world.poll();
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("ow_poll aborted: the lock ow.sync_in_progress was taken"), "{ran:?}");
    assert_eq!(world.kept(&patient), [], "the process that lost its lock writes nothing");
    assert_eq!(world.lock(), stolen, "the process that lost its lock does not release the new one");
}

#[test]
fn a_lock_cleared_by_hand_ends_the_tick_too() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.sim.set_fault(&user, Some(Fault::FailFirst { times: 2, status: 503 }));
    let running = world.start(&["poll"]);
    until("OW got the request", || world.pages_of(&user) > 0);
    world.setting("ow.sync_in_progress", "");
    assert_eq!(running.wait().code, 1);
}

#[test]
fn two_processes_at_once_store_each_sample_once() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    let both = [world.start(&["poll"]), world.start(&["poll"])].map(Running::wait);
    assert!(both.iter().all(|ran| ran.code == 0), "{both:?}");
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}
