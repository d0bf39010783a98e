//! Contents of a data set.

use std::fs;
use std::time::Duration;

use jhe_ow::simulator::event::{Event, EventDetails, SleepStage};
use jhe_ow::simulator::samples_table::Row;

use super::tables::{read, study_of, write};
use crate::support::doctor::sql;
use crate::support::harness::*;

const MINUTE: Duration = Duration::from_mins(1);
const RESTING: &str = "resting_heart_rate";
const CODES: [&str; 5] = [
    HEART_RATE,
    "omh:step-count:3.0",
    "omh:sleep-episode:1.1",
    "ieee:sleep-stage-summary:1.0",
    "omh:physical-activity:1.2",
];

#[test]
fn each_data_type_has_a_table_with_time_value_and_origin() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&CODES, "Europe/Berlin");
    study_of(&world, &[&patient], &CODES);
    world.pass(DAY * 2);
    let noon = world.now.minus(DAY).midnight().plus(HOUR * 12);
    world.sim.put_row(&user, Row::heart_rate(noon, 61.0).with_provider("garmin").with_zone("-05:00"));
    world.sim.put_row(&user, Row::of(RESTING, noon, 47.0).with_provider("apple"));
    world.sim.put_row(&user, Row::of("steps", noon, 300.0).with_provider("google"));
    let midnight = noon.minus(HOUR * 13);
    let total = Row::of("steps", midnight, 9800.0).with_provider("garmin").with_zone("+01:00");
    world.sim.put_row(&user, total.with_daily_total(true));
    assert_eq!(world.created(), 4);
    let (directory, _) = write(&world, "set", &[]);
    let tables = read(&directory);

    let rate = &tables["heart_rate"][0];
    assert_eq!(rate["participant"], "P001");
    assert_eq!((rate["heart_rate_bpm"].as_str(), rate["quality"].as_str()), ("61", "ok"));
    let local = noon.minus(HOUR * 5).to_string().replace('Z', ".000000");
    assert_eq!((&rate["local_start"], rate["utc_offset"].as_str()), (&local, "-300"));
    assert_eq!((rate["offset_origin"].as_str(), rate["end_time"].as_str()), ("sample", ""));
    let resting = &tables["resting_heart_rate"][0];
    assert_eq!((resting["wearer"].as_str(), resting["utc_offset"].as_str()), ("at rest", "60"));
    assert_eq!(resting["offset_origin"], "profile");

    let steps = &tables["steps"];
    let part = steps.iter().find(|row| row["daily_total"] == "false").unwrap();
    assert_eq!(
        (part["steps_count"].as_str(), part["end_time"].as_str()),
        ("300", ""),
        "a partial count has no known end"
    );
    let whole = steps.iter().find(|row| row["daily_total"] == "true").unwrap();
    assert_eq!((whole["steps_count"].as_str(), whole["statistic"].as_str()), ("9800", "sum"));
    assert_eq!(whole["local_start"], format!("{}T00:00:00.000000", whole["local_date"]));
    for row in [rate, resting, part, whole] {
        let document = world.run(&["observations", "--patient-id", &patient]).stdout;
        assert!(document.contains(&row["identifier"]), "the identifier equals the one in the document");
        assert_eq!((row["mode"].as_str(), row["revision"].as_str()), ("normalized", "0"));
        assert!(row["arrived"] > row["start_time"]);
    }
    let package: serde_json::Value =
        serde_json::from_slice(&fs::read(directory.join("datapackage.json")).unwrap()).unwrap();
    for resource in package["resources"].as_array().unwrap() {
        let table = &tables[resource["name"].as_str().unwrap()];
        assert_eq!(resource["rows"], table.len());
        let fields = resource["schema"]["fields"].as_array().unwrap();
        assert!(
            fields.iter().all(|field| field["description"].as_str().is_some_and(|text| !text.is_empty()))
        );
        if let Some(rate) = fields.iter().find(|field| field["name"] == "heart_rate_bpm") {
            assert_eq!((&rate["loinc"], &rate["unit"]), (&"8867-4".into(), &"/min".into()));
        }
        let readme = fs::read_to_string(directory.join("README.md")).unwrap();
        assert!(readme.contains(&format!("`{}`", resource["path"].as_str().unwrap())));
    }
}

#[test]
fn a_night_is_one_row_with_its_stages_and_a_nap_says_so() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&CODES, "UTC");
    study_of(&world, &[&patient], &CODES);
    world.pass(DAY * 2);
    let bed = world.now.minus(DAY).midnight().plus(HOUR * 22);
    let stage = |name: &str, from: u32, until: u32| SleepStage {
        stage: name.into(),
        start: bed.plus(HOUR * from),
        end: bed.plus(HOUR * until),
    };
    let stages = vec![stage("light", 0, 3), stage("deep", 3, 5), stage("awake", 5, 6)];
    world.sim.put_event(&user, Event::night(bed, bed.plus(HOUR * 6), stages));
    world.sim.put_event(&user, Event::nap(bed.minus(HOUR * 8), bed.minus(HOUR * 7)));
    world.sim.put_event(&user, Event::workout("running", bed.minus(HOUR * 5), bed.minus(HOUR * 4)));
    world.created();
    let tables = read(&write(&world, "set", &[]).0);
    let nights = &tables["sleep"];
    assert_eq!(nights.len(), 2, "{nights:?}");
    let [nap, night] =
        [true, false].map(|is| nights.iter().find(|row| row["is_nap"] == is.to_string()).unwrap());
    assert_eq!((night["light_s"].as_str(), night["deep_s"].as_str()), ("10800", "7200"));
    assert_eq!(night["local_date"], bed.plus(HOUR * 6).to_string()[..10], "the date is the day of waking up");
    assert_eq!(nap["deep_s"], "", "a missing stage stays empty");
    let stages: Vec<&str> = tables["sleep_stages"].iter().map(|row| row["stage"].as_str()).collect();
    assert_eq!(stages, ["light", "deep", "awake"]);
    assert!(tables["sleep_stages"].iter().all(|row| row["sleep"] == night["identifier"]));
    assert_eq!(tables["workouts"][0]["kind"], "running");
}

#[test]
fn a_data_set_names_nobody() {
    let world = World::new();
    let user = world.sim.add_user();
    let (name, mail) = ("Rosalind Marker", "rosalind@example.org");
    let mut add = vec!["patient", "add", "--name", name, "--email", mail, "--ow-user", &user];
    add.extend(CODES.iter().flat_map(|code| ["--consent", code]));
    add.extend(["--reason", "paper"]);
    let patient = world.run(&add).stdout.trim().to_owned();
    study_of(&world, &[&patient], &CODES);
    let at = world.now.minus(HOUR * 3);
    for device in ["Anna's Apple Watch", "=HYPERLINK(1)"] {
        world.sim.put_row(&user, Row::heart_rate(at, 60.0).with_provider("apple").with_device(device));
    }
    let run = Event::workout("running", at, at.plus(HOUR));
    let end = at.plus(HOUR);
    world.sim.put_event(
        &user,
        run.with_json(&format!(
            r#"{{"id":"w1","type":"running","name":"Run with Anna","start_time":"{at}","end_time":"{end}",
                "zone_offset":null,"source":{{"provider":"apple","source":"apple","device":"Anna's Apple Watch"}}}}"#
        )),
    );
    world.created();
    let (directory, _) = write(&world, "set", &[]);
    for file in names(&directory) {
        let text = fs::read_to_string(directory.join(&file)).unwrap();
        for secret in ["Rosalind", "rosalind", "Anna", "HYPERLINK", user.as_str()] {
            assert!(!text.contains(secret), "{file} contains {secret}");
        }
    }
    let devices = &read(&directory)["devices"];
    let models: Vec<(&str, &str)> =
        devices.iter().map(|row| (row["device"].as_str(), row["model"].as_str())).collect();
    assert!(models.contains(&("1", "Apple Watch")) || models.contains(&("2", "Apple Watch")), "{models:?}");
}

#[test]
fn only_what_the_study_may_have_is_in_it() {
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE, "omh:body-weight:3.0"], "UTC");
    let (other, _) = world.patient_of(&[HEART_RATE], "UTC");
    study_of(&world, &[&patient], &[HEART_RATE]);
    world.pass(HOUR * 3);
    for (user, value) in [(&user, 60.0), (&other, 99.0)] {
        world.sim.put(user, world.now.minus(HOUR), value);
    }
    world.sim.put_row(&user, Row::of("weight", world.now.minus(HOUR), 70.0));
    assert_eq!(world.created(), 3);
    world.run(&["patient", "consent", &patient, HEART_RATE, "--withdraw"]);
    let tables = read(&write(&world, "set", &[]).0);
    let rates: Vec<&str> = tables["heart_rate"].iter().map(|row| row["heart_rate_bpm"].as_str()).collect();
    assert_eq!(rates, ["60"], "samples measured under the consent stay");
    assert!(!tables.contains_key("weight"));
    assert_eq!(tables["participants"][0]["state"], "withdrawn");
}

#[test]
fn an_impossible_value_is_rejected_and_an_improbable_one_is_marked() {
    let mut world = World::new();
    let codes = [HEART_RATE, "omh:blood-glucose:4.0", "omh:oxygen-saturation:2.0", "omh:sleep-episode:1.1"];
    let (user, patient) = world.patient_of(&codes, "UTC");
    study_of(&world, &[&patient], &codes);
    world.pass(DAY);
    let at = |minute: u32| world.now.minus(HOUR * 2).plus(MINUTE * minute);
    for (minute, value) in [(0, -1.0), (1, 0.0), (2, 290.0), (3, 70.0)] {
        world.sim.put(&user, at(minute), value);
    }
    world.sim.put_row(&user, Row::of("blood_glucose", at(4), 6.111));
    world.sim.put_row(&user, Row::of("oxygen_saturation", at(5), 870.0));
    let mut night = Event::night(at(6), at(66), Vec::new());
    if let EventDetails::Sleep(sleep) = &mut night.details {
        sleep.efficiency = Some(870.0);
    }
    world.sim.put_event(&user, night);
    world.poll();
    let tables = read(&write(&world, "set", &[]).0);
    let found = |table: &str, column: &str| -> Vec<(String, String)> {
        tables[table].iter().map(|row| (row[column].clone(), row["quality"].clone())).collect()
    };
    let expected = [("290".to_owned(), "suspect".to_owned()), ("70".to_owned(), "ok".to_owned())];
    assert_eq!(found("heart_rate", "heart_rate_bpm"), expected);
    assert_eq!(found("blood_glucose", "blood_glucose_mg_dl"), [("6.111".to_owned(), "suspect".to_owned())]);
    assert_eq!(found("oxygen_saturation", "oxygen_saturation_percent"), []);
    assert_eq!(tables["sleep"][0]["efficiency_percent"], "", "an impossible value removes that value only");
    let rejected = world.rejected().join("\n");
    for reason in
        ["its value -1 bpm cannot be measured", "its value 0 bpm", "870 percent", "efficiency_percent 870"]
    {
        assert!(rejected.contains(reason), "{reason}: {rejected}");
    }
}

/// One study was withdrawn from and hidden, and another accepts another provider only.
#[test]
fn a_study_gets_what_its_own_consents_and_providers_allow_in_both_outputs() {
    let world = World::new();
    let (user, patient) = world.patient_of(&[], "UTC");
    world.sim.fill(&user, world.now.minus(HOUR), world.now, FIVE_MINUTES, 1);
    study_of(&world, &[&patient], &[HEART_RATE]);
    sql(
        &world,
        "INSERT INTO studies (id, name, organization, purpose, contact, created_at) VALUES (2, 'Other', 'L', 'W', 'C', 0)",
    );
    sql(&world, "INSERT INTO study_codes SELECT 2, code_id FROM study_codes WHERE study_id = 1");
    sql(
        &world,
        &format!(
            "INSERT INTO enrolments (study_id, patient_id, enrolled_at, participant) VALUES (2, {patient}, 0, 'P001')"
        ),
    );
    sql(
        &world,
        &format!(
            "INSERT INTO consents (patient_id, code_id, study_id, granted_at) SELECT {patient}, code_id, study_id, 0 FROM study_codes"
        ),
    );
    assert_eq!(world.poll().code, 0);
    let rows = |study: &str, name: &str| {
        let out = world.directory.path().join(name);
        let ran = world.run(&["dataset", "--study", study, "--out", out.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let stream =
            world.run(&["observations", "--study", study, "--format", "csv"]).stdout.lines().count() - 1;
        let rows = read(&out)["heart_rate"].len();
        assert_eq!(rows, stream, "rows of study {study}");
        rows
    };
    let all = rows("1", "all");
    assert!(all > 0 && rows("2", "other") == all);
    sql(&world, &format!("UPDATE consents SET withdrawn_at = {} WHERE study_id = 1", world.now.micros()));
    assert_eq!(rows("1", "kept"), all);
    world.setting("data.after_withdrawal", "hide");
    assert_eq!((rows("1", "hidden"), rows("2", "shared")), (0, all));
    sql(&world, "INSERT INTO study_data_sources SELECT 2, id FROM data_sources WHERE name = 'Garmin'");
    assert_eq!(rows("2", "garmin"), 0);
}

#[test]
fn parquet_has_the_same_rows() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    let mut world = World::new();
    let (user, patient) = world.patient_of(&[HEART_RATE], "Europe/Berlin");
    study_of(&world, &[&patient], &[HEART_RATE]);
    world.pass(DAY);
    world.sim.fill(&user, world.now.minus(DAY), world.now, FIVE_MINUTES, 1);
    world.created();
    let tables = read(&write(&world, "csv", &[]).0);
    let (directory, _) = write(&world, "parquet", &["--format", "parquet"]);
    for (name, rows) in &tables {
        let file = fs::File::open(directory.join(format!("{name}.parquet"))).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        assert_eq!(
            reader.metadata().file_metadata().num_rows(),
            i64::try_from(rows.len()).unwrap(),
            "{name}"
        );
        for (row, expected) in reader.get_row_iter(None).unwrap().zip(rows) {
            for (column, field) in row.unwrap().get_column_iter() {
                let shown = field.to_string();
                match shown.trim_matches('"') {
                    "null" => assert_eq!(expected[column], "", "{name} {column}"),
                    text if !text.contains(':') && text.parse::<f64>().is_err() => {
                        assert_eq!(expected[column], text, "{name} {column}");
                    }
                    text if text.parse::<f64>().is_ok() => {
                        let (shown, expected): (f64, f64) =
                            (text.parse().unwrap(), expected[column].parse().unwrap());
                        assert!((shown - expected).abs() < 1e-9, "{name} {column}: {shown}, {expected}");
                    }
                    // Times have different formats with the same date.
                    text => assert_eq!(expected[column][..10], text[..10], "{name} {column}"),
                }
            }
        }
    }
}
