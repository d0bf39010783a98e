//! Raw mode, reading one patient: the order of objects, their number, and repeated reads.

use std::io::Write;
use std::process::Stdio;

use jhe_ow::simulator::samples_table::Row;

use crate::support::bucket::*;
use crate::support::harness::*;
use crate::support::raw_payloads::*;
use crate::support::running_daemon::*;

/// Maximum number of objects in one turn.
const TURN: usize = 5000;

fn store(world: &World) -> rusqlite::Connection {
    rusqlite::Connection::open(world.database()).unwrap()
}

#[test]
fn a_turn_is_limited_and_continues_in_the_next_tick() {
    let (mut world, bucket) = raw_world();
    world.setting("ow.first_connect_window", "60d");
    let ((one, first), (two, second)) = (world.patient(), world.patient());
    world.setting("ow.concurrency", "1");
    let oldest = "2026-09-23";
    for number in 0..TURN {
        bucket.put_bare(
            &format!(
                "raw-payloads/oura/api_response/{oldest}/{one}/v2/usercollection/daily_sleep/{number}.json"
            ),
            b"{}",
        );
    }
    let last = Bucket::key(oldest, &one, "a");
    bucket.put_heart_rates(&last, &[(EIGHT, 61.0, "sleep"), (NINE, 72.0, "awake")]);
    bucket.stored(&last, at("2036-11-21T09:00:00Z"));
    bucket.put_heart_rates(&Bucket::key(TODAY, &two, "a"), &[(EIGHT, 50.0, "rest")]);
    let ran = world.poll();
    assert_eq!((ran.code, ran.created()), (0, 1), "{ran:?}");
    assert!(ran.stderr.contains(&format!("patient {first}: more objects wait in the bucket")), "{ran:?}");
    assert_eq!(world.kept(&second).len(), 1);
    // A late tick starts where the previous one started.
    world.pass(DAY * 5);
    bucket.seen();
    let ran = world.poll();
    assert_eq!((ran.code, ran.created(), ran.stderr.as_str()), (0, 2, ""), "{ran:?}");
    let seen = bucket.seen();
    let turn = |user: &str| seen.iter().position(|seen| seen.contains(user)).unwrap();
    assert!(turn(&two) < turn(&one), "a patient with many objects is read after the others");
    assert_eq!(instants(&world, &first), both());
    bucket.seen();
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
}

#[test]
fn the_page_and_the_log_show_that_more_objects_wait() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    for number in 0..=TURN {
        bucket.put_bare(
            &format!(
                "raw-payloads/oura/api_response/{TODAY}/{user}/v2/usercollection/daily_sleep/{number}.json"
            ),
            b"{}",
        );
    }
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let path = format!("/admin/patients/{patient}");
    let waits = || operator.get(&path).body.contains("More objects wait in the bucket");
    until("the first tick has ended", waits);
    operator.submit(&path, &format!("{path}/poll"), &[]);
    until("the remaining objects are read", || !waits());
    let ran = served.stop("TERM");
    assert!(ran.stderr.contains("more objects wait in the bucket"), "{ran:?}");
}

#[test]
fn the_object_stored_last_wins_whatever_its_name_and_page() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    for number in 0..1000 {
        bucket.put_bare(
            &format!(
                "raw-payloads/oura/api_response/{TODAY}/{user}/v2/usercollection/daily_sleep/{number}.json"
            ),
            b"{}",
        );
    }
    // By name, the middle object is the first, and the last one is on the second page.
    for (name, hour, value) in [("zzz", 1, 60.0), ("111", 2, 61.0), ("222", 0, 59.0)] {
        let key = Bucket::key(TODAY, &user, name);
        bucket.put_heart_rates(&key, &[(EIGHT, value, "rest")]);
        bucket.stored(&key, at("2026-11-21T09:00:00Z").plus(HOUR * hour));
    }
    assert_eq!(world.created(), 1);
    assert_eq!(instants(&world, &patient), [(EIGHT.to_owned(), 61.0)]);
}

#[test]
fn a_backfill_does_not_overwrite_later_objects() {
    let (mut world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let measured = "2026-10-20T08:00:00Z";
    for (day, value) in [("2026-10-21", 59.0), ("2026-10-23", 60.0), ("2026-10-30", 61.0)] {
        bucket.put_heart_rates(&Bucket::key(day, &user, "a"), &[(measured, value, "rest")]);
    }
    let is_newest = |world: &World| assert_eq!(instants(world, &patient), [(measured.to_owned(), 61.0)]);
    assert_eq!(world.run(&["poll", "--since", "2026-10-10"]).created(), 1);
    is_newest(&world);
    // The weekly sweep forgets objects that are no longer listed: two of the three.
    world.pass(DAY * 7);
    assert_eq!(world.created(), 0);
    bucket.seen();
    assert_eq!(world.run(&["poll", "--since", "2026-10-10"]).created(), 0);
    assert!(bucket.object_requests() > 0, "the forgotten objects were read again");
    is_newest(&world);
}

#[test]
fn a_failed_object_backs_off_and_is_retried_at_once_when_changed() {
    let (mut world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let key = Bucket::key(TODAY, &user, "a");
    bucket.put(&key, HEARTRATE, b"<html>");
    assert_eq!(world.poll().code, 3);
    bucket.seen();
    let reads = |bucket: &Bucket| {
        bucket.seen().iter().filter(|seen| seen.starts_with("GET ") && seen.contains("a.json")).count()
    };
    let mut tries = 0;
    for _ in 0..24 * 4 {
        world.pass(HOUR / 4);
        world.poll();
        tries += reads(&bucket);
    }
    assert!((2..=6).contains(&tries), "{tries} tries in a day");
    // A poll by command reads the object at once.
    world.run(&["poll", "--since", "2026-11-20"]);
    assert_eq!(reads(&bucket), 1);
    bucket.put_heart_rates(&key, &[(EIGHT, 61.0, "sleep"), (NINE, 72.0, "awake")]);
    assert_eq!(world.created(), 2);
    assert_eq!(instants(&world, &patient), both());
}

#[test]
fn withheld_objects_are_read_again_after_a_change_of_consent_only() {
    let (mut world, bucket, user, patient) = one_payload();
    assert_eq!(world.created(), 2);
    world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]);
    world.pass(HOUR * 2);
    world.consent(&patient, "--grant");
    let key = Bucket::key(TODAY, &user, "2");
    bucket.put_heart_rates(
        &key,
        &[("2026-11-21T12:30:00Z", 60.0, "rest"), ("2026-11-21T13:30:00Z", 61.0, "rest")],
    );
    bucket.seen();
    assert_eq!((world.created(), bucket.object_requests()), (0, 2));
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
    let earlier = at("2026-11-21T13:00:00Z").micros();
    store(&world)
        .execute("UPDATE consents SET granted_at = ? WHERE withdrawn_at IS NULL", [earlier])
        .unwrap();
    assert_eq!((world.created(), bucket.object_requests()), (1, 1));
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
    assert_eq!(world.kept(&patient).len(), 3);
}

#[test]
fn an_unlabelled_payload_is_recognised_by_its_first_records() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let body = br#"{"data":[null,{"bpm":60},{"bpm":61,"timestamp":"2026-11-21T08:00:00Z"}]}"#;
    bucket.put_bare(&Bucket::key(TODAY, &user, "a"), body);
    assert_eq!(world.created(), 1);
    assert_eq!(world.kept(&patient).len(), 1);
    let rejected = world.run(&["rejected", "list"]).stdout;
    assert!(
        rejected.contains("it is not an object") && rejected.contains("it has no timestamp"),
        "{rejected}"
    );
}

#[test]
fn the_daily_comparison_counts_only_the_providers_of_the_payloads() {
    let (mut world, bucket) = raw_world();
    let (user, patient) = world.patient();
    world.pass(DAY * 2);
    for hour in 1..4 {
        let mut other = Row::heart_rate(world.now.minus(DAY).minus(HOUR * hour), 60.0);
        other.series.source.provider = "garmin".into();
        world.sim.put_row(&user, other);
    }
    let missing = |world: &World| -> i64 {
        let missing = "SELECT missing_samples FROM sync_status WHERE patient_id = ?";
        store(world).query_row(missing, [&patient], |row| row.get(0)).unwrap()
    };
    assert_eq!(
        (world.created(), missing(&world)),
        (0, 0),
        "samples of another provider are not in Oura's payloads"
    );
    world.sim.put(&user, world.now.minus(DAY), 60.0);
    world.pass(DAY);
    assert_eq!((world.created(), missing(&world)), (0, 1));
    drop(bucket);
}

#[test]
fn a_secret_can_come_from_standard_input() {
    let (world, bucket, ..) = one_payload();
    assert_eq!(world.run(&["settings", "unset", "ow.s3.secret_access_key"]).code, 0);
    let set = |line: &[u8]| {
        let mut command = world.command(&["settings", "set", "ow.s3.secret_access_key", "-"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(line).unwrap();
        Running::new(child).wait()
    };
    let ran = set(b"\n");
    assert!(ran.code == 2 && ran.stderr.contains("no value on standard input"), "{ran:?}");
    assert_eq!(set(format!("{SECRET}\n").as_bytes()).code, 0);
    assert_eq!(world.created(), 2);
    drop(bucket);
}

#[test]
fn the_page_shows_that_objects_of_an_ended_link_are_not_read() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    bucket.put(&Bucket::key(TODAY, &user, "bad"), HEARTRATE, b"<html>");
    assert_eq!(world.poll().code, 3);
    assert_eq!(world.run(&["patient", "unlink", &patient]).code, 0);
    let served = Served::start(&world);
    let page = served.operator(&world).get(&format!("/admin/patients/{patient}")).body;
    assert!(page.contains("of a link that has ended: not read any more"), "{page}");
}
