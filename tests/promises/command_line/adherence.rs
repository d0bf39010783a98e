//! `jhe-ow adherence` reports the days with data as a study coordinator would count them by hand.

use jhe_ow::simulator::samples_table::Row;

use crate::support::bucket::{Bucket, use_bucket};
use crate::support::doctor::sql;
use crate::support::erasure::one;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// The table, without its header: each line's fields.
fn table(world: &World, arguments: &[&str]) -> Vec<Vec<String>> {
    let all: Vec<&str> = ["adherence"].into_iter().chain(arguments.iter().copied()).collect();
    let ran = world.run(&all);
    assert_eq!(ran.code, 0, "{ran:?}");
    let mut lines = csv::Reader::from_reader(ran.stdout.as_bytes());
    lines.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Day, samples, hours and consent of each line.
fn days(lines: &[Vec<String>]) -> Vec<[&str; 4]> {
    let from = lines[0].len() - 4;
    lines.iter().map(|line| std::array::from_fn(|place| line[from + place].as_str())).collect()
}

fn back_to(world: &World, since: &str) {
    let ran = world.run(&["poll", "--since", since]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_day_without_data_has_a_line_and_partial_consent_is_shown() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE], "UTC");
    world.sim.fill(&user, world.now.minus(DAY + HOUR * 12), world.now.minus(DAY + HOUR * 9), FIVE_MINUTES, 1);
    back_to(&world, "2026-11-19");
    let lines = table(&world, &["--since", "2026-11-19"]);
    assert_eq!(
        days(&lines),
        [
            ["2026-11-19", "0", "0", "no"],
            ["2026-11-20", "36", "3", "no"],
            // Of the day that is not over, the consent stands since this very moment.
            ["2026-11-21", "0", "0", "no"],
        ]
    );
    assert_eq!((lines[0][0].as_str(), lines[0][3].as_str()), (patient.as_str(), HEART_RATE));
    let mut world = world;
    world.pass(DAY);
    let lines = table(&world, &["--since", "2026-11-21"]);
    let consented: Vec<_> = days(&lines).iter().map(|day| day[3]).collect();
    assert_eq!(consented, ["part", "yes"]);
}

#[test]
fn days_on_which_clocks_are_set_have_23_or_25_hours() {
    let world = World::new();
    let (user, _) = world.patient_of(&[HEART_RATE], "Europe/Berlin");
    let (from, until) = (at("2026-10-23T22:00:00Z"), at("2026-10-26T23:00:00Z"));
    world.sim.fill(&user, from, until, HOUR, 1);
    back_to(&world, "2026-10-20");
    let lines = table(&world, &["--since", "2026-10-24", "--until", "2026-10-27"]);
    let found: Vec<_> = days(&lines).iter().map(|day| (day[0], day[1], day[2])).collect();
    // The clock reads two twice: 25 samples in 24 hours that it shows.
    assert_eq!(found, [("2026-10-24", "24", "24"), ("2026-10-25", "25", "24"), ("2026-10-26", "24", "24")]);
}

#[test]
fn a_sample_counts_for_the_day_where_the_patient_was() {
    let world = World::new();
    let (user, _) = world.patient_of(&[HEART_RATE], "Europe/Berlin");
    for hour in 0..3 {
        // From 21:00 on the twentieth to midnight in New York.
        let at = at("2026-11-21T02:00:00Z").plus(HOUR * hour);
        world.sim.put_row(&user, Row::heart_rate(at, 60.0).with_zone("-05:00"));
    }
    back_to(&world, "2026-11-19");
    let lines = table(&world, &["--since", "2026-11-20"]);
    let found: Vec<_> = days(&lines).iter().map(|day| (day[0], day[1])).collect();
    assert_eq!(found, [("2026-11-20", "3"), ("2026-11-21", "0")]);
}

#[test]
fn each_study_has_its_lines_and_names_appear_on_request_only() {
    let world = World::new();
    let served = Served::start(&world);
    let operator = served.operator(&world);
    let study = make_study(&operator, "Hearts at night");
    make_study(&operator, "Another");
    make_patient(&operator, "Rosalind Marker", &study);
    world.run(&["patient", "add", "--name", "Elsewhere", "--consent", HEART_RATE]);
    served.stop("TERM");
    let plain = world.run(&["adherence", "--since", "2026-11-21"]).stdout;
    assert!(plain.starts_with("patient,external_id,study,scope,day,samples,hours_with_data,consented\n"));
    assert!(!plain.contains("Rosalind") && plain.contains("Hearts at night") && !plain.contains("Another"));
    for named in ["Hearts at night", &study] {
        let lines = table(&world, &["--since", "2026-11-21", "--study", named, "--names"]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(lines[0][1], "Rosalind Marker");
    }
    let ran = world.run(&["adherence", "--since", "2026-11-21", "--study", &study, "--format", "json"]);
    let line: serde_json::Value = serde_json::from_str(ran.stdout.trim()).unwrap();
    assert_eq!((line["consented"].as_str(), line["samples"].as_u64()), (Some("no"), Some(0)));
    assert_eq!(world.run(&["adherence", "--study", "Nothing"]).code, 2);
}

#[test]
fn a_day_cut_by_the_requested_range_counts_only_that_part() {
    let mut world = World::new();
    let (user, _) = world.patient_of(&[HEART_RATE], "UTC");
    world.pass(DAY * 2);
    world.sim.fill(&user, world.now.minus(DAY + HOUR * 12), world.now, HOUR, 1);
    world.created();
    let lines = table(&world, &["--since", "2026-11-22T06:00:00Z", "--until", "2026-11-22T12:00:00Z"]);
    assert_eq!(days(&lines), [["2026-11-22", "6", "6", "yes"]]);
    let lines = table(&world, &["--since", "2026-11-22", "--until", "2026-11-22T12:00:00Z"]);
    assert_eq!(days(&lines), [["2026-11-22", "12", "12", "yes"]]);
    let lines = table(&world, &["--since", "2026-11-22T06:00:00Z", "--until", "2026-11-23"]);
    assert_eq!(days(&lines), [["2026-11-22", "18", "18", "yes"]]);
    // Where nobody says since when, it is since the beginning of a day.
    world.sim.put(&user, at("2026-10-24T03:00:00Z"), 60.0);
    back_to(&world, "2026-10-20");
    let lines = table(&world, &[]);
    let lines = days(&lines);
    assert_eq!(
        (lines.len(), lines[0], lines[29][1]),
        (31, ["2026-10-24", "1", "1", "no"], "24"),
        "{lines:?}"
    );
}

#[test]
fn a_study_counts_only_data_its_own_consent_covers() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE], "UTC");
    let served = Served::start(&world);
    let study = make_study(&served.operator(&world), "Declined");
    served.stop("TERM");
    sql(
        &world,
        &format!("INSERT INTO enrolments (patient_id, study_id, enrolled_at) VALUES ({patient}, {study}, 0)"),
    );
    world.sim.fill(&user, world.now.minus(HOUR * 4), world.now, HOUR, 1);
    assert_eq!(world.created(), 4);
    let of = |world: &World, arguments: &[&str]| -> Vec<String> {
        let lines = table(world, &[&["--since", "2026-11-21", "--until", "2026-11-22"], arguments].concat());
        lines.iter().map(|line| format!("{} {}", line[2], line[5])).collect()
    };
    assert_eq!(of(&world, &["--study", &study]), ["Declined 0"]);
    assert_eq!(of(&world, &[]), [" 4", "Declined 0"]);
    // A no is not a yes that ended.
    let grant = |from: i64, until: &str| {
        let code = one::<i64>(&world, &format!("SELECT id FROM codes WHERE code = '{HEART_RATE}'"));
        sql(&world, &format!("DELETE FROM consents WHERE study_id = {study}"));
        sql(
            &world,
            &format!(
                "INSERT INTO consents (patient_id, code_id, study_id, granted_at, withdrawn_at)
                 VALUES ({patient}, {code}, {study}, {from}, {until})"
            ),
        );
    };
    let nine = world.now.minus(HOUR * 2).minus(FIVE_MINUTES).micros();
    grant(nine, &nine.to_string());
    assert_eq!(of(&world, &["--study", &study]), ["Declined 0"]);
    grant(1, &nine.to_string());
    assert_eq!(of(&world, &["--study", &study]), ["Declined 2"], "up to the withdrawal");
    grant(nine, "NULL");
    assert_eq!(of(&world, &["--study", &study]), ["Declined 4"], "the first grant reaches back");
    world.pass(DAY);
    assert_eq!(of(&world, &[]), [" 4", "Declined 4"]);
}

#[test]
fn a_day_present_in_both_modes_counts_once() {
    let (mut world, bucket) = (World::new(), Bucket::start());
    world.set("JHE_OW_SECRET_KEY", "0123456789abcdef0123456789abcdef0123456789ab");
    let (user, _) = world.patient_of(&[HEART_RATE], "UTC");
    world.sim.fill(&user, at("2026-11-21T07:00:00Z"), at("2026-11-21T10:00:00Z"), HOUR, 1);
    assert_eq!(world.created(), 3);
    use_bucket(&world, &bucket);
    let rates = [("2026-11-21T08:00:00Z", 61.0, "rest"), ("2026-11-21T10:00:00Z", 62.0, "rest")];
    bucket.put_heart_rates(&Bucket::key("2026-11-21", &user, "a"), &rates);
    assert_eq!(world.created(), 2);
    let lines = table(&world, &["--since", "2026-11-21"]);
    assert_eq!(days(&lines), [["2026-11-21", "3", "4", "no"]]);
}

#[test]
fn set_aside_hidden_and_erased_data_are_not_counted() {
    let mut world = World::new();
    let (wrong, patient) = world.patient_of(&[HEART_RATE], "UTC");
    let (_, neighbour) = world.patient_of(&[HEART_RATE], "UTC");
    world.sim.put(&wrong, world.now.minus(HOUR), 60.0);
    world.created();
    let samples = |world: &World| -> Vec<String> {
        let lines = table(world, &["--since", "2026-11-21", "--until", "2026-11-22"]);
        lines.iter().map(|line| format!("{} {}", line[0], line[5])).collect()
    };
    let of = |samples: i64| [format!("{patient} {samples}"), format!("{neighbour} 0")];
    assert_eq!(samples(&world), of(1));
    world.run(&["patient", "unlink", &patient]);
    let right = world.sim.add_user();
    world.sim.put(&right, world.now.minus(HOUR * 2), 70.0);
    world.sim.put(&right, world.now.minus(HOUR * 3), 71.0);
    world.run(&["patient", "link", &patient, "--ow-user", &right, "--mistake"]);
    assert_eq!(world.created(), 2);
    assert_eq!(samples(&world), of(2), "what came through a mistaken link is somebody else's");
    world.pass(HOUR);
    assert_eq!(world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]).code, 0);
    assert_eq!(samples(&world), of(2));
    world.setting("data.after_withdrawal", "hide");
    assert_eq!(samples(&world), of(0));
    sql(&world, &format!("INSERT INTO erasures (patient_id, started_at) VALUES ({patient}, 1)"));
    assert_eq!(samples(&world), [format!("{neighbour} 0")], "an erasure that is under way");
}
