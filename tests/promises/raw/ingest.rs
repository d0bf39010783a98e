//! Raw mode: every heart rate of every payload in the bucket is stored once, whatever the layout and format.

use jhe_ow::common::time::Timestamp;
use serde_json::Value;

use crate::support::bucket::*;
use crate::support::harness::*;
use crate::support::raw_payloads::*;
use crate::support::running_daemon::*;

#[test]
fn p9_raw_mode_creates_and_dedupes() {
    let (world, bucket, _, patient) = one_payload();
    let ran = world.poll();
    assert_eq!(ran.stdout, "OW poll complete (mode=raw). Created 2 observations.\n", "{ran:?}");
    let fhir = world.run(&["observations", "--format", "fhir"]).stdout;
    let resource: Value = serde_json::from_str(fhir.lines().next().unwrap()).unwrap();
    assert_eq!(resource["identifier"][0]["system"], "ow:raw");
    assert_eq!(resource["identifier"][0]["value"], world.documents(&patient)[0]["header"]["uuid"]);
    assert_eq!(resource["device"]["display"], "Oura Ring");
    bucket.seen();
    assert_eq!(world.poll().stdout, "OW poll complete (mode=raw). Created 0 observations.\n");
    assert_eq!(bucket.object_requests(), 0, "a processed object is not fetched again");
    assert_eq!(instants(&world, &patient), both());
    assert_eq!(world.lock(), "");
}

#[test]
fn p10_raw_mode_skips_other_endpoints() {
    let (world, bucket, user, patient) = one_payload();
    let sleep = capture("raw-daily-sleep");
    let endpoint = sleep["metadata"]["trace_id"].as_str().unwrap();
    bucket.put(&Bucket::key(TODAY, &user, "80932403bc11"), endpoint, sleep["body"].to_string().as_bytes());
    bucket.seen();
    assert_eq!(world.created(), 2);
    let seen = bucket.seen();
    let of_sleep: Vec<_> = seen.iter().filter(|seen| seen.contains("80932403bc11")).collect();
    assert!(of_sleep.iter().all(|seen| seen.starts_with("HEAD ")) && of_sleep.len() == 1, "{of_sleep:?}");
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
    assert_eq!(world.kept(&patient).len(), 2);
    assert_eq!(world.run(&["rejected", "list"]).stdout.lines().count(), 0);
}

#[test]
fn every_record_of_a_captured_payload_is_stored() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let capture = capture("raw-heartrate");
    bucket.put(
        &Bucket::key(TODAY, &user, "701e19a918f0"),
        capture["metadata"]["trace_id"].as_str().unwrap(),
        capture["body"].to_string().as_bytes(),
    );
    let records = capture["body"]["data"].as_array().unwrap();
    let expected: Vec<(Timestamp, f64)> = records
        .iter()
        .map(|record| (at(record["timestamp"].as_str().unwrap()), record["bpm"].as_f64().unwrap()))
        .collect();
    assert_eq!(world.created(), expected.len() as u64);
    assert_eq!(world.kept(&patient), expected);
    let csv = world.run(&["observations", "--format", "csv"]).stdout;
    assert!(csv.lines().next().unwrap().contains(",revision,context,"));
    for (line, record) in csv.lines().skip(1).zip(records) {
        assert_eq!(line.split(',').nth(9), record["source"].as_str(), "{line}");
    }
}

#[test]
fn each_setting_that_is_missing_is_named() {
    let (world, bucket, ..) = one_payload();
    bucket.seen();
    for key in ["ow.s3.endpoint_url", "ow.s3.access_key_id", "ow.s3.secret_access_key", "ow.s3.bucket_name"] {
        assert_eq!(world.run(&["settings", "unset", key]).code, 0);
        let ran = world.poll();
        assert_eq!(ran.code, 1);
        let told = format!("OW raw ingest requires setting '{key}' to be set.");
        assert!(ran.stderr.starts_with(&told), "{ran:?}");
        assert_eq!((world.lock(), bucket.seen().len()), (String::new(), 0));
        use_bucket(&world, &bucket);
    }
    assert_eq!(world.created(), 2);
}

#[test]
fn the_s3_secret_is_not_stored_in_plain_text() {
    let (mut world, bucket, ..) = one_payload();
    assert_eq!(world.created(), 2);
    let list = world.run(&["settings", "list"]).stdout;
    assert!(list.contains("ow.s3.secret_access_key = (set)") && !list.contains(SECRET), "{list}");
    for name in names(&world.data_dir()) {
        let bytes = std::fs::read(world.data_dir().join(&name)).unwrap();
        for secret in [SECRET, KEY_ID] {
            assert!(
                !bytes.windows(secret.len()).any(|part| part == secret.as_bytes()),
                "{secret} is in {name}"
            );
        }
    }
    world.set("JHE_OW_SECRET_KEY", &"another-key-".repeat(4));
    let ran = world.poll();
    assert!(ran.code == 1 && ran.stderr.contains("ow.s3.access_key_id cannot be opened"), "{ran:?}");
    world.set("JHE_OW_SECRET_KEY", "");
    let ran = world.run(&["settings", "set", "ow.s3.secret_access_key", SECRET]);
    assert!(ran.code == 2 && ran.stderr.contains("openssl rand -base64 32"), "{ran:?}");
    drop(bucket);
}

#[test]
fn every_page_of_a_listing_is_read_and_nothing_else_of_the_bucket() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let midnight = at("2026-11-21T00:00:00Z");
    for number in 0..1100_u32 {
        let at = midnight.plus(std::time::Duration::from_secs(u64::from(number))).to_string();
        let body = heart_rates(&[(&at, 60.0, "rest")]).to_string();
        bucket.put_bare(&Bucket::key(TODAY, &user, &format!("{number:012x}")), body.as_bytes());
    }
    let stranger = "11111111-1111-4111-8111-111111111111";
    bucket.put_heart_rates(&Bucket::key(TODAY, stranger, "1"), &[(EIGHT, 99.0, "rest")]);
    bucket.seen();
    assert_eq!(world.created(), 1100);
    let seen = bucket.seen();
    assert!(seen.iter().all(|seen| seen.contains(&user)), "no other user's objects are requested");
    assert_eq!(world.created(), 0);
    assert_eq!(bucket.object_requests(), 0);
    assert_eq!(world.kept(&patient).len(), 1100);
}

#[test]
fn a_bad_object_stops_no_other_and_is_tried_again() {
    let (mut world, bucket, user, patient) = one_payload();
    let (other_user, other) = world.patient();
    bucket.put_heart_rates(&Bucket::key(TODAY, &other_user, "1"), &[(EIGHT, 50.0, "rest")]);
    let good = heart_rates(&[("2026-11-21T05:00:00Z", 55.0, "rest")]).to_string();
    let key = |name: &str| Bucket::key(TODAY, &user, name);
    let zip = packed(good.as_bytes());
    let huge = format!(r#"{{"data":[{{"bpm":60,"x":"{}"}}]}}"#, "x".repeat(70_000));
    let bad: [(&str, &[u8], &str); 6] = [
        ("a1", b"<html>busy</html>", "it is no JSON"),
        ("a2", &good.as_bytes()[..good.len() - 5], "it is cut short"),
        ("a3", &zip[..zip.len() - 9], "it is cut short"),
        ("a4", huge.as_bytes(), "larger than 64 KiB"),
        ("a5", b"", "it is no JSON (it is empty)"),
        ("a6", br#"{"data":{}}"#, "its data is no list"),
    ];
    for (name, body, _) in &bad {
        bucket.put(&key(name), HEARTRATE, body);
    }
    bucket.put_heart_rates(&key("a7"), &[("2026-11-21T04:00:00Z", 54.0, "rest")]);
    bucket.fault(&key("a7"), 403);
    let ran = world.poll();
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains(&format!("patient {patient}: 7 objects were not read: ")), "{ran:?}");
    assert!(
        ran.stdout.contains("Created 4 observations."),
        "the record before the truncation is stored: {ran:?}"
    );
    assert_eq!(world.kept(&other).len(), 1);
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let why = |name: &str| -> String {
        db.query_row(
            "SELECT error FROM raw_objects WHERE name = ? || '.json' AND state = 'failed'",
            [name],
            |row| row.get(0),
        )
        .unwrap()
    };
    for (name, _, told) in &bad {
        assert!(why(name).contains(told), "{name}: {}", why(name));
    }
    assert!(why("a7").contains("may not be read (403"), "{}", why("a7"));
    // Later polls move the high-water marks and still remember the objects.
    world.pass(DAY * 3);
    bucket
        .put_heart_rates(&Bucket::key("2026-11-24", &user, "b1"), &[("2026-11-24T08:00:00Z", 70.0, "rest")]);
    assert_eq!(world.poll().code, 3);
    world.pass(DAY * 3);
    bucket.put(
        &key("a3"),
        HEARTRATE,
        &packed(heart_rates(&[("2026-11-21T03:00:00Z", 53.0, "rest")]).to_string().as_bytes()),
    );
    bucket.fault(&key("a7"), 0);
    bucket.remove(&key("a1"));
    let ran = world.poll();
    assert!(ran.stdout.contains("Created 2 observations."), "{ran:?}");
    assert!(ran.stderr.contains("since then it has gone"), "a lost object is reported: {ran:?}");
    let lost: i64 =
        db.query_row("SELECT count(*) FROM raw_objects WHERE state = 'lost'", [], |row| row.get(0)).unwrap();
    assert_eq!(lost, 1);
}

#[test]
fn gzipped_objects_and_objects_without_metadata_are_read() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let body = |at: &str, bpm| heart_rates(&[(at, bpm, "rest")]).to_string();
    bucket.put(&Bucket::key(TODAY, &user, "1"), HEARTRATE, &packed(body(EIGHT, 61.0).as_bytes()));
    bucket.put_bare(&Bucket::key(TODAY, &user, "2"), body(NINE, 72.0).as_bytes());
    bucket.put_bare(&Bucket::key(TODAY, &user, "3"), br#"{"data":[{"day":"2026-11-20","score":80}]}"#);
    bucket.put_bare(&Bucket::key(TODAY, &user, "4"), br#"{"age":31,"weight":70}"#);
    assert_eq!(world.created(), 2);
    assert_eq!(instants(&world, &patient), both());
    bucket.seen();
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
}

#[test]
fn the_older_layout_with_the_endpoint_in_the_key_is_read_too() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    let prefix = "raw-payloads/oura/api_response";
    for (hour, key) in [
        format!("{prefix}/{TODAY}/{user}/v2/usercollection/heartrate/1.json"),
        format!("{prefix}/{user}/v2/usercollection/heartrate/1.json"),
        format!("{prefix}/v2/usercollection/heartrate/{user}/1.json"),
    ]
    .iter()
    .enumerate()
    {
        let at = format!("2026-11-21T0{hour}:00:00Z");
        bucket.put_bare(key, heart_rates(&[(&at, 60.0, "rest")]).to_string().as_bytes());
    }
    bucket.put_bare(&format!("{prefix}/{TODAY}/{user}/v2/usercollection/daily_sleep/1.json"), b"{}");
    bucket.seen();
    assert_eq!(world.created(), 3);
    assert!(
        !bucket.seen().iter().any(|seen| seen.starts_with("HEAD ") || seen.contains("daily_sleep/1.json"))
    );
    assert_eq!((world.created(), world.kept(&patient).len()), (0, 3));
}

#[test]
fn a_changed_object_is_read_again_and_a_changed_value_is_a_revision() {
    let (world, bucket, user, patient) = one_payload();
    assert_eq!(world.created(), 2);
    let key = Bucket::key(TODAY, &user, "701e19a918f0");
    bucket.put_heart_rates(&key, &[(EIGHT, 61.0, "rest"), (NINE, 73.5, "workout"), (NINE, 74.5, "workout")]);
    assert_eq!(world.created(), 0);
    assert_eq!(instants(&world, &patient), [(EIGHT.to_owned(), 61.0), (NINE.to_owned(), 74.5)]);
    let csv = world.run(&["observations", "--format", "csv"]).stdout;
    let last: Vec<String> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').skip(8).take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(last, ["0 rest", "1 workout"], "a changed source alone makes no revision: {csv}");
}

#[test]
fn overlapping_payloads_give_one_observation() {
    let (world, bucket, user, patient) = one_payload();
    bucket.put_heart_rates(
        &Bucket::key(TODAY, &user, "ffff"),
        &[("2026-11-21T09:00:00+00:00", 72.0, "awake"), ("2026-11-21T11:30:00+02:00", 73.0, "awake")],
    );
    assert_eq!(world.created(), 3);
    assert_eq!(world.kept(&patient).len(), 3);
    let zoned = &world.documents(&patient)[2]["body"]["effective_time_frame"]["date_time"];
    assert_eq!(zoned, "2026-11-21T11:30:00+02:00");
}

#[test]
fn an_object_of_an_older_day_is_found_by_the_sweep_and_by_a_backfill() {
    let (mut world, bucket, user, patient) = one_payload();
    assert_eq!(world.created(), 2);
    bucket.put_heart_rates(&Bucket::key("2026-11-18", &user, "1"), &[("2026-11-17T08:00:00Z", 50.0, "rest")]);
    bucket.put_heart_rates(&Bucket::key("2026-09-01", &user, "1"), &[("2026-08-31T08:00:00Z", 51.0, "rest")]);
    assert_eq!(world.created(), 0);
    world.pass(DAY);
    assert_eq!(world.created(), 1, "the daily sweep lists one week");
    let ran = world.run(&["poll", "--since", "2026-09-01"]);
    assert_eq!((ran.code, ran.created()), (0, 1), "{ran:?}");
    assert_eq!(world.kept(&patient).len(), 4);
}

#[test]
fn an_outage_leaves_no_hole() {
    let (mut world, bucket, user, patient) = one_payload();
    assert_eq!(world.created(), 2);
    for day in 22..=30 {
        let at = format!("2026-11-{day}T08:00:00Z");
        bucket.put_heart_rates(&Bucket::key(&format!("2026-11-{day}"), &user, "1"), &[(&at, 60.0, "rest")]);
    }
    world.pass(DAY * 9);
    assert_eq!(world.created(), 9);
    assert_eq!(world.kept(&patient).len(), 11);
}

#[test]
fn an_unfinished_first_turn_does_not_move_the_mark_past_unread_objects() {
    let (mut world, mut bucket) = raw_world();
    world.setting("ow.first_connect_window", "10d");
    let (user, patient) = world.patient();
    for day in 12..=21 {
        let at = format!("2026-11-{day}T08:00:00Z");
        bucket.put_heart_rates(&Bucket::key(&format!("2026-11-{day}"), &user, "1"), &[(&at, 60.0, "rest")]);
    }
    // A ring with a wrong clock: the newest sample is in the oldest object.
    let ahead = [("2026-11-21T09:00:00Z", 60.0, "rest")];
    bucket.put_heart_rates(&Bucket::key("2026-11-12", &user, "2"), &ahead);
    bucket.die_after(4);
    assert_ne!(world.poll().code, 0);
    bucket.restart();
    world.pass(HOUR);
    let ran = world.poll();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(world.kept(&patient).len(), 11);
}

#[test]
fn data_measured_during_a_withdrawal_is_not_stored() {
    let (mut world, bucket, user, patient) = one_payload();
    assert_eq!(world.created(), 2);
    world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]);
    bucket.seen();
    bucket.put_heart_rates(&Bucket::key(TODAY, &user, "2"), &[("2026-11-21T12:30:00Z", 60.0, "rest")]);
    bucket.seen();
    world.pass(HOUR);
    assert_eq!((world.created(), bucket.seen().len()), (0, 0), "nothing is requested");
    world.consent(&patient, "--grant");
    world.pass(HOUR);
    bucket.put_heart_rates(&Bucket::key(TODAY, &user, "3"), &[("2026-11-21T13:30:00Z", 61.0, "rest")]);
    assert_eq!(world.created(), 1);
    assert_eq!(world.kept(&patient).len(), 3);
}

#[test]
fn a_record_that_cannot_be_converted_is_rejected() {
    let (world, bucket, user, patient) = one_payload();
    let body = br#"{"data":[{"bpm":null,"timestamp":"2026-11-21T07:00:00Z"},{"bpm":60,"timestamp":"2026-11-21T07:05:00"},
                  {"bpm":62,"timestamp":"2026-11-21T07:10:00Z","source":"live"}]}"#;
    bucket.put(&Bucket::key(TODAY, &user, "2"), HEARTRATE, body);
    assert_eq!(world.created(), 3);
    let rejected = world.run(&["rejected", "list"]).stdout;
    assert!(
        rejected.contains("its bpm null is not a number") && rejected.contains("no time zone offset"),
        "{rejected}"
    );
    assert_eq!((world.created(), world.kept(&patient).len()), (0, 3));
}

#[test]
fn a_dry_run_writes_nothing() {
    let (world, bucket, _, patient) = one_payload();
    let ran = world.run(&["poll", "--dry-run"]);
    assert!(ran.stdout.contains("Would create 2 observations."), "{ran:?}");
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let rows: i64 = db.query_row("SELECT count(*) FROM raw_objects", [], |row| row.get(0)).unwrap();
    assert_eq!((rows, world.kept(&patient).len()), (0, 0));
    assert_eq!(world.created(), 2);
    drop(bucket);
}

#[test]
fn the_same_ring_through_both_modes_gives_the_same_instants_and_values() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient();
    world.setting("ow.ingest_mode", "normalized");
    world.sim.fill(&user, world.now.minus(HOUR * 20), world.now, FIVE_MINUTES, 7);
    let normalized = world.created();
    let kept = world.kept(&patient);
    assert_eq!(normalized, 240);
    let times: Vec<String> = kept.iter().map(|(at, _)| at.to_string()).collect();
    let rates: Vec<(&str, f64, &str)> =
        times.iter().zip(&kept).map(|(at, (_, value))| (at.as_str(), *value, "awake")).collect();
    bucket.put_heart_rates(&Bucket::key(TODAY, &user, "1"), &rates);
    world.setting("ow.ingest_mode", "raw");
    assert_eq!(world.created(), normalized);
    let both = world.kept(&patient);
    let raw: Vec<_> = both.chunks(2).map(|pair| pair[0]).collect();
    assert!(both.chunks(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(raw, kept);
    // Each mode continues from its own high-water mark.
    world.setting("ow.ingest_mode", "normalized");
    assert_eq!(world.created(), 0);
    world.setting("ow.ingest_mode", "raw");
    assert_eq!(world.created(), 0);
}

#[test]
fn the_pages_show_the_state_of_the_bucket_and_its_objects() {
    let (world, bucket, user, patient) = one_payload();
    bucket.put(&Bucket::key(TODAY, &user, "bad"), HEARTRATE, b"<html>");
    assert_eq!(world.poll().code, 3);
    let served = Served::start(&world);
    let operator = served.operator(&world);
    until("the daemon has listed the bucket", || operator.get("/admin/system").body.contains("Raw payloads"));
    assert!(operator.get("/admin/system").body.contains("The bucket can be listed and read."));
    let page = operator.get(&format!("/admin/patients/{patient}")).body;
    for part in ["Raw payloads", "Objects read", "it is no JSON", "tried again later", "of 2026-11-21"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(operator.get(&format!("/admin/patients/{patient}/observations")).body.contains("awake"));
    assert!(!page.contains("samples of both modes"));
    world.setting("ow.ingest_mode", "normalized");
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    assert_eq!(world.created(), 1);
    assert!(operator.get(&format!("/admin/patients/{patient}")).body.contains("samples of both modes"));
    assert!(operator.get("/admin/system").body.contains("Patients with samples of both modes: 1."));
}
