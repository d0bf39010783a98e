//! `jhe-ow observations` names the patient and the study in every format, and writes standard FHIR.

use jhe_ow::simulator::samples_table::Row;
use serde_json::Value;

use crate::support::doctor::sql;
use crate::support::erasure::one;
use crate::support::harness::*;
use crate::support::running_daemon::*;

/// Returns a world with a study and two patients with four heart rates each: one who is enrolled and consents for the
/// study from the second rate on, and one who is not enrolled.
fn study() -> (World, String, String) {
    let world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE], "UTC");
    let (other, _) = world.patient_of(&[HEART_RATE], "UTC");
    let served = Served::start(&world);
    let study = make_study(&served.operator(&world), "Hearts at night");
    served.stop("TERM");
    let code = one::<i64>(&world, &format!("SELECT id FROM codes WHERE code = '{HEART_RATE}'"));
    let (from, until) = (world.now.minus(HOUR * 3 + FIVE_MINUTES).micros(), world.now.micros());
    sql(
        &world,
        &format!(
            "INSERT INTO enrolments (patient_id, study_id, enrolled_at, participant)
             VALUES ({patient}, {study}, 0, '017');
             INSERT INTO consents (patient_id, code_id, study_id, granted_at, withdrawn_at)
             VALUES ({patient}, {code}, {study}, {from}, {until})"
        ),
    );
    for user in [&user, &other] {
        world.sim.fill(user, world.now.minus(HOUR * 4), world.now, HOUR, 1);
    }
    assert_eq!(world.created(), 8);
    (world, study, patient)
}

fn documents(world: &World, arguments: &[&str]) -> Vec<Value> {
    let ran = world.run(&[&["observations"], arguments].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_study_gets_its_patients_its_codes_and_what_they_agreed_to_give_it() {
    let (world, study, patient) = study();
    assert_eq!(documents(&world, &[]).len(), 8);
    for named in [study.as_str(), "Hearts at night"] {
        let lines = documents(&world, &["--study", named]);
        assert_eq!(lines.len(), 4, "the first grant covers earlier samples; the withdrawal starts now");
        assert!(lines.iter().all(|line| line["header"]["user_id"] == *patient));
    }
    sql(
        &world,
        &format!(
            "UPDATE consents SET withdrawn_at = {} WHERE study_id = {study}",
            world.now.minus(HOUR * 2 + FIVE_MINUTES).micros()
        ),
    );
    assert_eq!(documents(&world, &["--study", &study]).len(), 2, "samples up to the withdrawal are printed");
    sql(&world, &format!("DELETE FROM consents WHERE study_id = {study}"));
    assert_eq!(documents(&world, &["--study", &study]).len(), 4, "the consent was recorded by an operator");
    sql(&world, "DELETE FROM consents");
    assert_eq!(documents(&world, &["--study", &study]).len(), 0, "nothing is printed without consent");
    sql(&world, "DELETE FROM study_codes");
    assert_eq!(documents(&world, &["--study", &study]).len(), 0);
    assert_eq!(world.run(&["observations", "--study", "Nothing"]).code, 2);
}

#[test]
fn every_format_names_the_patient_and_the_study() {
    let (world, study, patient) = study();
    let header = &documents(&world, &["--patient-id", &patient])[0]["header"];
    assert_eq!(header["user_id"], *patient);
    assert_eq!(header["studies"][0]["study"], "Hearts at night");
    assert_eq!(header["studies"][0]["participant"], "017");
    for format in ["fhir", "fhir-vitals"] {
        let resource = &documents(&world, &["--patient-id", &patient, "--format", format])[0];
        assert!(resource["subject"]["identifier"]["value"].is_string(), "{resource}");
        assert_eq!(resource["extension"][0]["valueReference"]["display"], "Hearts at night");
    }
    let resource = &documents(&world, &["--study", &study, "--format", "fhir-vitals"])[0];
    assert_eq!(resource["subject"]["identifier"]["value"], "017");
    assert_eq!(resource["subject"]["identifier"]["assigner"]["display"], "Hearts at night");
    let table = world.run(&["observations", "--format", "csv"]).stdout;
    let mut lines = csv::Reader::from_reader(table.as_bytes());
    let header = lines.headers().unwrap().clone();
    let new =
        ["participant", "study", "source", "daily_total", "offset_minutes", "statistic", "quality", "is_nap"];
    assert_eq!(header.iter().skip(13).collect::<Vec<_>>(), new, "the new columns follow the earlier ones");
    for record in lines.records().map(Result::unwrap) {
        let expected = if record[0] == *patient { ["017", "Hearts at night"] } else { ["", ""] };
        assert_eq!([&record[13], &record[14]], expected);
        assert_eq!([&record[15], &record[16], &record[17]], ["oura", "false", ""]);
    }
}

#[test]
fn a_name_that_is_a_formula_is_text_in_a_table() {
    let world = World::new();
    let (user, _) = world.patient();
    for (hour, name) in [(3, "=HYPERLINK(\"http://x\",\"y\")"), (2, "@SUM(1)"), (1, "+1+1")] {
        let row = Row::heart_rate(world.now.minus(HOUR * hour), 60.0).with_device(name).with_zone("-05:00");
        world.sim.put_row(&user, row);
    }
    assert_eq!(world.created(), 3);
    let table = world.run(&["observations", "--format", "csv"]).stdout;
    let mut lines = csv::Reader::from_reader(table.as_bytes());
    let records: Vec<_> = lines.records().map(Result::unwrap).collect();
    let mut devices: Vec<&str> = records.iter().map(|record| &record[6]).collect();
    devices.sort_unstable();
    assert_eq!(devices, ["'+1+1", "'=HYPERLINK(\"http://x\",\"y\")", "'@SUM(1)"]);
    assert!(records.iter().all(|record| record[17] == *"-300"), "negative numbers are not escaped");
    let document = &documents(&world, &["--format", "omh"])[0];
    let device = &document["header"]["external_datasheets"][0]["datasheet_reference"];
    assert!(!device.as_str().unwrap().starts_with('\''), "the text is escaped in tables only");
}

#[test]
fn a_correction_is_one_resource_that_names_the_one_before() {
    let world = World::new();
    let (user, _) = world.patient();
    world.sim.put(&user, world.now.minus(HOUR), 60.0);
    world.created();
    let first = documents(&world, &["--format", "fhir-vitals"]).remove(0);
    assert_eq!(first["code"]["coding"][0]["code"], "8867-4");
    assert_eq!(
        (first["valueQuantity"]["value"].as_i64(), first["status"].as_str()),
        (Some(60), Some("final"))
    );
    world.sim.put(&user, world.now.minus(HOUR), 61.5);
    world.created();
    let second = documents(&world, &["--format", "fhir-vitals"]).remove(0);
    assert_eq!((&second["id"], second["status"].as_str()), (&first["id"], Some("corrected")));
    assert_eq!(second["valueQuantity"]["value"], 61.5);
    assert_eq!(second["extension"][0]["valueReference"]["identifier"], first["identifier"][0]);
}
