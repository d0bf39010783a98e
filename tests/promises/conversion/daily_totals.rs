//! A daily total covers the local day, grows in revisions until the day is over, and is sent to JHE once.

use std::time::Duration;

use jhe_ow::common::time::Timestamp;
use jhe_ow::simulator::activity_day::ActivityDay;
use jhe_ow::simulator::request_log::OwRoute;
use jhe_ow::simulator::samples_table::{Row, Source};
use jhe_ow::simulator::simulated_ow::SimulatedOw;
use proptest::prelude::*;

use crate::support::connected_world::Scene;
use crate::support::harness::*;

const STEPS: &str = "omh:step-count:3.0";
const ACTIVITY: &str = "omh:physical-activity:1.2";
const MINUTE: Duration = Duration::from_mins(1);

/// Adds Oura's total of a day, which Oura stamps at four in the morning.
fn total(sim: &SimulatedOw, user: &str, stamp: &str, zone: &str, steps: f64) {
    sim.put_row(user, Row::of("steps", at(stamp), steps).with_zone(zone).with_daily_total(true));
}

/// Returns the start and end of the local day, as written in the document.
fn day(document: &serde_json::Value) -> (String, String) {
    let interval = &document["body"]["effective_time_frame"]["time_interval"];
    let text = |end: &str| interval[end].as_str().unwrap().to_owned();
    (text("start_date_time"), text("end_date_time"))
}

fn hours(line: &Line) -> u64 {
    line.end.map_or(0, |end| end.since(line.start).as_secs() / 3600)
}

#[test]
fn a_total_grows_all_day_as_revisions_of_one_observation() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[STEPS], "Europe/Berlin");
    let mut created = 0;
    for tick in 1..=8_u32 {
        total(&world.sim, &user, "2026-11-21T03:00:00Z", "+01:00", f64::from(tick * 1000));
        created += world.created() + world.created();
        world.pass(FIVE_MINUTES * 3);
    }
    let table = world.table(&patient);
    assert_eq!(
        (created, table.len(), table[0].value.to_string().as_str(), table[0].revision),
        (1, 1, "8000", 7)
    );
    let document = &world.documents(&patient)[0];
    assert_eq!(document["body"]["step_count"], serde_json::json!({ "value": 8000, "unit": "steps" }));
    let whole = ("2026-11-21T00:00:00+01:00".to_owned(), "2026-11-22T00:00:00+01:00".to_owned());
    assert_eq!(day(document), whole);
}

#[test]
fn a_total_is_sent_after_two_days_unchanged_and_covers_the_whole_day() {
    let mut scene = Scene::new();
    scene.jhe.consent_to(40001, STEPS, true, scene.world.now.minus(DAY));
    let (user, _) = scene.patient(40001);
    let sent = |scene: &Scene| {
        scene.export();
        scene.jhe.state().kept.iter().map(|kept| kept.document.clone()).collect::<Vec<_>>()
    };
    for tick in 1..=12_u32 {
        total(&scene.world.sim, &user, "2026-11-21T04:00:00Z", "+00:00", f64::from(tick * 700));
        assert_eq!(scene.world.poll().code, 0);
        assert!(sent(&scene).is_empty());
        scene.world.pass(HOUR);
    }
    scene.world.pass(MINUTE * (47 * 60 - 1));
    assert!(sent(&scene).is_empty());
    scene.world.pass(MINUTE);
    let documents = sent(&scene);
    assert_eq!((documents.len(), &documents[0]["body"]["step_count"]["value"]), (1, &8400.into()));
    let whole = ("2026-11-21T00:00:00Z".to_owned(), "2026-11-22T00:00:00Z".to_owned());
    assert_eq!(day(&documents[0]), whole);
    scene.world.pass(DAY);
    assert_eq!((scene.world.created(), sent(&scene).len()), (0, 1));
}

#[test]
fn a_day_of_a_clock_change_has_23_or_25_hours() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[STEPS], "Europe/Berlin");
    for (stamp, zone) in [
        ("2026-10-24T02:00:00Z", "+02:00"),
        ("2026-10-25T03:00:00Z", "+01:00"),
        ("2026-10-26T03:00:00Z", "+01:00"),
    ] {
        total(&world.sim, &user, stamp, zone, 5000.0);
    }
    assert_eq!(world.run(&["poll", "--window", "35d"]).created(), 3);
    world.pass(at("2027-03-29T12:00:00Z").since(world.now));
    total(&world.sim, &user, "2027-03-28T02:00:00Z", "+02:00", 5000.0);
    total(&world.sim, &user, "2027-03-29T02:00:00Z", "+02:00", 5000.0);
    world.created();
    let table = world.table(&patient);
    assert_eq!(table.iter().map(hours).collect::<Vec<_>>(), [24, 25, 24, 23, 24]);
    assert!(table.iter().all(|line| line.local.contains("T00:00:00")), "{table:?}");
    let autumn = world.documents(&patient).into_iter().nth(1).unwrap();
    assert_eq!(
        day(&autumn),
        ("2026-10-25T00:00:00+02:00".to_owned(), "2026-10-26T00:00:00+01:00".to_owned())
    );
}

#[test]
fn a_travellers_days_follow_the_local_time_of_the_samples() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[STEPS], "America/New_York");
    total(&world.sim, &user, "2026-11-20T09:00:00Z", "-05:00", 5000.0);
    total(&world.sim, &user, "2026-11-20T19:00:00Z", "+09:00", 6000.0);
    // Garmin stamps local midnight; without an offset the patient's zone applies, and a bare date means that day.
    let garmin = Row::of("steps", at("2026-11-20T15:00:00Z"), 7000.0).with_zone("+09:00");
    world.sim.put_row(&user, garmin.with_provider("garmin").with_daily_total(true));
    let bare = Row::of("steps", at("2026-11-21T00:00:00Z"), 8000.0);
    world.sim.put_row(&user, bare.with_provider("sensorbio").with_daily_total(true));
    assert_eq!(world.run(&["poll", "--window", "7d"]).created(), 4);
    let days: Vec<(String, String)> =
        world.table(&patient).into_iter().map(|line| (line.provider.clone(), line.local)).collect();
    let expected = [
        ("garmin", "2026-11-21T00:00:00+09:00"),
        ("oura", "2026-11-20T00:00:00-05:00"),
        ("oura", "2026-11-21T00:00:00+09:00"),
        ("sensorbio", "2026-11-21T00:00:00-05:00"),
    ];
    assert_eq!(days, expected.map(|(provider, local)| (provider.to_owned(), local.to_owned())));
}

#[test]
fn the_parts_of_a_day_and_its_total_are_separate_observations() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[STEPS], "UTC");
    let midnight = at("2026-11-21T00:00:00Z");
    for quarter in 1..=40_u32 {
        let row = Row::of("steps", midnight.plus(FIVE_MINUTES * 3 * quarter), f64::from(quarter));
        world.sim.put_row(&user, row.with_zone("+00:00").with_provider("garmin").with_daily_total(false));
    }
    let whole = Row::of("steps", midnight, 820.0).with_zone("+00:00");
    world.sim.put_row(&user, whole.with_provider("garmin").with_daily_total(true));
    assert_eq!((world.created(), world.created()), (41, 0));
    let (totals, parts): (Vec<_>, Vec<_>) =
        world.table(&patient).into_iter().partition(|line| hours(line) == 24);
    assert_eq!((totals.len(), totals[0].value.to_string()), (1, "820".to_owned()));
    assert!(parts.iter().all(|line| line.end == Some(line.start.plus(FIVE_MINUTES * 3))), "{parts:?}");
    assert_eq!(parts.iter().map(|line| line.value).sum::<f64>().to_string(), "820");
}

fn active(date: &str, provider: &str, kcal: f64, meters: Option<f64>) -> ActivityDay {
    let source = Source::of(provider);
    ActivityDay { source, active_calories: Some(kcal), distance: meters, ..ActivityDay::of(date, 4000) }
}

#[test]
fn the_activity_of_a_day_is_revised_and_another_provider_is_another_observation() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[ACTIVITY], "Europe/Berlin");
    world.sim.put_activity(&user, active("2026-11-20", "oura", 300.0, Some(5200.0)));
    world.sim.put_activity(&user, active("2026-11-21", "oura", 120.5, None));
    // A day of zeros has no measurements.
    world.sim.put_activity(&user, active("2026-11-19", "oura", 0.0, None));
    assert_eq!((world.created(), world.created()), (2, 0));
    let before = world.table(&patient);
    world.pass(HOUR);
    world.sim.put_activity(&user, active("2026-11-21", "oura", 210.0, Some(900.0)));
    assert_eq!((world.created(), world.created()), (0, 0));
    let after = world.table(&patient);
    assert_eq!((after.len(), after[1].revision, after[1].uuid()), (2, 1, before[1].uuid()));
    assert_eq!(
        (after[1].measures["energy"].as_f64(), after[1].measures["distance"].as_f64()),
        (Some(210.0), Some(900.0))
    );
    assert_eq!(after[1].local, "2026-11-21T00:00:00+01:00");
    assert_eq!(hours(&after[1]), 24);
    // A watch syncs, and OW shows the watch's day instead.
    world.sim.put_activity(&user, active("2026-11-21", "garmin", 240.0, Some(950.0)));
    assert_eq!((world.created(), world.created()), (1, 0));
    let providers: Vec<(String, u64)> =
        world.table(&patient).into_iter().map(|line| (line.provider, line.revision)).collect();
    let expected = [("garmin", 0), ("oura", 0), ("oura", 1)];
    assert_eq!(providers, expected.map(|(provider, revision)| (provider.to_owned(), revision)));
    let routes: Vec<OwRoute> = world.sim.requested_types(&user).into_keys().collect();
    assert_eq!(routes, [OwRoute::Workouts, OwRoute::Activity, OwRoute::Other], "no samples were requested");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]

    #[test]
    fn totals_that_grow_are_one_observation_a_day_with_the_last_value(
        growth in prop::collection::vec((0..4_u32, 0..3_u32), 1..10),
        hour in 0..24_u32,
    ) {
        let mut world = World::new();
        let (user, patient) = world.patient_of(&[STEPS], "Pacific/Auckland");
        world.pass(HOUR * hour);
        // Four days with their steps so far; several may grow before a tick.
        let mut steps = [0_u32; 4];
        let mut created = 0;
        let mut seen: Vec<(u32, u32)> = vec![(0, 0); 4];
        for (day, ticks) in growth {
            let place = usize::try_from(day).unwrap();
            steps[place] += 100;
            let stamp: Timestamp = at("2026-11-17T15:00:00Z").plus(DAY * day);
            let row = Row::of("steps", stamp, f64::from(steps[place])).with_zone("+13:00");
            world.sim.put_row(&user, row.with_daily_total(true));
            if ticks > 0 {
                let window = world.run(&["poll", "--since", "2026-11-15"]);
                prop_assert_eq!(window.code, 0);
                created += window.created();
                for (place, steps) in steps.iter().enumerate().filter(|(_, steps)| **steps > 0) {
                    let (last, revisions) = seen[place];
                    if last != *steps {
                        seen[place] = (*steps, revisions + u32::from(last > 0));
                    }
                }
                world.pass(FIVE_MINUTES * ticks);
            }
        }
        let kept = world.table(&patient);
        let expected: Vec<(f64, u64)> = seen
            .into_iter()
            .filter(|(steps, _)| *steps > 0)
            .map(|(steps, revisions)| (f64::from(steps), u64::from(revisions)))
            .collect();
        prop_assert_eq!(kept.iter().map(|line| (line.value, line.revision)).collect::<Vec<_>>(), expected);
        prop_assert_eq!(created, kept.len() as u64);
        prop_assert!(kept.iter().all(|line| hours(line) == 24 && line.local.ends_with("T00:00:00+13:00")));
    }
}

#[test]
fn a_total_that_ow_marks_only_later_is_the_same_observation_over_its_day() {
    let mut scene = Scene::new();
    scene.jhe.consent_to(40001, STEPS, true, scene.world.now.minus(DAY));
    let (user, patient) = scene.patient(40001);
    // Parts exist too, at other instants; two days' totals are not flagged at first.
    let put = |scene: &Scene, stamp: &str, steps: f64, flag: Option<bool>| {
        let row = Row::of("steps", at(stamp), steps).with_zone("+00:00").with_provider("oura");
        scene.world.sim.put_row(&user, flag.map_or(row.clone(), |flag| row.with_daily_total(flag)));
    };
    put(&scene, "2026-11-21T08:00:00Z", 500.0, None);
    put(&scene, "2026-11-20T00:00:00Z", 9000.0, None);
    put(&scene, "2026-11-21T00:00:00Z", 700.0, None);
    assert_eq!(scene.world.run(&["poll", "--window", "3d"]).created(), 3);
    scene.export();
    let names: Vec<String> = scene.jhe.state().kept.iter().map(|kept| kept.identifier.1.clone()).collect();
    put(&scene, "2026-11-20T00:00:00Z", 9000.0, Some(true));
    put(&scene, "2026-11-21T00:00:00Z", 900.0, Some(true));
    for _ in 0..2 {
        let ran = scene.world.run(&["poll", "--window", "3d"]);
        assert_eq!(ran.created(), 0, "{ran:?}");
        let table = scene.world.table(&patient);
        let lines: Vec<(u64, String, u64)> =
            table.iter().map(|line| (hours(line), line.value.to_string(), line.revision)).collect();
        let expected = [(24, "9000", 1), (24, "900", 1), (0, "500", 0)];
        assert_eq!(lines, expected.map(|(hours, value, revision)| (hours, value.to_owned(), revision)));
    }
    scene.world.pass(HOUR * 49);
    scene.export();
    let kept = scene.jhe.state().kept.clone();
    let corrected: Vec<(&str, f64)> = kept[3..]
        .iter()
        .map(|kept| {
            (kept.identifier.1.as_str(), kept.document["body"]["step_count"]["value"].as_f64().unwrap())
        })
        .collect();
    let has = |value: f64| {
        corrected.iter().any(|(name, sent)| {
            sent.to_bits() == value.to_bits()
                && name.ends_with("#r1")
                && names.contains(&name.replace("#r1", ""))
        })
    };
    assert!(corrected.len() == 2 && has(9000.0) && has(900.0), "{corrected:?} must follow {names:?}");
    // OW drops the flag; the total stays a daily total.
    put(&scene, "2026-11-20T00:00:00Z", 9100.0, None);
    let ran = scene.world.run(&["poll", "--window", "5d"]);
    assert_eq!(ran.created(), 0, "{ran:?}");
    let table = scene.world.table(&patient);
    assert_eq!((table.len(), hours(&table[0]), table[0].value.to_string()), (3, 24, "9100".to_owned()));
}

#[test]
fn an_offset_that_ow_learns_later_moves_the_day_and_a_profile_does_not() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[STEPS], "UTC");
    let stamp = "2026-11-21T02:00:00Z";
    world.sim.put_row(&user, Row::of("steps", at(stamp), 4000.0).with_daily_total(true));
    assert_eq!(world.created(), 1);
    let start = |world: &World| world.table(&patient)[0].local.clone();
    assert_eq!(start(&world), "2026-11-21T00:00:00Z");
    total(&world.sim, &user, stamp, "-05:00", 4000.0);
    assert_eq!(world.created(), 0);
    assert_eq!((start(&world), world.table(&patient).len()), ("2026-11-20T00:00:00-05:00".to_owned(), 1));
    assert_eq!(world.table(&patient)[0].revision, 1);
    world.sim.put_row(&user, Row::of("steps", at(stamp), 4000.0).with_daily_total(true));
    assert_eq!(world.created(), 0);
    assert_eq!(start(&world), "2026-11-20T00:00:00-05:00", "a known offset is kept");
}

#[test]
fn a_flag_that_ow_loses_does_not_lose_the_next_value() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[STEPS], "UTC");
    let stamp = "2026-11-21T03:00:00Z";
    total(&world.sim, &user, stamp, "+00:00", 5000.0);
    assert_eq!(world.created(), 1);
    world.sim.put_row(&user, Row::of("steps", at(stamp), 6000.0).with_zone("+00:00"));
    for _ in 0..2 {
        assert_eq!(world.created(), 0);
        let table = world.table(&patient);
        assert_eq!((table.len(), table[0].value.to_string(), table[0].revision), (1, "6000".to_owned(), 1));
        assert_eq!(hours(&table[0]), 24);
    }
}
