//! Raw mode with a faulty bucket: nothing is lost, and only the affected objects and patients wait.

use crate::support::bucket::*;
use crate::support::erasure::one;
use crate::support::harness::*;
use crate::support::raw_payloads::*;

#[test]
fn an_object_read_late_fills_gaps_and_overwrites_nothing_newer() {
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
    assert_eq!(world.poll().created(), 1, "only the sample of the failed object is missing");
    assert_eq!(instants(&world, &patient), both(), "samples stored from later objects stay");
}

#[test]
fn a_bucket_that_lists_and_does_not_serve_delays_nobody() {
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
    assert!(bucket.object_requests() < 20, "the poll stops before it tries every object");
    assert_eq!(instants(&world, &second), both());
    for number in 0..20 {
        bucket.fault(&Bucket::key(TODAY, &one, &format!("{number:012}")), 0);
    }
    assert_eq!(world.poll().created(), 2);
    assert_eq!(instants(&world, &first), both());
}

#[test]
fn three_unreadable_objects_block_nothing() {
    let (mut world, bucket) = raw_world();
    let (user, patient) = world.patient();
    for (number, name) in ["a", "b", "c", "d"].iter().enumerate() {
        let key = Bucket::key(TODAY, &user, name);
        bucket.put_heart_rates(&key, &[(EIGHT, 61.0, "sleep"), (NINE, 72.0, "awake")]);
        bucket.stored(&key, at(NINE).plus(HOUR * u32::try_from(number).unwrap()));
        if *name != "d" {
            bucket.fault(&key, 503);
        }
    }
    let ran = world.poll();
    assert!(ran.code == 3 && ran.stderr.contains("3 objects were not read"), "{ran:?}");
    assert_eq!(instants(&world, &patient), both());
    bucket.seen();
    world.pass(HOUR / 4);
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
}

#[test]
fn a_server_that_dies_midway_loses_nothing() {
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

/// Returns a page of a listing in S3's format.
fn page(next: Option<&str>, objects: &[(&str, &str)]) -> String {
    let contents = objects
        .iter()
        .map(|(key, etag)| {
            format!(
                "<Contents><Key>{key}</Key><ETag>\"{etag}\"</ETag><Size>9</Size>\
                 <LastModified>2026-11-21T09:00:00.000Z</LastModified></Contents>"
            )
        })
        .collect::<Vec<_>>()
        .concat();
    let next = next
        .map_or_else(String::new, |next| format!("<NextContinuationToken>{next}</NextContinuationToken>"));
    format!(
        "<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>true</IsTruncated>{next}{contents}</ListBucketResult>"
    )
}

#[test]
fn a_truncated_listing_without_a_continuation_token_is_an_error() {
    let (world, bucket, user, _) = one_payload();
    bucket.list_as(&user, &[&page(None, &[])]);
    let ran = world.poll();
    assert!(ran.code == 1 && ran.stderr.contains("goes on, and does not say where"), "{ran:?}");
}

#[test]
fn an_object_with_an_empty_tag_is_read_again_when_it_has_changed() {
    let (world, bucket, user, patient) = one_payload();
    let key = Bucket::key(TODAY, &user, "701e19a918f0");
    let listed = page(None, &[(&key, "")]).replace("true", "false");
    bucket.list_as(&user, &[&listed]);
    assert!(world.poll().stdout.contains("Created 2 observations."));
    let later = "2026-11-21T08:10:00Z";
    bucket.put_heart_rates(&key, &[(EIGHT, 61.0, "sleep"), (NINE, 72.0, "awake"), (later, 62.0, "awake")]);
    bucket.list_as(&user, &[&listed.replace("09:00:00", "09:05:00")]);
    let again = world.poll();
    assert!(instants(&world, &patient).iter().any(|(at, _)| at == later), "{again:?}");
}

#[test]
fn an_empty_page_of_a_listing_forgets_no_object() {
    let (world, bucket, user, patient) = one_payload();
    let key = Bucket::key(TODAY, &user, "701e19a918f0");
    let last = page(None, &[(&key, "tag")]).replace("true", "false");
    // Every day and place gets the same listing; keys of other places are ignored.
    bucket.list_as(&user, &[&page(Some("on"), &[]), &last]);
    let first = world.poll();
    assert!(first.stdout.contains("Created 2 observations."), "{first:?}");
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let noted = || -> i64 {
        let read = "SELECT count(*) FROM raw_objects WHERE name = '701e19a918f0.json' AND state = 'read'";
        db.query_row(read, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(noted(), 1);
    bucket.seen();
    world.poll();
    let again =
        bucket.seen().iter().filter(|seen| seen.starts_with("GET ") && seen.contains("701e19a918f0")).count();
    assert_eq!((again, noted(), world.kept(&patient).len()), (0, 1, 2));
}

#[test]
fn a_patient_whose_listing_fails_delays_nobody_else() {
    let (world, bucket, user, patient) = one_payload();
    let (other_user, other) = world.patient();
    bucket.put_heart_rates(&Bucket::key(TODAY, &other_user, "1"), &[(EIGHT, 50.0, "rest")]);
    bucket.list_trouble(&user, Some(Fault::Status(503)));
    let ran = world.poll();
    assert_eq!((ran.code, ran.created()), (3, 1), "{ran:?}");
    assert!(ran.stderr.contains(&format!("patient {patient}: ")) && ran.stderr.contains("503"), "{ran:?}");
    assert_eq!((world.kept(&other).len(), world.kept(&patient).len()), (1, 0));
}

#[test]
fn an_unresponsive_object_does_not_stop_the_others() {
    let (world, bucket, user, patient) = one_payload();
    let silent = Bucket::key(TODAY, &user, "silent");
    bucket.put_heart_rates(&silent, &[("2026-11-21T07:00:00Z", 60.0, "rest")]);
    bucket.trouble(&silent, Some(Fault::Silence));
    bucket.seen();
    let ran = world.poll();
    let tries =
        bucket.seen().iter().filter(|seen| seen.starts_with("GET ") && seen.contains("silent.json")).count();
    assert_eq!(tries, 3, "{ran:?}");
    assert_eq!((ran.code, ran.created()), (3, 2), "{ran:?}");
    assert!(ran.stderr.contains("it did not answer in time"), "{ran:?}");
    assert_eq!((instants(&world, &patient), world.lock()), (both(), String::new()));
}

#[test]
fn redirects_of_the_bucket_are_not_followed() {
    let (world, bucket, user, patient) = one_payload();
    let other = Bucket::start();
    let key = Bucket::key(TODAY, &user, "moved");
    for bucket in [&bucket, &other] {
        bucket.put_heart_rates(&key, &[("2026-11-21T07:00:00Z", 60.0, "rest")]);
    }
    other.seen();
    bucket.trouble(&key, Some(Fault::Elsewhere(other.address())));
    let ran = world.poll();
    assert!(ran.code == 3 && ran.stderr.contains("307, and points to http://127.0.0.1:"), "{ran:?}");
    bucket.list_trouble(&user, Some(Fault::Elsewhere(other.address())));
    let ran = world.poll();
    assert!(ran.code == 1 && ran.stderr.contains("see ow.s3.endpoint_url and ow.s3.region"), "{ran:?}");
    assert_eq!((other.seen().len(), instants(&world, &patient)), (0, both()));
}

#[test]
fn the_buckets_retry_after_is_obeyed() {
    let (world, bucket, user, _) = one_payload();
    let key = Bucket::key(TODAY, &user, "busy");
    bucket.put_heart_rates(&key, &[("2026-11-21T07:00:00Z", 60.0, "rest")]);
    bucket.trouble(&key, Some(Fault::Later(600)));
    bucket.seen();
    assert_eq!(world.poll().code, 3);
    let tries =
        bucket.seen().iter().filter(|seen| seen.starts_with("GET ") && seen.contains("busy.json")).count();
    assert_eq!(tries, 1, "a tick does not wait for ten minutes");
}

#[test]
fn a_sample_from_the_future_is_rejected_and_hides_no_silence() {
    let (mut world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let rates = [(EIGHT, 61.0, "awake"), ("2106-02-07T06:28:15Z", 62.0, "awake")];
    bucket.put_heart_rates(&Bucket::key(TODAY, &user, "701e19a918f0"), &rates);
    assert_eq!(world.created(), 1);
    assert_eq!(world.kept(&patient).len(), 1);
    let rejected = world.rejected();
    assert!(rejected.len() == 1 && rejected[0].contains("more than a day ahead"), "{rejected:?}");
    // Times a few hours ahead come from a device's clock: stored, but not as the newest sample.
    bucket.put_heart_rates(
        &Bucket::key(TODAY, &user, "80932403bc11"),
        &[("2026-11-21T20:00:00Z", 63.0, "awake")],
    );
    assert_eq!(world.created(), 1);
    let newest: String =
        one(&world, "SELECT datetime(newest_instant / 1000000, 'unixepoch') FROM sync_status");
    assert_eq!(newest, "2026-11-21 12:00:00");
    world.pass(DAY * 6);
    world.poll();
    let listed = world.run(&["doctor"]).stdout;
    assert!(listed.contains("no data for more than 36 hours from patient"), "{listed}");
}
