//! Raw mode, every vital sign: Oura's payloads give the same observations as OW's API, each one once.

use std::collections::{BTreeMap, BTreeSet};

use jhe_ow::common::time::Timestamp;
use jhe_ow::model::catalog::code::CODES;
use jhe_ow::model::catalog::endpoint::ENDPOINTS;
use jhe_ow::simulator::activity_day::ActivityDay;
use jhe_ow::simulator::event::{Event, EventDetails, SleepStage};
use jhe_ow::simulator::samples_table::Row;
use serde_json::{Value, json};

use crate::support::bucket::*;
use crate::support::connected_world::Scene;
use crate::support::harness::*;
use crate::support::raw_payloads::capture;

const SLEEP: &str = "/v2/usercollection/sleep";
const ACTIVITY: &str = "/v2/usercollection/daily_activity";
const PERSON: &str = "/v2/usercollection/personal_info";
/// The captures whose records become observations.
const CAPTURES: &[&str] =
    &["raw-heartrate", "raw-sleep", "raw-daily_activity", "raw-daily_spo2", "raw-workout"];
/// The day on which the captures were stored, and a time after it.
const STORED: &str = "2026-11-23";
const AFTER: &str = "2026-11-23T22:00:00Z";
const NIGHT: &str = "2026-11-19T23:10:00Z";

/// Returns a world in this mode in which the captures were just stored.
fn world_after(mode: &str) -> (World, Bucket) {
    let (mut world, bucket) = raw_world();
    let wait = at(AFTER).since(world.now);
    world.pass(wait);
    world.setting("ow.first_connect_window", "7d");
    world.setting("ow.ingest_mode", mode);
    (world, bucket)
}

/// Adds a patient who consents to these codes.
fn patient(world: &World, codes: &[&str]) -> (String, String) {
    let user = world.sim.add_user();
    let mut arguments = vec!["patient", "add", "--name", "A", "--ow-user", &user];
    arguments.extend(codes.iter().flat_map(|code| ["--consent", code]));
    arguments.extend(["--reason", "paper"]);
    let ran = world.run(&arguments);
    assert_eq!(ran.code, 0, "{ran:?}");
    (user, ran.stdout.trim().to_owned())
}

fn all_codes() -> Vec<&'static str> {
    CODES.iter().map(|code| code.code).filter(|code| *code != "QuestionnaireResponse").collect()
}

fn put_captures(bucket: &Bucket, user: &str) {
    for &name in CAPTURES {
        let capture = capture(name);
        let endpoint = capture["metadata"]["trace_id"].as_str().unwrap();
        bucket.put(&Bucket::key(STORED, user, name), endpoint, capture["body"].to_string().as_bytes());
    }
}

/// Adds the captures' samples to OW's API.
fn put_at_ow(world: &World, user: &str) {
    let number = |record: &Value, key: &str| record[key].as_f64().unwrap();
    let time = |record: &Value, key: &str| at(record[key].as_str().unwrap());
    let records = |name: &str| capture(name)["body"]["data"].as_array().unwrap().clone();
    let zone = Some("+01:00");
    for rate in records("raw-heartrate") {
        world.sim.put_row(user, Row::heart_rate(time(&rate, "timestamp"), number(&rate, "bpm")));
    }
    for night in records("raw-sleep") {
        let (start, mut from) = (time(&night, "bedtime_start"), time(&night, "bedtime_start"));
        let stages = [
            ("light", "light_sleep_duration"),
            ("deep", "deep_sleep_duration"),
            ("rem", "rem_sleep_duration"),
            ("awake", "awake_time"),
        ];
        let stage = |(stage, key): (&str, &str)| {
            let end = from.plus(std::time::Duration::from_secs_f64(number(&night, key)));
            let stage = SleepStage { stage: stage.to_owned(), start: from, end };
            from = end;
            stage
        };
        let intervals = stages.into_iter().map(stage).collect();
        let event = Event::night(start, time(&night, "bedtime_end"), intervals).with_zone(zone);
        world.sim.put_event(user, event);
        for (name, key) in
            [("respiratory_rate", "average_breath"), ("resting_heart_rate", "lowest_heart_rate")]
        {
            world.sim.put_row(user, Row::of(name, start, number(&night, key)).with_zone("+01:00"));
        }
    }
    for day in records("raw-daily_activity") {
        let steps = Row::of("steps", time(&day, "timestamp"), number(&day, "steps"));
        world.sim.put_row(user, steps.with_daily_total(true).with_zone("+01:00"));
        let mut activity = ActivityDay::of(day["day"].as_str().unwrap(), 0);
        activity.active_calories = Some(number(&day, "active_calories"));
        activity.distance = Some(number(&day, "equivalent_walking_distance"));
        world.sim.put_activity(user, activity);
    }
    for day in records("raw-daily_spo2") {
        let midnight = at(&format!("{}T00:00:00Z", day["day"].as_str().unwrap()));
        let average = number(&day["spo2_percentage"], "average");
        world.sim.put_row(user, Row::of("oxygen_saturation", midnight, average));
    }
    for workout in records("raw-workout") {
        let (start, end) = (time(&workout, "start_datetime"), time(&workout, "end_datetime"));
        let mut event = Event::workout("running", start, end).with_zone(zone);
        if let EventDetails::Workout(said) = &mut event.details {
            said.calories = Some(number(&workout, "calories"));
            said.distance = Some(number(&workout, "distance"));
        }
        world.sim.put_event(user, event);
    }
}

/// Returns the stored observations of a system: type, instant, value.
fn stored_of(world: &World, system: &str) -> Vec<(String, Timestamp, f64)> {
    let db = rusqlite::Connection::open(world.database()).unwrap();
    let mut query = db
        .prepare(
            "SELECT series_type, instant, value FROM streams JOIN observations ON observations.stream_id = streams.id
             WHERE system = ? ORDER BY series_type, instant",
        )
        .unwrap();
    let rows =
        query.query_map([system], |row| Ok((row.get(0)?, Timestamp::from_micros(row.get(1)?), row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn counts(world: &World) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (series_type, ..) in stored_of(world, "ow:raw") {
        *counts.entry(series_type).or_default() += 1;
    }
    counts
}

fn counted(all: &[(&str, usize)]) -> BTreeMap<String, usize> {
    all.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// Returns a night in Oura's format with the given times and sleep duration.
fn night(id: &str, start: &str, end: &str, asleep: u32) -> Value {
    json!({ "id": id, "day": "2026-11-20", "type": "long_sleep", "bedtime_start": start, "bedtime_end": end,
            "total_sleep_duration": asleep, "time_in_bed": 25_200, "average_breath": 14.5, "lowest_heart_rate": 49 })
}

fn list(records: &[Value]) -> Vec<u8> {
    json!({ "data": records, "next_token": null }).to_string().into_bytes()
}

#[test]
fn the_same_ring_through_both_modes_gives_the_same_instants_and_values_of_every_type() {
    let (world, bucket) = world_after("normalized");
    let (user, _) = patient(&world, &all_codes());
    put_captures(&bucket, &user);
    put_at_ow(&world, &user);
    assert_eq!(world.created(), 24 + 3 * 6 + 3 * 2 + 3 + 1);
    world.setting("ow.ingest_mode", "raw");
    assert_eq!(world.created(), 52);
    let raw = stored_of(&world, "ow:raw");
    assert_eq!(raw, stored_of(&world, "ow:normalized"));
    let types: BTreeSet<&str> = raw.iter().map(|(name, ..)| name.as_str()).collect();
    let told = ENDPOINTS.iter().filter(|one| !one.is_single).flat_map(|one| one.series);
    assert_eq!(types, told.copied().collect());
    for mode in ["raw", "normalized"] {
        world.setting("ow.ingest_mode", mode);
        assert_eq!(world.created(), 0, "{mode}");
    }
}

#[test]
fn whichever_mode_comes_first_jhe_gets_each_event_and_each_sample_once() {
    for [first, then] in [["normalized", "raw"], ["raw", "normalized"]] {
        let mut scene = Scene::new();
        scene.world.set("JHE_OW_SECRET_KEY", "0123456789abcdef0123456789abcdef0123456789ab");
        let bucket = Bucket::start();
        use_bucket(&scene.world, &bucket);
        let (user, _) = scene.patient(40001);
        for code in CODES.iter().filter(|code| code.in_jhe_seed) {
            scene.jhe.answer_there(40001, code.code, true);
        }
        let wait = at(AFTER).since(scene.world.now);
        scene.world.pass(wait);
        scene.world.setting("ow.first_connect_window", "7d");
        put_captures(&bucket, &user);
        put_at_ow(&scene.world, &user);
        scene.world.setting("ow.ingest_mode", first);
        // JHE has no code for the time in bed.
        assert_eq!(scene.world.created(), 49);
        // Daily totals are sent once they are unchanged long enough.
        scene.world.pass(DAY * 2);
        assert_eq!(scene.export().code, 0);
        // JHE does not accept sleep stages.
        assert_eq!(scene.jhe.state().kept.len(), 46);
        scene.world.setting("ow.ingest_mode", then);
        scene.world.setting("ow.first_connect_window", "14d");
        assert_eq!(scene.world.created(), 49);
        // Observations left out of the first export wait until they are unchanged, too.
        for _ in 0..2 {
            scene.world.pass(DAY * 2);
            assert_eq!(scene.export().code, 0);
        }
        let state = scene.jhe.state();
        assert_eq!(state.kept.len(), 46, "first {first}, then {then}");
        assert!(state.kept.iter().all(|kept| kept.identifier.0 == format!("ow:{first}")));
    }
}

#[test]
fn a_revised_document_of_oura_is_a_revision_wherever_it_begins() {
    let (world, bucket) = world_after("raw");
    let (user, _) = patient(&world, &["omh:sleep-duration:2.0"]);
    let put = |name: &str, records: &[Value]| {
        bucket.put(&Bucket::key(STORED, &user, name), SLEEP, &list(records));
    };
    // Two nights that begin at the same time are two nights.
    let first = night("a", "2026-11-20T00:10:00+01:00", "2026-11-20T07:10:00+01:00", 23_400);
    let second = night("b", "2026-11-20T00:10:00+01:00", "2026-11-20T01:10:00+01:00", 3000);
    put("1", &[first, second]);
    assert_eq!(world.created(), 2);
    put("2", &[night("a", "2026-11-19T23:50:00+01:00", "2026-11-20T07:40:00+01:00", 24_000)]);
    assert_eq!(world.created(), 0);
    let place = |micros: u64| at(NIGHT).plus(std::time::Duration::from_micros(micros));
    let name = || "sleep_duration".to_owned();
    assert_eq!(stored_of(&world, "ow:raw"), [(name(), place(0), 24_000.0), (name(), place(1), 3000.0)]);
    let csv = world.run(&["observations", "--format", "csv"]).stdout;
    assert!(csv.contains("2026-11-19T23:50:00+01:00,24000,") && csv.contains(",1,,sleep_duration,"), "{csv}");
    // The later record of a document counts.
    let moved = night("c", "2026-11-21T00:30:00+01:00", "2026-11-21T07:10:00+01:00", 200);
    put("3", &[night("c", "2026-11-21T00:10:00+01:00", "2026-11-21T07:10:00+01:00", 100), moved]);
    assert_eq!(world.created(), 1);
    assert_eq!(stored_of(&world, "ow:raw").last().unwrap().2.to_string(), "200");
}

#[test]
fn non_sleep_is_dropped_silently_and_unreadable_records_are_rejected_once() {
    let (world, bucket) = world_after("raw");
    let (user, _) = patient(&world, &all_codes());
    let mut rest = night("a", "2026-11-20T00:10:00+01:00", "2026-11-20T07:10:00+01:00", 23_400);
    rest["type"] = "rest".into();
    let mut bad = night("b", "2026-11-20T14:10:00", "2026-11-20T15:10:00+01:00", 1800);
    bad["type"] = "late_nap".into();
    let nap = night("c", "2026-11-21T14:10:00+01:00", "2026-11-21T15:10:00+01:00", 1800);
    bucket.put(&Bucket::key(STORED, &user, "1"), SLEEP, &list(&[rest, bad, nap, json!(7)]));
    assert_eq!(world.created(), 5, "a night without stages gives all other observations");
    let rejected = world.run(&["rejected", "list"]).stdout;
    assert_eq!(rejected.matches("no time zone offset").count(), 1, "{rejected}");
    assert_eq!(rejected.matches("it is not an object").count(), 1, "{rejected}");
    assert!(!rejected.contains("\"rest\""), "{rejected}");
}

#[test]
fn a_record_yields_consented_types_only_and_the_rest_after_consent() {
    let (world, bucket) = world_after("raw");
    let (user, patient) = patient(&world, &["omh:step-count:3.0"]);
    put_captures(&bucket, &user);
    bucket.seen();
    assert_eq!(world.created(), 3);
    assert_eq!(counts(&world), counted(&[("steps", 3)]));
    let got = |bucket: &Bucket| {
        bucket.seen().iter().filter(|seen| seen.starts_with("GET ") && seen.contains(".json")).count()
    };
    assert_eq!(got(&bucket), 1, "objects without a consented type are not fetched");
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
    let consent = |code: &str, how: &str| world.consent_to(&patient, code, how);
    // Only the object that contains the newly consented type is read again.
    consent("omh:physical-activity:1.2", "--grant");
    bucket.seen();
    assert_eq!(world.created(), 4, "the activity days and the workout");
    assert_eq!(got(&bucket), 2);
    consent("omh:oxygen-saturation:2.0", "--grant");
    bucket.seen();
    assert_eq!((world.created(), got(&bucket)), (3, 1));
    let whole = counted(&[("steps", 3), ("daily_activity", 3), ("workout", 1), ("oxygen_saturation", 3)]);
    assert_eq!(counts(&world), whole);
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
}

#[test]
fn objects_without_metadata_are_recognised_despite_garbage() {
    let (world, bucket) = world_after("raw");
    let (user, _) = patient(&world, &all_codes());
    for &name in CAPTURES {
        let mut body = capture(name)["body"].clone();
        let records = body["data"].as_array_mut().unwrap();
        // Garbage, and a record of another endpoint.
        let stranger = if name == "raw-sleep" {
            json!({ "bpm": null, "timestamp": "x" })
        } else {
            night("x", "x", "x", 1)
        };
        records.splice(0..0, [Value::Null, json!({}), stranger.clone()]);
        records.extend(records.last().cloned());
        bucket.put_bare(&Bucket::key(STORED, &user, name), body.to_string().as_bytes());
    }
    let day = r#"{"data":[{"day":"2026-11-20","score":80}]}"#;
    bucket.put_bare(&Bucket::key(STORED, &user, "daily"), day.as_bytes());
    bucket.put_bare(&Bucket::key(STORED, &user, "one"), night("y", "x", "x", 1).to_string().as_bytes());
    bucket.put_bare(
        &Bucket::key(STORED, &user, "person"),
        br#"{"id":"p","age":31,"weight":70.5,"height":1.75}"#,
    );
    // Without metadata, the date is taken from the key.
    assert_eq!(world.created(), 52 + 2);
    let person =
        stored_of(&world, "ow:raw").into_iter().filter(|(name, ..)| name == "weight" || name == "height");
    let midnight = at("2026-11-23T00:00:00Z");
    let told = [("height".to_owned(), midnight, 175.0), ("weight".to_owned(), midnight, 70.5)];
    assert_eq!(person.collect::<Vec<_>>(), told);
    bucket.seen();
    assert_eq!((world.created(), bucket.object_requests()), (0, 0));
}

#[test]
fn a_weight_is_dated_by_its_object_and_stored_once_until_it_changes() {
    let (world, bucket) = world_after("raw");
    let (user, _) = patient(&world, &["omh:body-weight:3.0"]);
    let put = |day: &str, hour: u32, weight: f64| {
        let stored = format!("{day}T{hour:02}:00:00.104990+00:00");
        let body = json!({ "id": "p", "age": 31, "weight": weight, "height": 1.75 }).to_string();
        let metadata = [("trace_id", PERSON), ("timestamp", stored.as_str())];
        bucket.put_noted(&Bucket::key(day, &user, &hour.to_string()), &metadata, body.as_bytes());
        let micros = std::time::Duration::from_micros(104_990);
        ("weight".to_owned(), at(&format!("{day}T{hour:02}:00:00Z")).plus(micros), weight)
    };
    let first = put(STORED, 8, 70.5);
    for hour in 10..14 {
        put(STORED, hour, 70.5);
    }
    assert_eq!(world.created(), 1);
    assert_eq!(stored_of(&world, "ow:raw"), std::slice::from_ref(&first));
    let changed = put(STORED, 15, 71.0);
    put(STORED, 16, 71.0);
    assert_eq!(world.created(), 1);
    // A record found late repeats the first stored value, or it is a new historical value.
    let earlier = put("2026-11-10", 9, 69.0);
    put("2026-11-11", 9, 70.5);
    assert_eq!(world.run(&["poll", "--since", "2026-11-01"]).created(), 1);
    assert_eq!(stored_of(&world, "ow:raw"), [earlier, first, changed]);
}

#[test]
fn only_single_record_endpoints_may_omit_the_list() {
    let (world, bucket) = world_after("raw");
    let (user, _) = patient(&world, &all_codes());
    let body = night("a", "2026-11-20T00:10:00+01:00", "2026-11-20T07:10:00+01:00", 1).to_string();
    bucket.put(&Bucket::key(STORED, &user, "1"), SLEEP, body.as_bytes());
    let ran = world.poll();
    assert!(ran.code == 3 && ran.stderr.contains("it has no list of records"), "{ran:?}");
    let large = json!({ "weight": 70, "more": "x".repeat(70_000) }).to_string();
    bucket.put(&Bucket::key(STORED, &user, "2"), PERSON, large.as_bytes());
    let ran = world.poll();
    assert!(ran.code == 3 && ran.stderr.contains("larger than 64 KiB"), "{ran:?}");
}

#[test]
fn a_night_of_twelve_hours_with_its_curves_and_a_day_with_its_minutes_are_read() {
    let (world, bucket) = world_after("raw");
    let (user, _) = patient(&world, &all_codes());
    let mut long = night("a", "2026-11-20T00:00:00+01:00", "2026-11-20T12:00:00+01:00", 40_000);
    let curve =
        json!({ "interval": 300.0, "items": vec![103.5; 144], "timestamp": "2026-11-20T00:00:00.000+01:00" });
    for (key, value) in [
        ("heart_rate", curve.clone()),
        ("hrv", curve),
        ("movement_30_sec", "1".repeat(1440).into()),
        ("sleep_phase_30_sec", "2".repeat(1440).into()),
        ("sleep_phase_5_min", "2".repeat(144).into()),
    ] {
        long[key] = value;
    }
    let mut day = capture("raw-daily_activity")["body"]["data"][0].clone();
    day["met"] =
        json!({ "interval": 60.0, "items": vec![1.25; 1440], "timestamp": "2026-11-20T04:00:00.000+01:00" });
    day["class_5_min"] = "2".repeat(288).into();
    assert!(long.to_string().len() > 4000 && day.to_string().len() > 7000);
    bucket.put(&Bucket::key(STORED, &user, "1"), SLEEP, &list(&[long]));
    bucket.put(&Bucket::key(STORED, &user, "2"), ACTIVITY, &list(&[day]));
    assert_eq!(world.created(), 5 + 2);
}

#[test]
fn a_type_without_recent_data_does_not_widen_the_listing() {
    let (mut world, bucket) = world_after("raw");
    let (user, _) = patient(&world, &all_codes());
    put_captures(&bucket, &user);
    assert_eq!(world.created(), 52);
    // From now on the ring delivers heart rates only.
    for day in 24..=27 {
        world.pass(DAY);
        let at = format!("2026-11-{day}T20:00:00Z");
        bucket.put_heart_rates(&Bucket::key(&format!("2026-11-{day}"), &user, "1"), &[(&at, 60.0, "rest")]);
        assert_eq!(world.created(), 1);
    }
    bucket.seen();
    world.pass(FIVE_MINUTES);
    assert_eq!(world.created(), 0);
    let lists = bucket.seen().iter().filter(|seen| seen.contains("list-type")).count();
    assert_eq!(lists, 2, "the lists of today and of the day before the newest sample");
}

/// Puts a modified capture of a night into the bucket.
fn put_night(bucket: &Bucket, user: &str, name: &str, change: impl Fn(&mut serde_json::Value)) {
    let mut night = capture("raw-sleep");
    let mut body = night["body"].take();
    change(&mut body["data"][0]);
    body["data"].as_array_mut().unwrap().truncate(1);
    let endpoint = night["metadata"]["trace_id"].as_str().unwrap();
    bucket.put(
        &Bucket::key(crate::support::raw_payloads::TODAY, user, name),
        endpoint,
        body.to_string().as_bytes(),
    );
}

#[test]
fn a_night_that_is_complete_later_is_no_longer_listed_as_rejected() {
    let (world, bucket) = raw_world();
    let (user, patient) = world.patient_of(&["omh:sleep-duration:2.0", "omh:sleep-episode:1.1"], "UTC");
    put_night(&bucket, &user, "000000000001", |night| {
        night["bedtime_end"] = serde_json::Value::Null;
        night["total_sleep_duration"] = serde_json::Value::Null;
    });
    assert_eq!(world.created(), 0);
    assert_eq!(world.rejected().len(), 1, "{:?}", world.rejected());
    put_night(&bucket, &user, "000000000002", |night| {
        night["total_sleep_duration"] = Value::Null;
    });
    assert_eq!((world.created(), world.rejected()), (1, Vec::new()));
    assert_eq!(world.table(&patient).len(), 1);
    assert!(!world.run(&["doctor"]).stdout.contains("not converted"));
}

#[test]
fn a_night_that_the_wearer_deleted_is_deleted_or_marked_if_jhe_has_it() {
    let codes = ["omh:sleep-duration:2.0", "omh:sleep-episode:1.1"];
    let mut scene = Scene::new();
    let bucket = Bucket::start();
    scene.world.set("JHE_OW_SECRET_KEY", "0123456789abcdef0123456789abcdef0123456789ab");
    use_bucket(&scene.world, &bucket);
    for code in codes {
        scene.jhe.consent_to(40001, code, true, scene.world.now.minus(DAY));
    }
    let (user, patient) = scene.patient(40001);
    let delete = |night: &mut serde_json::Value| night["type"] = "deleted".into();
    // The night was not sent yet, so it is deleted completely.
    put_night(&bucket, &user, "000000000001", |_| {});
    assert_eq!(scene.world.run(&["poll", "--window", "3d"]).created(), 3);
    put_night(&bucket, &user, "000000000002", delete);
    scene.world.run(&["poll", "--window", "3d"]);
    assert_eq!(scene.world.table(&patient).len(), 0);
    assert!(scene.export().stdout.contains("Delivered 0"));
    // The night returns, JHE gets it, and it is deleted again: JHE cannot delete.
    put_night(&bucket, &user, "000000000003", |_| {});
    assert_eq!(scene.world.run(&["poll", "--window", "3d"]).created(), 3);
    assert!(scene.export().stdout.contains("Delivered 3"));
    put_night(&bucket, &user, "000000000004", delete);
    scene.world.run(&["poll", "--window", "3d"]);
    let fhir = scene.world.run(&["observations", "--format", "fhir"]).stdout;
    assert_eq!(fhir.matches("entered-in-error").count(), 3, "{fhir}");
    scene.world.pass(HOUR * 50);
    assert!(scene.export().stdout.contains("Delivered 0"));
    assert_eq!(scene.jhe.state().kept.len(), 3);
}
