//! A backfill reads the requested range, and a dry run writes nothing.

use jhe_ow::simulator::fault::Fault;

use crate::support::harness::*;

#[test]
fn a_backfill_reads_its_whole_range() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY * 30), world.now, HOUR, 1);
    let ran = world.run(&["poll", "--window", "30d"]);
    assert_eq!((ran.code, ran.created()), (0, 720), "{ran:?}");
    assert!(ran.stderr.is_empty(), "piped output has no progress lines: {ran:?}");
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
    assert_eq!(world.run(&["poll", "--window", "30d"]).created(), 0);
}

#[test]
fn since_and_until_bound_a_backfill() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY * 10), world.now, HOUR, 1);
    let ran =
        world.run(&["poll", "--patient-id", &patient, "--since", "2026-11-15", "--until", "2026-11-17"]);
    assert_eq!(ran.created(), 48, "{ran:?}");
    let kept = world.kept(&patient);
    assert_eq!((kept[0].0, kept[47].0), (at("2026-11-15T00:00:00Z"), at("2026-11-16T23:00:00Z")));
}

#[test]
fn a_bare_date_is_a_day_where_the_patient_lives() {
    let world = World::new();
    let user = world.sim.add_user();
    let add = [
        "patient",
        "add",
        "--name",
        "A",
        "--tz",
        "Asia/Tokyo",
        "--ow-user",
        &user,
        "--consent",
        HEART_RATE,
        "--reason",
        "paper",
    ];
    let patient = world.run(&add).stdout.trim().to_owned();
    world.sim.fill(&user, world.now.minus(DAY * 10), world.now, HOUR, 1);
    world.run(&["poll", "--patient-id", &patient, "--since", "2026-11-15", "--until", "2026-11-16"]);
    assert_eq!(world.kept(&patient)[0].0, at("2026-11-15T00:00:00+09:00"));
}

#[test]
fn a_backfill_does_not_move_the_mark_over_unread_time() {
    let mut world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR * 20), world.now, HOUR, 1);
    world.created();
    let before = world.now;
    world.pass(DAY * 3);
    world.sim.fill(&user, before, world.now, HOUR, 1);
    let until = world.now.to_string();
    let since = world.now.minus(DAY).to_string();
    world.run(&["poll", "--since", &since, "--until", &until]);
    world.created();
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn a_killed_backfill_resumes() {
    let world = World::new();
    world.sim.set_page_cap(1000);
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY * 28), world.now, HOUR, 1);
    // The second slice never answers.
    world.sim.set_fault(&user, Some(Fault::FailAfterPages { pages: 1, status: 503 }));
    let running = world.start(&["poll", "--window", "28d"]);
    until("the backfill requests the second slice", || world.pages_of(&user) > 1);
    running.signal("KILL");
    running.wait();
    assert_eq!(world.kept(&patient).len(), 168);
    world.sim.set_fault(&user, None);
    world.sim.forget_requests();
    let ran = world.run(&["poll", "--window", "28d"]);
    assert_eq!(ran.created(), 504, "{ran:?}");
    assert_eq!(world.pages_of(&user), 3, "the first slice is not read again");
    assert_eq!(world.kept(&patient), world.sim.heart_rates(&user));
}

#[test]
fn a_tick_runs_between_two_slices_of_a_backfill() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY * 28), world.now, HOUR, 1);
    let running = world.start(&["poll", "--window", "28d"]);
    until("the backfill has started", || world.pages_of(&user) > 0);
    let tick = world.poll();
    assert!(
        tick.stdout.contains("complete"),
        "a tick waits for one slice, not for the whole backfill: {tick:?}"
    );
    assert!(running.wait().stdout.contains("complete"));
}

#[test]
fn a_dry_run_prints_what_it_would_create_and_writes_nothing() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, HOUR, 1);
    let contents = || {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        let count = |table: &str| -> i64 {
            db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        [
            "observations",
            "streams",
            "high_water_marks",
            "commits",
            "runs",
            "sync_status",
            "settings",
            "sync_lock",
            "audit_entries",
        ]
        .map(count)
    };
    let before = contents();
    let ran = world.run(&["poll", "--dry-run"]);
    assert_eq!(ran.code, 0);
    assert!(ran.stdout.contains(&format!("patient {patient}: would create 24, would revise 0")), "{ran:?}");
    assert!(
        ran.stdout.contains("OW poll dry run (mode=normalized). Would create 24 observations."),
        "{ran:?}"
    );
    assert_eq!(contents(), before);
    assert!(world.sim.requests().iter().all(|seen| seen.method == "GET"));
    world.created();
    let again = world.run(&["poll", "--dry-run", "--window", "30d"]);
    assert!(again.stdout.contains("would create 0"), "{again:?}");
}
