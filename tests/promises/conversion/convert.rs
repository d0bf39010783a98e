//! `jhe-ow convert` prints what the daemon stores, or the reason for a rejection.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use jhe_ow::model::catalog::series::SERIES;
use jhe_ow::simulator::event::Event;
use jhe_ow::simulator::samples_table::Row;
use serde_json::{Value, json};

use crate::support::harness::*;

/// Valid and invalid records of every kind from OW and Oura, one per line.
const RECORDS: &str = include_str!("../../captures/convert-records.jsonl");
/// The reviewed answers to [`RECORDS`]; written by the command with [`ARGUMENTS`].
const ANSWERS: &str = include_str!("../../captures/convert-answers.jsonl");
const ARGUMENTS: [&str; 6] = [
    "--tz",
    "Europe/Berlin",
    "--ow-user",
    "009edd1e-49f6-4e35-a7b9-952f45e501e9",
    "--stored",
    "2026-11-23T21:56:47Z",
];
const RECORD: &str = r#"{"timestamp":"2026-04-09T08:30:00Z","type":"heart_rate","value":72,"unit":"bpm"}"#;

/// Returns the command in an empty environment: no configuration, home or data directory.
fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jhe-ow"));
    command.arg("convert").args(arguments).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn convert(arguments: &[&str], input: &str) -> Output {
    let mut child = bare(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // The command may exit early; its output shows that.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn lines(output: &Output) -> Vec<String> {
    String::from_utf8(output.stdout.clone()).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_recorded_record_is_answered_with_the_same_bytes() {
    let answers = lines(&convert(&ARGUMENTS, RECORDS));
    let (records, expected): (Vec<_>, Vec<_>) = (RECORDS.lines().collect(), ANSWERS.lines().collect());
    assert_eq!((answers.len(), expected.len()), (records.len(), records.len()));
    for ((record, answer), expected) in records.iter().zip(&answers).zip(expected) {
        assert_eq!(answer, expected, "{record}");
    }
}

#[test]
fn the_recorded_records_make_data_points_of_every_code() {
    for series in SERIES {
        let name = series.code.split(':').nth(1).unwrap();
        assert!(ANSWERS.contains(&format!(r#""name":"{name}""#)), "{}", series.code);
    }
}

#[test]
fn a_data_point_is_the_one_that_the_daemon_stores() {
    let world = World::new();
    let codes: Vec<&str> = SERIES.iter().map(|series| series.code).collect();
    let (user, patient) = world.patient_of(&codes, "Europe/Berlin");
    let (start, end) = (at("2026-11-21T01:10:00Z"), at("2026-11-21T07:10:00Z"));
    let heart_rate = json!({ "timestamp": "2026-11-21T09:00:00Z", "zone_offset": "+01:00", "type": "heart_rate",
                             "value": 61.5, "unit": "bpm", "source": { "provider": "garmin", "source": "garmin" } });
    let weight = json!({ "timestamp": "2026-11-21T09:00:00Z", "zone_offset": null, "type": "weight", "value": 150.0,
                         "unit": "lb", "source": { "provider": "garmin", "source": "garmin" } });
    let row = |name, value| Row::of(name, at("2026-11-21T09:00:00Z"), value).with_provider("garmin");
    world.sim.put_row(&user, row("heart_rate", 61.5).with_zone("+01:00"));
    world.sim.put_row(&user, row("weight", 150.0).with_unit("lb"));
    let id = world.sim.put_event(&user, Event::workout("running", start, end).with_zone(Some("+02:00")));
    assert_eq!(world.created(), 3);
    let workout = json!({ "id": id, "type": "running", "start_time": start.to_string(), "end_time": end.to_string(),
                          "zone_offset": "+02:00", "duration_seconds": 21600,
                          "source": { "provider": "oura", "source": "oura" } });
    let stored = as_delivered(&world.run(&["observations", "--patient-id", &patient]).stdout);
    let mut stored: Vec<&str> = stored.lines().collect();
    let input = format!("{heart_rate}\n{weight}\n{workout}");
    let printed = convert(&["--tz", "Europe/Berlin", "--ow-user", &user], &input);
    let mut printed: Vec<String> = lines(&printed)
        .iter()
        .map(|line| {
            let (_, rest) = line.split_once(r#"{"data_points":["#).unwrap();
            rest.strip_suffix(r#"],"rejected":[]}"#).unwrap().to_owned()
        })
        .collect();
    stored.sort_unstable();
    printed.sort();
    assert_eq!(printed, stored);
}

#[test]
fn a_line_that_cannot_be_read_gets_its_reason_and_the_next_one_is_converted() {
    let output = convert(&[], &format!("{RECORD}\nnope\n{RECORD}\n"));
    let answers = lines(&output);
    assert_eq!((answers.len(), output.status.code()), (3, Some(3)));
    assert!(
        answers[0].starts_with(r#"{"data_points":[{"header":"#) && answers[0] == answers[2],
        "{answers:?}"
    );
    assert!(answers[1].starts_with(r#"{"error":"it is not JSON: "#), "{answers:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    let rejected = convert(&[], &RECORD.replace("bpm", "Hz"));
    assert_eq!(lines(&rejected), [r#"{"data_points":[],"rejected":["its unit is 'Hz', not 'bpm'"]}"#]);
    assert_eq!(rejected.status.code(), Some(0), "a rejected record is a result, not an error");
}

#[test]
fn a_time_zone_may_be_a_fixed_offset() {
    let day = r#"{"date":"2026-04-09","active_calories_kcal":310}"#;
    for (zone, start) in [("+02:00", "2026-04-09T00:00:00+02:00"), ("-0330", "2026-04-09T00:00:00-03:30")] {
        let answers = lines(&convert(&["--tz", zone], day));
        let answer: Value = serde_json::from_str(&answers[0]).unwrap();
        let interval = "/data_points/0/body/effective_time_frame/time_interval/start_date_time";
        assert_eq!(answer.pointer(interval), Some(&json!(start)));
    }
    let wrong = convert(&["--tz", "Mars/Olympus"], day);
    assert_eq!((wrong.status.code(), wrong.stdout.len()), (Some(2), 0));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let mut child = bare(&[]).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // Writes far more than the pipes hold, until the command exits.
    let lines = format!("{RECORD}\n").repeat(1000);
    while stdin.write_all(lines.as_bytes()).is_ok() {}
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}
