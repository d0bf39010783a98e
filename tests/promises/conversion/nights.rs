//! A night is stored once, however OW changes, merges or splits it afterwards.

use std::time::Duration;

use jhe_ow::common::time::Timestamp;
use jhe_ow::simulator::event::{Event, SleepStage};
use jhe_ow::simulator::fault::Fault;
use jhe_ow::simulator::request_log::OwRoute;
use jhe_ow::simulator::samples_table::Source;

use crate::support::connected_world::Scene;
use crate::support::harness::*;

const EPISODE: &str = "omh:sleep-episode:1.1";
const DURATION: &str = "omh:sleep-duration:2.0";
const STAGES: &str = "ieee:sleep-stage-summary:1.0";
const IN_BED: &str = "ieee:time-in-bed:1.0";
const MINUTE: Duration = Duration::from_mins(1);

/// Returns a night of these stages, one hour each.
fn night(start: Timestamp, stages: &[&str]) -> Event {
    let mut from = start;
    let mut intervals = Vec::new();
    for stage in stages {
        let end = from.plus(HOUR);
        intervals.push(SleepStage { stage: (*stage).to_owned(), start: from, end });
        from = end;
    }
    Event::night(start, from, intervals)
}

const EIGHT: &[&str] = &["light", "deep", "light", "awake", "light", "rem", "light", "rem"];

/// Returns the night before noon, the time of the tick.
fn last_night(world: &World) -> Event {
    night(world.now.minus(HOUR * 14), EIGHT)
}

fn device(name: &str) -> Source {
    Source { device: Some(name.to_owned()), ..Source::of("garmin") }
}

#[test]
fn a_night_gives_episode_duration_stages_and_time_in_bed_each_once() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE, DURATION, STAGES, IN_BED], "Europe/Berlin");
    let event = last_night(&world).with_zone(Some("+01:00"));
    world.sim.put_event(&user, event.clone());
    assert_eq!((world.created(), world.created()), (4, 0));
    let table = world.table(&patient);
    let of: Vec<(&str, &str, f64)> =
        table.iter().map(|line| (line.series.as_str(), line.code.as_str(), line.value / 3600.0)).collect();
    let expected = [
        ("sleep_duration", DURATION, 7.0),
        ("sleep_episode", EPISODE, 7.0),
        ("sleep_stage_summary", STAGES, 7.0),
        ("time_in_bed", IN_BED, 8.0),
    ];
    assert_eq!(of, expected);
    assert!(table.iter().all(|line| (line.start, line.end) == (event.start, Some(event.end))), "{table:?}");
    assert_eq!(table[0].local, "2026-11-20T23:00:00+01:00");
    let measures = &table[2].measures;
    assert_eq!((&measures["rem_sleep"], &measures["awake"]), (&7200.0.into(), &3600.0.into()));
    let names: std::collections::BTreeSet<&str> = table.iter().map(Line::uuid).collect();
    assert_eq!(names.len(), 4);
    let asked: Vec<OwRoute> = world.sim.requested_types(&user).into_keys().collect();
    assert_eq!(asked, [OwRoute::Sleep, OwRoute::Other], "no samples were requested");
}

#[test]
fn a_night_that_changes_in_place_becomes_a_revision() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE, STAGES], "UTC");
    let id = world.sim.put_event(&user, last_night(&world));
    assert_eq!(world.created(), 2);
    let before = world.table(&patient);
    // The corrected night began earlier and ended later, with other stages.
    let longer = night(
        world.now.minus(HOUR * 15),
        &["light", "deep", "deep", "rem", "light", "rem", "light", "rem", "awake", "rem"],
    );
    world.sim.update_event(&user, id, longer.clone());
    for _ in 0..3 {
        world.pass(FIVE_MINUTES * 3);
        assert_eq!(world.created(), 0);
        let after = world.table(&patient);
        assert_eq!(after.len(), 2);
        for (old, new) in before.iter().zip(&after) {
            assert_eq!((new.uuid(), new.revision), (old.uuid(), 1), "{new:?}");
            assert_eq!((new.start, new.end), (longer.start, Some(longer.end)));
            assert_eq!(new.value.to_string(), "32400");
        }
    }
}

#[test]
fn a_night_merged_under_a_new_id_replaces_the_old_one_for_good() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE], "UTC");
    let first = world.sim.put_event(&user, night(world.now.minus(HOUR * 14), &EIGHT[..3]));
    assert_eq!(world.created(), 1);
    let before = world.table(&patient);
    // The second part arrives; then a third one begins earlier.
    let merged = world.sim.replace_events(&user, &[first], last_night(&world));
    let earlier = night(world.now.minus(HOUR * 16), &["light"; 10]);
    for (revision, merges) in [(1, None), (2, Some(earlier.clone()))] {
        if let Some(event) = merges {
            world.sim.replace_events(&user, &[merged], event);
        }
        for _ in 0..3 {
            world.pass(FIVE_MINUTES * 3);
            assert_eq!(world.created(), 0);
            let after = world.table(&patient);
            assert_eq!((after.len(), after[0].uuid(), after[0].revision), (1, before[0].uuid(), revision));
        }
    }
    let after = world.table(&patient);
    assert_eq!((after[0].start, after[0].end), (earlier.start, Some(earlier.end)));
}

#[test]
fn merging_two_stored_parts_creates_no_new_observation() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[DURATION], "UTC");
    let parts = [0, 4].map(|hour| {
        let from = world.now.minus(HOUR * (14 - hour));
        world.sim.put_event(&user, night(from, &EIGHT[..3]))
    });
    assert_eq!(world.created(), 2);
    world.sim.replace_events(&user, &parts, last_night(&world));
    for _ in 0..3 {
        world.pass(FIVE_MINUTES * 3);
        assert_eq!(world.created(), 0);
        let revisions: Vec<u64> = world.table(&patient).iter().map(|line| line.revision).collect();
        assert_eq!(revisions, [1, 0], "the second part is not sent again, and JHE cannot delete it");
    }
}

#[test]
fn a_merged_night_of_a_renamed_device_keeps_its_identifier() {
    let mut world = World::new();
    world.setting("ow.first_connect_window", "3d");
    let (user, patient) = world.patient_of(&[DURATION], "UTC");
    let before = night(world.now.minus(HOUR * 38), EIGHT);
    let nights = [before, last_night(&world)];
    let ids = nights.clone().map(|night| world.sim.put_event(&user, night));
    assert_eq!(world.created(), 2);
    let names = |world: &World| -> Vec<String> {
        world.table(&patient).iter().map(|line| line.name.split('#').next().unwrap().to_owned()).collect()
    };
    let first = names(&world);
    let ring = Source { device: Some("Ring 4".into()), ..Source::of("oura") };
    for (id, night) in ids.iter().zip(&nights) {
        world.sim.update_event(&user, *id, night.clone().with_source(ring.clone()));
    }
    world.pass(FIVE_MINUTES * 3);
    assert_eq!(world.created(), 0);
    let merged = night(world.now.minus(HOUR * 14 + FIVE_MINUTES * 3), &["light"; 9]).with_source(ring);
    world.sim.replace_events(&user, &ids[1..], merged);
    for _ in 0..2 {
        world.pass(FIVE_MINUTES * 3);
        assert_eq!((world.created(), names(&world)), (0, first.clone()));
    }
}

#[test]
fn a_nap_is_stored_beside_the_night_and_marked_as_a_nap() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE], "UTC");
    world.sim.put_event(&user, last_night(&world));
    world.sim.put_event(&user, Event::nap(world.now.minus(HOUR), world.now.minus(MINUTE * 30)));
    assert_eq!((world.created(), world.created()), (2, 0));
    let is_main: Vec<bool> = world
        .documents(&patient)
        .iter()
        .map(|document| document["body"]["is_main_sleep"].as_bool().unwrap())
        .collect();
    assert_eq!(is_main, [true, false]);
}

#[test]
fn the_nights_of_two_devices_are_two_observations() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE], "UTC");
    for name in ["Watch", "Band"] {
        world.sim.put_event(&user, last_night(&world).with_source(device(name)));
    }
    world.sim.put_event(&user, last_night(&world));
    assert_eq!(world.created(), 3);
    world.pass(HOUR);
    assert_eq!(world.created(), 0);
    let devices: Vec<String> = world.table(&patient).into_iter().map(|line| line.device).collect();
    assert_eq!(devices, ["Band", "Watch", ""]);
    // A renamed device has the same nights.
    let events = world.sim.events(&user);
    let (id, event) = events.iter().find(|(_, event)| event.source == device("Band")).unwrap();
    world.sim.update_event(&user, *id, event.clone().with_source(device("Band 2")));
    assert_eq!((world.created(), world.table(&patient).len()), (0, 3));
}

#[test]
fn a_night_across_two_windows_is_stored_once() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE], "UTC");
    // A read of twenty days uses slices of seven.
    let border = world.now.minus(DAY * 13);
    let crossing = world.sim.put_event(&user, night(border.minus(HOUR * 3), EIGHT));
    let behind = world.sim.put_event(&user, night(border.plus(DAY), &EIGHT[..4]));
    // OW has not seen the end of this night.
    world.sim.put_event(&user, night(world.now.minus(HOUR), EIGHT));
    let past = |world: &World| {
        let ran = world.run(&["poll", "--window", "20d"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.created()
    };
    assert_eq!(past(&world), 3);
    let before = world.table(&patient);
    // OW merges the night after the border with a night that begins before it.
    world.sim.remove_event(&user, crossing);
    world.sim.replace_events(&user, &[behind], night(border.minus(HOUR), &["light"; 29]));
    world.pass(MINUTE);
    let again = world.run(&["poll", "--since", "2026-11-01T12:00:00Z"]);
    assert_eq!((again.code, again.created()), (0, 0), "{again:?}");
    assert_eq!(world.created(), 0);
    let after = world.table(&patient);
    assert_eq!(after.len(), 3);
    assert!(after.iter().zip(&before).all(|(new, old)| new.uuid() == old.uuid()), "{after:?}");
}

#[test]
fn a_night_overlapping_a_withdrawal_is_not_stored() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE], "UTC");
    let consent = |world: &World, change: &str| world.consent_to(&patient, EPISODE, change);
    let began = world.now;
    world.sim.put_event(&user, night(began.minus(HOUR * 9), EIGHT));
    assert_eq!(world.created(), 1);
    world.pass(HOUR * 12);
    consent(&world, "--withdraw");
    world.pass(HOUR * 2);
    consent(&world, "--grant");
    // Consent is missing from 12 to 14 hours after noon.
    let hours = |from: u32, until: u32| Event::nap(began.plus(HOUR * from), began.plus(HOUR * until));
    for (from, until) in [(9, 12), (10, 13), (11, 15), (12, 14), (13, 16), (14, 15)] {
        world.sim.put_event(&user, hours(from, until));
    }
    world.pass(HOUR * 4);
    assert_eq!((world.created(), world.created()), (2, 0));
    let kept: Vec<u64> =
        world.table(&patient)[1..].iter().map(|line| line.start.since(began).as_secs() / 3600).collect();
    assert_eq!(kept, [9, 14]);
}

#[test]
fn events_over_many_pages_all_arrive_but_for_the_bad_ones() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE, DURATION], "UTC");
    world.created();
    let began = world.now;
    for place in 0..250 {
        let start = began.plus(MINUTE * (place * 20));
        world.sim.put_event(&user, Event::nap(start, start.plus(MINUTE * 15)));
    }
    let bad = Event::nap(began.plus(HOUR), began.plus(HOUR * 2));
    world.sim.put_event(
        &user,
        bad.with_json(r#"{"id":"no-end","start_time":"2026-11-21T13:00:00Z","zone_offset":null}"#),
    );
    world.pass(DAY * 4);
    assert_eq!((world.created(), world.created()), (500, 0));
    assert_eq!(world.table(&patient).len(), 500);
    let told = world.rejected();
    assert!(told.len() == 2 && told.iter().all(|one| one.contains("it has no end_time")), "{told:?}");
    let pages = world
        .sim
        .data_requests()
        .iter()
        .filter(|asked| asked.has_cursor && asked.route == OwRoute::Sleep)
        .count();
    assert_eq!(pages, 2, "two further pages in the first tick, none in the next");
}

#[test]
fn a_window_that_fails_midway_duplicates_no_night() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[EPISODE], "UTC");
    let old = world.sim.put_event(&user, night(world.now.minus(HOUR * 14), &EIGHT[..4]));
    assert_eq!(world.created(), 1);
    // The merged night is on the first of two pages; only the second page shows that the old one is gone.
    world.sim.replace_events(&user, &[old], last_night(&world));
    world.sim.put_event(&user, Event::nap(world.now.minus(HOUR), world.now.minus(MINUTE)));
    for place in 0..120 {
        let start = world.now.minus(HOUR * 19).plus(MINUTE * (place * 2));
        world.sim.put_event(&user, Event::nap(start, start.plus(MINUTE)));
    }
    world.sim.set_fault_on(&user, OwRoute::Sleep, Some(Fault::FailAfterPages { pages: 1, status: 403 }));
    assert_eq!(world.poll().code, 3);
    world.sim.set_fault_on(&user, OwRoute::Sleep, None);
    world.pass(FIVE_MINUTES);
    assert_eq!(world.poll().code, 0);
    assert_eq!(world.created(), 0);
    let nights =
        world.table(&patient).iter().filter(|line| line.end.unwrap().since(line.start) > HOUR * 2).count();
    assert_eq!((nights, world.table(&patient).len()), (1, 122));
}

#[test]
fn a_failing_sleep_endpoint_stops_neither_samples_nor_other_patients() {
    for fault in [Fault::Status(500), Fault::Garbage, Fault::Status(403)] {
        let world = World::new();
        let patients: Vec<_> = (0..3).map(|_| world.patient_of(&[HEART_RATE, EPISODE], "UTC")).collect();
        for (user, _) in &patients {
            world.sim.put(user, world.now.minus(HOUR), 60.0);
            world.sim.put_event(user, last_night(&world));
        }
        let (troubled, patient) = &patients[0];
        for (route, left) in [(OwRoute::Timeseries, "sleep_episode"), (OwRoute::Sleep, "heart_rate")] {
            world.sim.set_fault_on(troubled, route, Some(fault.clone()));
            let ran = world.poll();
            assert_eq!(ran.code, 3, "{ran:?}");
            let of = if route == OwRoute::Sleep { "when asked for sleep" } else { "when asked for samples" };
            assert!(ran.stderr.contains(of), "{ran:?}");
            assert_eq!(world.lines(patient, left).len(), 1, "{fault:?} on {route:?}");
            world.sim.set_fault_on(troubled, route, None);
        }
        assert_eq!(world.poll().code, 0);
        for (_, patient) in &patients {
            assert_eq!(world.table(patient).len(), 2);
        }
    }
}

#[test]
fn a_failed_read_does_not_move_the_mark() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE, EPISODE], "UTC");
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.sim.put_event(&user, last_night(&world));
    world.created();
    // No poll ran for two months, longer than any sweep reads back.
    let began = world.now;
    world.pass(DAY * 60);
    for day in 0..60 {
        let start = began.plus(DAY * day + HOUR * 10);
        world.sim.put_event(&user, night(start, EIGHT));
        world.sim.put_event(&user, Event::nap(start.plus(HOUR * 11), start.plus(HOUR * 12)));
    }
    world.sim.put(&user, world.now.minus(HOUR), 61.0);
    // The page of the oldest week is invalid.
    let broken = Event::nap(began.plus(HOUR), began.plus(HOUR * 2));
    let broken = world.sim.put_event(&user, broken.with_json("{"));
    assert_eq!(world.poll().code, 3);
    assert_eq!(world.lines(&patient, "heart_rate").len(), 2);
    world.sim.remove_event(&user, broken);
    assert_eq!(world.poll().code, 0);
    assert_eq!(world.lines(&patient, "sleep_episode").len(), 121);
}

#[test]
fn a_retry_after_ends_the_patients_requests_of_the_tick() {
    let world = World::new();
    let (user, _) = world.patient_of(&[HEART_RATE, EPISODE], "UTC");
    world.sim.set_fault_on(
        &user,
        OwRoute::Timeseries,
        Some(Fault::TooManyRequests { retry_after: "3600".into() }),
    );
    let ran = world.poll();
    assert!(ran.code == 3 && ran.stderr.contains("OW answered 429"), "{ran:?}");
    assert!(!world.sim.requested_types(&user).contains_key(&OwRoute::Sleep));
}

#[test]
fn a_night_is_sent_and_its_correction_once_unchanged_long_enough() {
    let mut scene = Scene::new();
    for code in [EPISODE, DURATION, STAGES] {
        scene.jhe.consent_to(40001, code, true, scene.world.now.minus(DAY));
    }
    let (user, patient) = scene.patient(40001);
    let id = scene.world.sim.put_event(&user, last_night(&scene.world));
    assert_eq!(scene.world.created(), 3);
    // Stages are stored locally only: JHE's FHIR interface accepts only Open mHealth codes.
    assert!(scene.export().stdout.contains("Delivered 2"));
    let longer = night(scene.world.now.minus(HOUR * 15), &["light"; 9]);
    scene.world.sim.update_event(&user, id, longer);
    assert_eq!(scene.world.created(), 0);
    scene.world.pass(MINUTE * 359);
    assert!(scene.export().stdout.contains("Delivered 0"));
    scene.world.pass(MINUTE);
    assert!(scene.export().stdout.contains("Delivered 2"));
    let state = scene.jhe.state();
    let (first, second) = state.kept.split_at(2);
    for one in first {
        let corrected = format!("{}#r1", one.identifier.1);
        let again = second.iter().find(|other| other.identifier.1 == corrected).unwrap();
        assert_eq!(again.code, one.code);
        assert_ne!(again.document["body"], one.document["body"]);
    }
    drop(state);
    assert!(scene.world.table(&patient).iter().all(|line| line.revision == 1));
}
