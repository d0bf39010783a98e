//! Every vital sign of the catalogue is stored once, with its own body, unit and code, where the patient consents.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jhe_ow::common::time::{Timestamp, ZoneOffset};
use jhe_ow::model::catalog::code::CODES;
use jhe_ow::model::catalog::series::SERIES;
use jhe_ow::model::catalog::series_type::Aggregation;
use jhe_ow::model::catalog::series_type::{OmhBody, OwEndpoint, SeriesType};
use jhe_ow::simulator::activity_day::ActivityDay;
use jhe_ow::simulator::event::{Event, SleepStage};
use jhe_ow::simulator::request_log::OwRoute;
use jhe_ow::simulator::samples_table::Row;
use jhe_ow::simulator::vitals::compute_vitals;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::connected_world::Scene;
use crate::support::harness::*;

const WEIGHT: &str = "omh:body-weight:3.0";
const EPISODE: &str = "omh:sleep-episode:1.1";
const GLUCOSE: &str = "omh:blood-glucose:4.0";
const TEMPERATURE: &str = "omh:body-temperature:4.0";
const STEPS: &str = "omh:step-count:3.0";

/// Returns every code of the catalogue.
fn all_codes() -> Vec<&'static str> {
    SERIES.iter().map(|series| series.code).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Returns the types with one value at an instant, and the bodies of their data points.
fn instants() -> impl Iterator<Item = (&'static SeriesType, &'static str, &'static str)> {
    SERIES.iter().filter_map(|series| match series.body {
        OmhBody::Value(key, unit) => Some((series, key, unit)),
        _ => None,
    })
}

fn schema(document: &Value) -> String {
    let part = |name: &str| document["header"]["schema_id"][name].as_str().unwrap();
    format!("{}:{}:{}", part("namespace"), part("name"), part("version"))
}

#[test]
fn each_instant_arrives_once_with_its_body_its_unit_and_its_code() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&all_codes(), "UTC");
    let moment = world.now.minus(HOUR);
    let mut expected = Vec::new();
    for (place, (series, key, unit)) in (40_u32..).zip(instants()) {
        let (low, high) = series.limits.chart;
        let (at, value) = (moment.plus(Duration::from_secs(u64::from(place))), f64::midpoint(low, high));
        world.sim.put_row(
            &user,
            Row::of(series.timeseries_types()[0], at, value).with_provider("apple").with_zone("+02:00"),
        );
        let time = at.local(ZoneOffset::from_minutes(120)).to_string();
        let mut body = json!({ key: { "value": value, "unit": unit } });
        body["effective_time_frame"] = match series.aggregation {
            Aggregation::Range => json!({ "date_time": time }),
            // The length of a partial count is unknown.
            Aggregation::Sum => {
                json!({ "time_interval": { "start_date_time": time, "end_date_time": time } })
            }
        };
        match series.series_type {
            "resting_heart_rate" => body["temporal_relationship_to_physical_activity"] = "at rest".into(),
            "walking_heart_rate_average" | "average_met" => body["descriptive_statistic"] = "average".into(),
            _ => {}
        }
        expected.push((series.code.to_owned(), body.to_string()));
    }
    let created = u64::try_from(expected.len()).unwrap();
    assert_eq!(
        (world.created(), world.created()),
        (created + 1, 0),
        "OW's daily summary adds one observation"
    );
    let documents = world.documents(&patient);
    let mut found: Vec<(String, String)> =
        documents.iter().map(|document| (schema(document), document["body"].to_string())).collect();
    found.retain(|(code, _)| code != "omh:physical-activity:1.2");
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    world.pass(DAY);
    assert_eq!((world.created(), world.rejected()), (0, vec![]), "the weekly read creates nothing new");
}

#[test]
fn another_unit_is_converted_where_that_is_exact_and_else_rejected_with_its_reason() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[WEIGHT, GLUCOSE, TEMPERATURE, HEART_RATE, STEPS], "UTC");
    let at = world.now.minus(HOUR);
    for (series, value, unit) in [
        ("weight", 150.0, "lb"),
        ("blood_glucose", 5.5, "mmol/L"),
        ("body_temperature", 98.6, "fahrenheit"),
        ("heart_rate", 1.2, "Hz"),
        ("steps", 3.1, "km"),
    ] {
        world.sim.put_row(&user, Row::of(series, at, value).with_provider("apple").with_unit(unit));
    }
    world.sim.put_row(
        &user,
        Row::of("weight", at.plus(HOUR / 2), 8000.0).with_provider("garmin").with_unit("count"),
    );
    assert_eq!((world.created(), world.created()), (3, 0));
    let kept: Vec<(String, String, String)> = world
        .table(&patient)
        .into_iter()
        .map(|line| (line.series, format!("{:.4}", line.value), line.unit))
        .collect();
    let expected = [
        ("blood_glucose", "99.0858", "mg/dL"),
        ("body_temperature", "37.0000", "C"),
        ("weight", "68.0389", "kg"),
    ];
    assert_eq!(kept, expected.map(|(series, value, unit)| (series.into(), value.into(), unit.into())));
    let told = world.rejected();
    assert_eq!(told.len(), 3);
    for why in
        ["its unit is 'Hz', not 'bpm'", "its unit is 'km', not 'count'", "its unit is 'count', not 'kg'"]
    {
        assert!(told.iter().any(|one| one.contains(why)), "{why}: {told:?}");
    }
}

#[test]
fn ouras_sleep_averages_are_marked_as_asleep_and_average() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE, "omh:oxygen-saturation:2.0"], "Europe/Berlin");
    let (rest, mean) = ("resting_heart_rate", "oxygen_saturation");
    world.sim.put_row(&user, Row::of(rest, world.now.minus(HOUR * 13), 51.0));
    world.sim.put_row(&user, Row::of(rest, world.now.minus(HOUR * 12), 55.0).with_provider("garmin"));
    world.sim.put_row(&user, Row::of(mean, at("2026-11-21T00:00:00Z"), 97.5));
    assert_eq!(world.created(), 3);
    let bodies: Vec<Value> =
        world.documents(&patient).iter().map(|document| document["body"].clone()).collect();
    let asleep = |body: &Value| body["temporal_relationship_to_sleep"] == "during sleep";
    assert_eq!(bodies.iter().filter(|body| asleep(body)).count(), 2, "{bodies:?}");
    let mean = bodies.iter().find(|body| body["descriptive_statistic"] == "average").unwrap();
    let interval = &mean["effective_time_frame"]["time_interval"];
    assert_eq!(interval["start_date_time"], "2026-11-21T00:00:00+01:00");
}

#[test]
fn an_equal_weight_with_a_new_timestamp_is_no_new_observation() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[WEIGHT], "UTC");
    let mut created = Vec::new();
    for value in [70.0, 70.0, 71.0, 71.0, 70.0, 70.0] {
        for provider in ["oura", "garmin"] {
            world.sim.put_row(&user, Row::of("weight", world.now.minus(HOUR), value).with_provider(provider));
        }
        created.push(world.created());
        world.pass(HOUR * 5);
    }
    // Garmin stamps the time of the weighing.
    assert_eq!(created, [2, 1, 2, 1, 2, 1]);
    let ours = |line: &&Line| line.provider == "oura";
    let values: Vec<f64> = world.table(&patient).iter().filter(ours).map(|line| line.value).collect();
    assert_eq!(format!("{values:?}"), "[70.0, 71.0, 70.0]");
}

/// Returns the types requested from OW for a patient who consents to these codes, by route.
fn requested_types(codes: &[&str]) -> BTreeMap<OwRoute, BTreeSet<String>> {
    let mut world = World::new();
    let (user, _) = world.patient_of(codes, "UTC");
    for _ in 0..9 {
        world.pass(DAY);
        assert_eq!(world.poll().code, 0);
    }
    pages_of(&world, &user)
}

/// The user and the connections are requested daily, whatever the consent.
fn pages_of(world: &World, user: &str) -> BTreeMap<OwRoute, BTreeSet<String>> {
    let mut asked = world.sim.requested_types(user);
    asked.remove(&OwRoute::Other);
    asked
}

#[test]
fn only_consented_types_are_requested() {
    let set = |types: &[&str]| types.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
    for code in all_codes() {
        let of: Vec<&SeriesType> = SERIES.iter().filter(|series| series.code == code).collect();
        let mut expected = BTreeMap::new();
        for series in &of {
            match series.origin {
                OwEndpoint::Timeseries(types) => {
                    // The daily comparison requests counts of samples.
                    expected.entry(OwRoute::Counts).or_insert_with(BTreeSet::new);
                    expected.entry(OwRoute::Timeseries).or_insert_with(BTreeSet::new).extend(set(types));
                }
                OwEndpoint::Sleep => drop(expected.insert(OwRoute::Sleep, set(&[]))),
                OwEndpoint::Workouts => drop(expected.insert(OwRoute::Workouts, set(&[]))),
                OwEndpoint::Activity => drop(expected.insert(OwRoute::Activity, set(&[]))),
            }
        }
        assert_eq!(requested_types(&[code]), expected, "{code}");
    }
}

#[test]
fn a_withdrawn_scope_is_no_longer_requested_and_the_others_are() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE, WEIGHT, EPISODE], "UTC");
    let put = |world: &World| {
        world.sim.put(&user, world.now.minus(HOUR), 60.0);
        world.sim.put_row(&user, Row::of("weight", world.now.minus(HOUR), 70.0).with_provider("garmin"));
        world.sim.put_event(&user, Event::nap(world.now.minus(HOUR), world.now.minus(HOUR / 2)));
    };
    put(&world);
    assert_eq!(world.created(), 3);
    for code in [WEIGHT, EPISODE] {
        assert_eq!(world.run(&["patient", "consent", &patient, code, "--withdraw"]).code, 0);
    }
    world.sim.forget_requests();
    world.pass(HOUR * 3);
    put(&world);
    assert_eq!(world.created(), 1);
    let heart = ["heart_rate", "resting_heart_rate"].map(str::to_owned);
    assert_eq!(pages_of(&world, &user), BTreeMap::from([(OwRoute::Timeseries, BTreeSet::from(heart))]));
}

#[test]
fn a_scope_withdrawn_during_the_read_is_not_stored() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE, EPISODE], "UTC");
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.sim.put_event(&user, Event::nap(world.now.minus(HOUR), world.now.minus(HOUR / 2)));
    let (database, once, now) = (world.database(), AtomicBool::new(true), world.now.micros());
    world.sim.on_page(move |_, _| {
        if once.swap(false, Ordering::SeqCst) {
            let db = rusqlite::Connection::open(&database).unwrap();
            let sleep =
                "UPDATE consents SET withdrawn_at = ? WHERE code_id IN (SELECT id FROM codes WHERE code = ?)";
            assert_eq!(db.execute(sleep, (now, EPISODE)).unwrap(), 1);
        }
    });
    assert_eq!(world.poll().code, 3);
    let kept: Vec<String> = world.table(&patient).into_iter().map(|line| line.series).collect();
    assert_eq!(kept, ["heart_rate"]);
}

#[test]
fn a_tick_needs_at_most_thirteen_requests() {
    let mut world = World::new();
    // Fixes the page size, so that no process has to determine it.
    world.sim.set_page_cap(1000);
    let (user, _) = world.patient_of(&all_codes(), "UTC");
    for (series, silent) in [("forced_vital_capacity", 140), ("body_temperature", 45), ("height", 15)] {
        world.sim.put_row(&user, Row::of(series, world.now.minus(HOUR), 37.0).with_provider("apple"));
        assert_eq!(world.created(), 1);
        world.pass(DAY * silent);
    }
    // Types silent for 200, 60 and 15 days cost one request each; nights, workouts and days one each.
    let mut known = world.now.minus(DAY * 3);
    let mut pages = Vec::new();
    for _ in 0..24 {
        let brought = compute_vitals(7, true, known, world.now);
        brought.rows.into_iter().for_each(|row| world.sim.put_row(&user, row));
        for event in brought.events {
            world.sim.put_event(&user, event);
        }
        world.sim.fill(&user, known, world.now, FIVE_MINUTES, 7);
        known = world.now;
        world.sim.forget_requests();
        assert_eq!(world.poll().code, 0);
        pages.push(world.sim.data_requests().iter().filter(|asked| asked.route != OwRoute::Other).count());
        world.pass(HOUR);
    }
    assert_eq!((pages.iter().min(), pages.iter().max()), (Some(&9), Some(&13)), "{pages:?}");
}

#[test]
fn each_type_that_jhe_has_a_code_for_arrives_there_once() {
    let mut scene = Scene::new();
    let of_jhe = |code: &&str| {
        CODES.iter().any(|known| known.code == *code && known.in_jhe_seed && known.is_sent_to_jhe())
    };
    let codes: Vec<&str> = all_codes().into_iter().filter(of_jhe).collect();
    for code in &codes {
        scene.jhe.consent_to(40001, code, true, scene.world.now.minus(DAY));
    }
    let (user, patient) = scene.patient(40001);
    let (sim, now) = (&scene.world.sim, scene.world.now);
    for name in SERIES.iter().flat_map(SeriesType::timeseries_types) {
        sim.put_row(&user, Row::of(name, now.minus(HOUR), 42.0).with_zone("+01:00"));
    }
    let (start, end) = (now.minus(HOUR * 12), now.minus(HOUR * 5));
    let rem = SleepStage { stage: "rem".into(), start, end };
    sim.put_event(&user, Event::night(start, end, vec![rem]));
    sim.put_event(&user, Event::workout("running", now.minus(HOUR * 3), now.minus(HOUR * 2)));
    let walked = ActivityDay { active_calories: Some(310.5), ..ActivityDay::of("2026-11-21", 6000) };
    sim.put_activity(&user, walked);
    assert_eq!(scene.world.created(), 15);
    assert_eq!(scene.export().code, 0);
    // The day's total is sent once the day is over and the total is unchanged long enough.
    scene.world.pass(DAY * 2);
    assert_eq!(scene.export().code, 0);
    let sent: BTreeSet<String> = scene.jhe.state().kept.iter().map(|kept| kept.code.clone()).collect();
    assert_eq!(sent, codes.iter().map(ToString::to_string).collect());
    let mut names: Vec<String> =
        scene.jhe.state().kept.iter().map(|kept| kept.identifier.1.clone()).collect();
    let mut ours: Vec<String> = scene.world.table(&patient).into_iter().map(|line| line.name).collect();
    names.sort();
    ours.sort();
    assert_eq!(names, ours);
    assert_eq!((scene.world.created(), scene.export().stdout.contains("Delivered 0")), (0, true));
}

/// A type, a minute, and an optional UTC offset in quarter hours.
fn placed() -> impl Strategy<Value = (usize, u32, Option<i64>)> {
    (0..12_usize, 0..600_u32, prop::option::of(-48..=56_i64))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn every_offset_is_stored_and_changes_neither_instant_nor_identifier(all in prop::collection::vec(placed(), 1..60)) {
        let world = World::new();
        let (user, patient) = world.patient_of(&all_codes(), "Asia/Kathmandu");
        let began = world.now.minus(HOUR * 11);
        let mut expected: BTreeMap<(&str, Timestamp), Option<i64>> = BTreeMap::new();
        let put = |name: &str, at: Timestamp, minutes: Option<i64>| {
            let zone = minutes.map(|minutes| {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            });
            let row = Row::of(name, at, 60.0).with_provider("apple");
            world.sim.put_row(&user, Row { zone, ..row });
        };
        for (place, minute, quarters) in all {
            let name = instants().nth(place).unwrap().0.series_type;
            let at = began.plus(Duration::from_mins(u64::from(minute)));
            let minutes = quarters.map(|quarters| quarters * 15);
            put(name, at, minutes);
            expected.insert((name, at), minutes);
        }
        prop_assert_eq!((world.created(), world.created()), (expected.len() as u64, 0));
        let before = world.table(&patient);
        prop_assert_eq!(before.len(), expected.len());
        for line in &before {
            let minutes = expected[&(line.series.as_str(), line.start)];
            let local = line.start.local(minutes.and_then(ZoneOffset::from_minutes)).to_string();
            prop_assert_eq!(&line.local, &local);
        }
        // The same instants with another offset: a revision if an offset was known, and the same identifier.
        for (name, at) in expected.keys() {
            put(name, *at, Some(-210));
        }
        prop_assert_eq!(world.run(&["poll", "--window", "1d"]).created(), 0);
        let after = world.table(&patient);
        for (old, new) in before.iter().zip(&after) {
            let known = expected[&(old.series.as_str(), old.start)];
            prop_assert_eq!((new.uuid(), new.start), (old.uuid(), old.start));
            prop_assert_eq!(new.revision, u64::from(known.is_some_and(|minutes| minutes != -210)));
            prop_assert!(new.local.ends_with("-03:30"));
        }
    }
}
