//! `jhe-ow adherence` prints the days of the data sets, as a study coordinator would count them by hand.

use jhe_ow::simulator::samples_table::Row;

use crate::dataset::tables::{enrol, study_of};
use crate::support::bucket::{Bucket, use_bucket};
use crate::support::doctor::sql;
use crate::support::harness::*;

/// Returns date, samples, hours and consent of each line.
fn days(world: &World, options: &[&str]) -> Vec<[String; 4]> {
    let arguments: Vec<&str> = ["adherence"].into_iter().chain(options.iter().copied()).collect();
    let ran = world.run(&arguments);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut reader = csv::Reader::from_reader(ran.stdout.as_bytes());
    let header = reader.headers().unwrap().clone();
    let at = |name: &str| header.iter().position(|column| column == name).unwrap();
    let columns = ["local_date", "samples", "hours", "consented"].map(at);
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            columns.map(|column| record[column].to_owned())
        })
        .collect()
}

fn expect(world: &World, options: &[&str], expected: &[[&str; 4]]) {
    assert_eq!(days(world, options), expected.iter().map(|day| day.map(str::to_owned)).collect::<Vec<_>>());
}

/// Adds a patient to a study that asks for heart rate; returns OW user and number.
fn participant(world: &World, zone: &str) -> (String, String) {
    let (user, patient) = world.patient_of(&[HEART_RATE], zone);
    study_of(world, &[&patient], &[HEART_RATE]);
    (user, patient)
}

fn back_to(world: &World, since: &str) {
    let ran = world.run(&["poll", "--since", since]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_day_without_data_has_a_line_and_data_from_before_the_grant_are_consented() {
    let mut world = World::new();
    let (user, _) = participant(&world, "UTC");
    world.sim.fill(
        &user,
        world.now.minus(DAY * 2 + HOUR * 12),
        world.now.minus(DAY * 2 + HOUR * 9),
        FIVE_MINUTES,
        1,
    );
    back_to(&world, "2026-11-18");
    expect(
        &world,
        &[],
        &[["2026-11-19", "36", "3", "yes"], ["2026-11-20", "0", "0", "yes"], ["2026-11-21", "0", "0", "yes"]],
    );
    world.pass(DAY);
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.created();
    expect(&world, &["--since", "2026-11-22"], &[["2026-11-22", "1", "1", "yes"]]);
    expect(&world, &["--until", "2026-11-20"], &[["2026-11-19", "36", "3", "yes"]]);
}

#[test]
fn days_on_which_clocks_are_set_have_23_or_25_hours() {
    let world = World::new();
    let (user, _) = participant(&world, "Europe/Berlin");
    world.sim.fill(&user, at("2026-10-23T22:00:00Z"), at("2026-10-26T23:00:00Z"), HOUR, 1);
    back_to(&world, "2026-10-20");
    expect(
        &world,
        &["--until", "2026-10-27"],
        &[
            ["2026-10-24", "24", "24", "yes"],
            ["2026-10-25", "25", "25", "yes"],
            ["2026-10-26", "24", "24", "yes"],
        ],
    );
}

#[test]
fn a_sample_counts_for_the_day_where_the_patient_was() {
    let world = World::new();
    let (user, _) = participant(&world, "Europe/Berlin");
    for hour in 0..3 {
        // From 21:00 on 20 November to midnight in New York.
        let at = at("2026-11-21T02:00:00Z").plus(HOUR * hour);
        world.sim.put_row(&user, Row::heart_rate(at, 60.0).with_zone("-05:00"));
    }
    back_to(&world, "2026-11-19");
    let found: Vec<_> = days(&world, &[]).into_iter().map(|[date, samples, ..]| (date, samples)).collect();
    assert_eq!(found[0], ("2026-11-20".to_owned(), "3".to_owned()));
}

#[test]
fn names_and_studies_appear_as_asked() {
    let world = World::new();
    let (user, _) = participant(&world, "UTC");
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.created();
    let plain = world.run(&["adherence"]).stdout;
    assert!(plain.starts_with("study,participant,data_type,local_date,"), "{plain}");
    assert!(plain.contains("\r\nSleep & Heart,P001,heart_rate,"), "{plain}");
    let named = world.run(&["adherence", "--study", "Sleep & Heart", "--names"]).stdout;
    assert!(named.contains("\r\nSleep & Heart,P001,A,heart_rate,"), "{named}");
    assert_eq!(world.run(&["adherence", "--study", "Nothing"]).code, 2);
}

#[test]
fn a_study_counts_only_data_its_own_consent_covers() {
    let world = World::new();
    let (user, patient) = participant(&world, "UTC");
    world.sim.fill(&user, world.now.minus(HOUR * 4), world.now, HOUR, 1);
    assert_eq!(world.created(), 4);
    let samples = |world: &World| -> Vec<String> {
        days(world, &[]).into_iter().map(|[_, samples, ..]| samples).collect()
    };
    assert_eq!(samples(&world), ["4"], "a consent recorded by the operator applies to every study");
    let grant = |from: i64, until: &str| {
        sql(
            &world,
            &format!(
                "DELETE FROM consents WHERE study_id = 1;
                 INSERT INTO consents (patient_id, code_id, study_id, granted_at, withdrawn_at)
                 SELECT {patient}, id, 1, {from}, {until} FROM codes WHERE code = '{HEART_RATE}'"
            ),
        );
    };
    let nine = world.now.minus(HOUR * 2).minus(FIVE_MINUTES).micros();
    grant(nine, &nine.to_string());
    assert!(samples(&world).is_empty(), "a refusal given to the study takes precedence");
    grant(1, &nine.to_string());
    assert_eq!(samples(&world), ["2"], "samples count up to the withdrawal");
    grant(nine, "NULL");
    assert_eq!(samples(&world), ["4"], "the first grant also covers earlier samples");
}

#[test]
fn a_day_present_in_both_modes_counts_once() {
    let (mut world, bucket) = (World::new(), Bucket::start());
    world.set("JHE_OW_SECRET_KEY", "0123456789abcdef0123456789abcdef0123456789ab");
    let (user, _) = participant(&world, "UTC");
    world.sim.fill(&user, at("2026-11-21T07:00:00Z"), at("2026-11-21T10:00:00Z"), HOUR, 1);
    assert_eq!(world.created(), 3);
    use_bucket(&world, &bucket);
    let rates = [("2026-11-21T08:00:00Z", 61.0, "rest"), ("2026-11-21T10:00:00Z", 62.0, "rest")];
    bucket.put_heart_rates(&Bucket::key("2026-11-21", &user, "a"), &rates);
    assert_eq!(world.created(), 2);
    expect(&world, &[], &[["2026-11-21", "3", "4", "yes"]]);
}

#[test]
fn set_aside_hidden_and_erased_data_are_not_counted() {
    let mut world = World::new();
    let (wrong, patient) = participant(&world, "UTC");
    let (_, neighbour) = world.patient_of(&[HEART_RATE], "UTC");
    enrol(&world, &neighbour, "P002");
    world.sim.put(&wrong, world.now.minus(HOUR), 60.0);
    world.created();
    let samples = |world: &World| -> Vec<String> {
        days(world, &[]).into_iter().map(|[_, samples, ..]| samples).collect()
    };
    assert_eq!(samples(&world), ["1"]);
    world.run(&["patient", "unlink", &patient]);
    let right = world.sim.add_user();
    world.sim.put(&right, world.now.minus(HOUR * 2), 70.0);
    world.sim.put(&right, world.now.minus(HOUR * 3), 71.0);
    world.run(&["patient", "link", &patient, "--ow-user", &right, "--mistake"]);
    assert_eq!(world.created(), 2);
    assert_eq!(samples(&world), ["2"], "samples read through a wrong link do not count");
    world.pass(HOUR);
    assert_eq!(world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]).code, 0);
    assert_eq!(samples(&world), ["2"]);
    world.setting("data.after_withdrawal", "hide");
    assert!(samples(&world).is_empty());
    world.setting("data.after_withdrawal", "keep");
    sql(&world, &format!("INSERT INTO erasures (patient_id, started_at) VALUES ({patient}, 1)"));
    assert!(samples(&world).is_empty(), "a patient under erasure is not listed");
}
