//! Every observation and revision carries the number of the transaction that last changed it.

use rusqlite::Connection;

use crate::support::erasure::erased;
use crate::support::harness::*;

/// Returns a patient's observations, oldest first: instant and commit number.
fn numbers(world: &World, patient: &str) -> Vec<(i64, i64)> {
    let db = Connection::open(world.database()).unwrap();
    let mut query = db
        .prepare(
            "SELECT instant, commit_number FROM observations JOIN streams ON streams.id = stream_id
             WHERE patient_id = ? ORDER BY instant",
        )
        .unwrap();
    let rows = query.query_map([patient], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

fn one<T: rusqlite::types::FromSql>(world: &World, query: &str) -> T {
    Connection::open(world.database()).unwrap().query_row(query, [], |row| row.get(0)).unwrap()
}

/// Returns the highest commit number so far.
fn last(world: &World) -> i64 {
    one(world, "SELECT coalesce(max(number), 0) FROM commits")
}

#[test]
fn a_row_carries_the_commit_that_last_changed_it() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    let at = world.now.minus(HOUR);
    world.sim.put(&user, at, 60.0);
    world.sim.put(&user, at.minus(HOUR), 70.0);
    assert_eq!((world.created(), world.created()), (2, 0));
    let first = numbers(&world, &patient);
    assert_eq!(
        first.iter().map(|(_, number)| *number).collect::<Vec<_>>(),
        [1, 1],
        "both observations are of one transaction"
    );
    assert_eq!(last(&world), 1, "a tick without changes uses no number");
    let run = "SELECT runs.id FROM commits JOIN runs ON runs.id = run_id AND kind = 'tick' WHERE created = 2";
    assert_eq!(one::<i64>(&world, run), 1, "the commit belongs to the first tick");
    assert_eq!(one::<i64>(&world, "SELECT instant FROM commits"), world.now.micros());
    world.pass(HOUR);
    world.sim.put(&user, at, 61.0);
    world.created();
    let revised = numbers(&world, &patient);
    assert_eq!(revised, [first[0], (at.micros(), 2)], "an unchanged observation keeps its number");
    assert_eq!(one::<i64>(&world, "SELECT commit_number FROM revisions"), 2);
    assert_eq!(one::<i64>(&world, "SELECT run_id FROM commits WHERE number = 2"), 3);
}

#[test]
fn a_number_is_never_given_again() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.created();
    let backup = world.directory.path().join("backup.sqlite3");
    let backup = backup.to_str().unwrap();
    assert_eq!(world.run(&["backup", backup]).code, 0);
    erased(&world, &patient);
    let after_erasure = last(&world);
    assert!(after_erasure > 1, "an erasure is a commit");
    let (user, other) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.created();
    assert!(numbers(&world, &other)[0].1 > after_erasure);
    let lost = last(&world);
    assert_eq!(world.run(&["restore", backup, "--force"]).code, 0);
    world.pass(HOUR);
    let (user, third) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.created();
    assert!(numbers(&world, &third)[0].1 > lost, "numbers issued after the backup are not reused");
}
