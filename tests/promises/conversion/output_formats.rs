//! Observations are written as documents and tables in a stream, never completely in memory.

use jhe_ow::simulator::samples_table::Row;

use crate::support::harness::*;

#[test]
fn local_time_is_kept_where_ow_gives_it() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.put_row(&user, Row::heart_rate(at("2026-11-21T08:00:00Z"), 60.0).with_zone("+02:00"));
    world.created();
    let document = &world.documents(&patient)[0];
    assert_eq!(document["body"]["effective_time_frame"]["date_time"], "2026-11-21T10:00:00+02:00");
    assert_eq!(document["header"]["source_creation_date_time"], "2026-11-21T08:00:00Z");
}

#[test]
fn a_zone_offset_added_later_is_no_revision() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.put(&user, at("2026-11-21T08:00:00Z"), 60.0);
    world.created();
    world.sim.put_row(&user, Row::heart_rate(at("2026-11-21T08:00:00Z"), 60.0).with_zone("+02:00"));
    assert_eq!(world.created(), 0);
    let document = &world.documents(&patient)[0];
    assert_eq!(document["body"]["effective_time_frame"]["date_time"], "2026-11-21T10:00:00+02:00");
    assert!(
        world.run(&["observations", "--format", "csv"]).stdout.trim().contains(",0,,heart_rate,,,"),
        "the revision is still 0"
    );
}

#[test]
fn a_bad_sample_is_rejected_and_the_rest_of_its_page_is_stored() {
    let world = World::new();
    let (user, patient) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    let when = world.now.minus(HOUR / 2);
    let bad = |value: &str| {
        format!(
            r#"{{"timestamp":"{when}","zone_offset":null,"type":"heart_rate","value":{value},"unit":"bpm"}}"#
        )
    };
    world.sim.put_verbatim(&user, when, &bad("\"high\""));
    world.sim.put_verbatim(&user, when.plus(FIVE_MINUTES / 2), &bad("1e400"));
    world.sim.put_verbatim(&user, when.plus(FIVE_MINUTES / 3), r#"{"timestamp":"noon","value":60.0}"#);
    assert_eq!(world.created(), 12);
    assert_eq!(world.created(), 0);
    assert_eq!(world.kept(&patient).len(), 12);
    let list = world.run(&["rejected", "list", "--patient-id", &patient]).stdout;
    for reason in ["its value \"high\" is not a number", "its timestamp 'noon' is wrong", "1e400"] {
        assert!(list.contains(reason), "{reason} is not in {list}");
    }
    assert_eq!(list.lines().count(), 6, "each rejected sample is stored once with its reason: {list}");
}

#[test]
fn observations_can_be_chosen_by_patient_code_and_time() {
    let world = World::new();
    let (user, patient) = world.patient();
    let (other, _) = world.patient();
    world.sim.fill(&user, world.now.minus(HOUR * 10), world.now, HOUR, 1);
    world.sim.fill(&other, world.now.minus(HOUR * 10), world.now, HOUR, 2);
    world.created();
    let count = |arguments: &[&str]| {
        let ran = world.run(&[&["observations"], arguments].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout.lines().count()
    };
    assert_eq!(count(&[]), 20);
    assert_eq!(count(&["--patient-id", &patient]), 10);
    assert_eq!(count(&["--since", "2026-11-21T10:00:00Z"]), 4);
    assert_eq!(count(&["--until", "2026-11-21T10:00:00Z", "--patient-id", &patient]), 8);
    assert_eq!(count(&["--code", HEART_RATE]), 20);
    assert_eq!(count(&["--code", "omh:body-weight:3.0"]), 0);
    assert_eq!(count(&["--format", "csv"]), 21);
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    use std::io::BufRead;
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.fill(&user, world.now.minus(DAY), world.now, std::time::Duration::from_secs(20), 1);
    world.created();
    let mut command = world.command(&["observations"]);
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take().unwrap();
    assert!(std::io::BufReader::new(stdout).lines().next().is_some());
    let ran = Running::new(child).wait();
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_device_with_a_foreign_name_is_written_in_ascii() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.put_row(&user, Row::heart_rate(world.now.minus(HOUR), 60.0).with_device("Ōura, \"4\""));
    world.created();
    for format in ["omh", "fhir", "fhir-vitals"] {
        assert!(world.run(&["observations", "--format", format]).stdout.is_ascii());
    }
    let table = world.run(&["observations", "--format", "csv"]).stdout;
    assert!(table.contains("\"Ōura, \"\"4\"\"\""), "{table}");
}
