//! Raw mode where the bucket is in trouble: what it costs, whom, and that nothing is lost by it.

use crate::bucket::*;
use crate::harness::*;
use crate::raw::*;

#[test]
fn an_object_that_failed_fills_what_is_missing_and_undoes_nothing() {
    let (mut world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let (older, newer) =
        (Bucket::key(TODAY, &user, "ffffffffffff"), Bucket::key(TODAY, &user, "000000000000"));
    bucket.put_heart_rates(&older, &[(EIGHT, 60.0, "sleep"), (NINE, 72.0, "awake")]);
    bucket.put_heart_rates(&newer, &[(EIGHT, 61.0, "sleep")]);
    bucket.fault(&older, 403);
    assert_eq!(world.poll().created(), 1);
    bucket.fault(&older, 0);
    world.pass(HOUR * 4);
    assert_eq!(world.poll().created(), 1, "what only it has");
    assert_eq!(instants(&world, &patient), both(), "what was stored after it stands");
}

#[test]
fn a_bucket_that_lists_and_does_not_serve_holds_nobody_up() {
    let (world, bucket) = raw_world();
    let ((one, first), (two, second)) = (world.patient(), world.patient());
    for number in 0..20 {
        let key = Bucket::key(TODAY, &one, &format!("{number:012}"));
        bucket.put_heart_rates(&key, &[(EIGHT, 61.0, "sleep"), (NINE, 72.0, "awake")]);
        bucket.fault(&key, 503);
    }
    bucket.put_heart_rates(&Bucket::key(TODAY, &two, "a"), &[(EIGHT, 61.0, "sleep"), (NINE, 72.0, "awake")]);
    bucket.seen();
    let ran = world.poll();
    assert!(ran.code == 3 && ran.stderr.contains("3 objects in a row could not be read"), "{ran:?}");
    assert!(bucket.touched() < 20, "not each of them is tried");
    assert_eq!(instants(&world, &second), both());
    for number in 0..20 {
        bucket.fault(&Bucket::key(TODAY, &one, &format!("{number:012}")), 0);
    }
    assert_eq!(world.poll().created(), 2);
    assert_eq!(instants(&world, &first), both());
}

#[test]
fn a_server_that_dies_in_the_middle_costs_nothing() {
    let (world, mut bucket) = raw_world();
    let (user, patient) = world.patient();
    for hour in 0..6 {
        let at = format!("2026-11-21T0{hour}:00:00Z");
        bucket.put_heart_rates(&Bucket::key(TODAY, &user, &hour.to_string()), &[(&at, 60.0, "rest")]);
    }
    bucket.die_after(3);
    let ran = world.poll();
    assert!(ran.code == 1 || ran.code == 3, "{ran:?}");
    assert_eq!((world.lock(), world.kept(&patient).len()), (String::new(), 3));
    bucket.restart();
    bucket.seen();
    assert_eq!(world.created(), 3);
    assert_eq!(
        bucket.seen().iter().filter(|seen| seen.starts_with("GET ") && seen.contains(".json")).count(),
        3
    );
    assert_eq!(world.kept(&patient).len(), 6);
}

#[test]
fn a_wrong_key_a_wrong_bucket_and_no_server_end_the_tick() {
    let (world, mut bucket, _, patient) = one_payload();
    let poll = |told: &str| {
        let ran = world.poll();
        assert_eq!((ran.code, world.lock()), (1, String::new()), "{ran:?}");
        assert!(ran.stderr.starts_with("ow_poll aborted: ") && ran.stderr.contains(told), "{ran:?}");
        assert!(!ran.stderr.contains(SECRET));
    };
    world.setting("ow.s3.secret_access_key", "wrong");
    poll("see ow.s3.access_key_id and ow.s3.secret_access_key");
    world.setting("ow.s3.secret_access_key", SECRET);
    world.setting("ow.s3.access_key_id", "UNKNOWN");
    poll("see ow.s3.access_key_id and ow.s3.secret_access_key");
    world.setting("ow.s3.access_key_id", KEY_ID);
    world.setting("ow.s3.bucket_name", "another");
    poll("there is no bucket 'another'");
    world.setting("ow.s3.bucket_name", BUCKET);
    bucket.stop();
    poll("see ow.s3.endpoint_url");
    bucket.restart();
    assert_eq!(world.created(), 2);
    assert_eq!(instants(&world, &patient), both());
}
