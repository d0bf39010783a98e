//! A systolic and a diastolic sample of one cuff and instant become one observation, in any order and with any delay.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jhe_ow::common::time::Timestamp;
use jhe_ow::simulator::samples_table::{Row, Source};
use jhe_ow::simulator::simulated_ow::SimulatedOw;
use proptest::prelude::*;

use crate::support::harness::*;

const BLOOD_PRESSURE: &str = "omh:blood-pressure:4.0";
const SYSTOLIC: &str = "blood_pressure_systolic";
const DIASTOLIC: &str = "blood_pressure_diastolic";

fn put(sim: &SimulatedOw, user: &str, which: &str, at: Timestamp, value: f64, cuff: &str) {
    sim.put_row(user, Row::of(which, at, value).with_source(Source::of("garmin")).with_device(cuff));
}

/// Returns the stored observations: cuff, instant, and both values.
fn pressures(world: &World, patient: &str) -> Vec<(String, Timestamp, f64, f64)> {
    let lines = world.lines(patient, "blood_pressure").into_iter();
    lines
        .map(|line| (line.device, line.start, line.value, line.measures["diastolic"].as_f64().unwrap()))
        .collect()
}

#[test]
fn systolic_and_diastolic_become_one_observation() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[BLOOD_PRESSURE], "UTC");
    let at = world.now.minus(HOUR);
    put(&world.sim, &user, DIASTOLIC, at, 81.0, "Cuff");
    put(&world.sim, &user, SYSTOLIC, at, 124.0, "Cuff");
    assert_eq!((world.created(), world.created()), (1, 0));
    let document = &world.documents(&patient)[0];
    let expected = serde_json::json!({
        "systolic_blood_pressure": { "value": 124.0, "unit": "mmHg" },
        "diastolic_blood_pressure": { "value": 81.0, "unit": "mmHg" },
        "effective_time_frame": { "date_time": at.to_string() },
    });
    assert_eq!(
        (&document["body"], &document["header"]["schema_id"]["name"]),
        (&expected, &"blood-pressure".into())
    );
    assert_eq!(world.rejected(), [""; 0]);
}

#[test]
fn two_cuffs_at_one_instant_are_two_observations() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[BLOOD_PRESSURE], "UTC");
    let at = world.now.minus(HOUR);
    // OW orders by row: all systolic values come first.
    put(&world.sim, &user, SYSTOLIC, at, 124.0, "Left");
    put(&world.sim, &user, SYSTOLIC, at, 131.0, "Right");
    put(&world.sim, &user, DIASTOLIC, at, 88.0, "Right");
    put(&world.sim, &user, DIASTOLIC, at, 81.0, "Left");
    assert_eq!(world.created(), 2);
    let expected = [("Left".to_owned(), at, 124.0, 81.0), ("Right".to_owned(), at, 131.0, 88.0)];
    assert_eq!(pressures(&world, &patient), expected);
}

#[test]
fn a_changed_half_revises_the_observation() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[BLOOD_PRESSURE], "UTC");
    let at = world.now.minus(HOUR);
    put(&world.sim, &user, SYSTOLIC, at, 124.0, "Cuff");
    put(&world.sim, &user, DIASTOLIC, at, 81.0, "Cuff");
    world.created();
    let before = world.table(&patient);
    put(&world.sim, &user, DIASTOLIC, at, 79.0, "Cuff");
    assert_eq!((world.created(), world.created()), (0, 0));
    let after = world.table(&patient);
    assert_eq!((after.len(), after[0].uuid(), after[0].revision), (1, before[0].uuid(), 1));
    assert_eq!(after[0].measures["diastolic"], 79.0);
}

#[test]
fn an_unpaired_value_is_listed_as_rejected_until_its_partner_arrives() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[BLOOD_PRESSURE], "UTC");
    let at = world.now.minus(HOUR);
    put(&world.sim, &user, SYSTOLIC, at, 124.0, "Cuff");
    // An unpaired value at the same instant, and one in an unsupported unit.
    put(&world.sim, &user, DIASTOLIC, at, 70.0, "Other cuff");
    world.sim.put_row(&user, Row::of(SYSTOLIC, at, 16.5).with_provider("apple").with_unit("kPa"));
    assert_eq!((world.created(), world.created()), (0, 0));
    let told = world.rejected();
    let has = |told: &[String], part: &str| told.iter().filter(|one| one.contains(part)).count();
    assert_eq!(
        (told.len(), has(&told, "it has no diastolic sample of the same instant")),
        (3, 1),
        "{told:?}"
    );
    // The value is corrected while it waits; it stays the same unpaired value.
    put(&world.sim, &user, SYSTOLIC, at, 125.0, "Cuff");
    world.created();
    world.pass(DAY * 2);
    put(&world.sim, &user, DIASTOLIC, at, 81.0, "Cuff");
    assert_eq!(world.created(), 1, "the weekly range of the daily read pairs the values");
    assert_eq!(pressures(&world, &patient), [("Cuff".to_owned(), at, 125.0, 81.0)]);
    let told = world.rejected();
    assert_eq!((told.len(), has(&told, "\"Other cuff\""), has(&told, "'kPa'")), (2, 1, 1), "{told:?}");
    assert_eq!(world.created(), 0);
    assert_eq!(world.rejected().len(), 2);
}

/// One measurement: minute, cuff, and the tick at which each value reaches OW, if any.
#[derive(Debug, Clone)]
struct Measured {
    minute: u32,
    cuff: usize,
    halves: [Option<usize>; 2],
    systolic_first: bool,
}

const TICKS: usize = 3;

fn measured() -> impl Strategy<Value = Measured> {
    let half = || prop::option::weighted(0.85, 0..TICKS);
    (0..20_u32, 0..2_usize, half(), half(), any::<bool>()).prop_map(
        |(minute, cuff, systolic, diastolic, systolic_first)| Measured {
            minute,
            cuff,
            halves: [systolic, diastolic],
            systolic_first,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    #[test]
    fn pairs_are_stored_once_in_any_order_over_any_pages_and_ticks(
        all in prop::collection::vec(measured(), 1..16),
        page in 1..6_usize,
    ) {
        let mut world = World::new();
        world.sim.set_page_cap(page);
        let (user, patient) = world.patient_of(&[BLOOD_PRESSURE], "UTC");
        let began = world.now.minus(HOUR);
        let mut at_ow: BTreeMap<(usize, Timestamp), BTreeSet<&str>> = BTreeMap::new();
        let mut created = 0;
        for tick in 0..TICKS {
            for one in &all {
                let at = began.plus(Duration::from_mins(u64::from(one.minute)));
                let mut halves = vec![(SYSTOLIC, one.halves[0]), (DIASTOLIC, one.halves[1])];
                if !one.systolic_first {
                    halves.reverse();
                }
                for (which, _) in halves.into_iter().filter(|(_, when)| *when == Some(tick)) {
                    let value = if which == SYSTOLIC { 120.0 } else { 80.0 } + f64::from(one.minute);
                    put(&world.sim, &user, which, at, value, ["Left", "Right"][one.cuff]);
                    at_ow.entry((one.cuff, at)).or_default().insert(which);
                }
            }
            created += world.created();
            // The last values arrive two days late.
            world.pass(if tick + 2 == TICKS { DAY * 2 } else { FIVE_MINUTES * 3 });
        }
        created += world.created();
        let whole: Vec<_> = at_ow.iter().filter(|(_, halves)| halves.len() == 2).map(|(key, _)| *key).collect();
        let kept = pressures(&world, &patient);
        let keys: Vec<_> = kept.iter().map(|(cuff, at, ..)| (usize::from(cuff == "Right"), *at)).collect();
        prop_assert_eq!(&keys, &whole);
        prop_assert_eq!(created, whole.len() as u64);
        for (_, at, systolic, diastolic) in kept {
            let minute = f64::from(u32::try_from(at.since(began).as_secs() / 60).unwrap());
            prop_assert_eq!((systolic, diastolic), (120.0 + minute, 80.0 + minute));
        }
        // Exactly the unpaired values are rejected.
        prop_assert_eq!(world.rejected().len(), at_ow.len() - whole.len());
    }
}
