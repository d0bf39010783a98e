//! `jhe-ow convert` answers as the Python package does, whose answers were recorded; `tests/oracle/compare.py`
//! records them anew.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use serde_json::value::RawValue;

const VECTORS: &str = include_str!("../../captures/convert-vectors.jsonl");

/// Runs the filter with nothing around it: no configuration, no home, no data directory.
fn convert(input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_jhe-ow"))
        .arg("convert")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // Where the filter has gone, the output says what is missing.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The names of fields, in the order in which they are written.
fn names(json: &str) -> Vec<&str> {
    let parts: Vec<&str> = json.split("\":").collect();
    parts[..parts.len() - 1].iter().filter_map(|part| part.rsplit('"').next()).collect()
}

/// As it is recorded: without what the package draws and reads from a clock.
fn comparable(answer: &str) -> Value {
    let mut answer: Value = serde_json::from_str(answer).unwrap();
    if let Some(header) = answer.pointer_mut("/output/header") {
        let header = header.as_object_mut().unwrap();
        assert!(header.remove("uuid").is_some() && header.remove("source_creation_date_time").is_some());
    }
    answer
}

#[derive(serde::Deserialize)]
struct Vector<'a> {
    line: String,
    /// What the package answered.
    #[serde(borrow)]
    answer: Option<&'a RawValue>,
    /// The deliberate difference that stands here.
    differs: Option<String>,
}

#[test]
fn every_recorded_line_is_answered_as_the_package_answered_it() {
    let vectors: Vec<Vector> = VECTORS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(vectors.len() > 300, "{}", vectors.len());
    let lines: Vec<&str> = vectors.iter().map(|vector| vector.line.as_str()).collect();
    let lines = lines.join("\n");
    let output = convert(&lines);
    let answers = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answers.lines().count(), vectors.len());
    for (vector, ours) in vectors.iter().zip(answers.lines()) {
        let line = &vector.line;
        let Some(theirs) = vector.answer else {
            let deliberate = [": Refused: ", "LineError", "could not convert", "invalid literal"];
            assert!(
                deliberate.iter().any(|word| ours.contains(word)),
                "{:?}: {line}\n{ours}",
                vector.differs
            );
            continue;
        };
        assert_eq!(comparable(ours), serde_json::from_str::<Value>(theirs.get()).unwrap(), "{line}");
        if let (Some((_, ours)), Some((_, theirs))) =
            (ours.split_once(r#""body""#), theirs.get().split_once(r#""body""#))
        {
            assert_eq!(names(ours), names(theirs), "{line}");
        }
    }
    let again = String::from_utf8(convert(&lines).stdout).unwrap();
    assert!(again == answers, "the same lines, the same bytes");
}

#[test]
fn a_line_that_cannot_be_read_stops_nothing_and_is_told_by_the_exit_code() {
    let good = VECTORS.lines().find_map(|line| {
        let vector: Vector = serde_json::from_str(line).unwrap();
        vector.answer.is_some_and(|answer| answer.get().starts_with(r#"{"output""#)).then_some(vector.line)
    });
    let good = good.unwrap();
    let output = convert(&format!("{good}\nnope\n{good}\n"));
    let answers = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!((answers.len(), output.status.code()), (3, Some(3)));
    assert!(answers[0].starts_with(r#"{"output":{"header":"#) && answers[0] == answers[2], "{answers:?}");
    assert!(answers[1].contains(r#""type":"LineError""#), "{answers:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().count(), 1);
    assert_eq!(convert(&good).status.code(), Some(0));
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let line = r#"{"source":"ow_normalized","data_type":"heart_rate","sample":{"value":72,"timestamp":"2026-04-09T08:30:00Z"}}"#;
    let mut child = Command::new(env!("CARGO_BIN_EXE_jhe-ow"))
        .arg("convert")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // Until the filter is gone, and much more than the pipes take.
    let lines = format!("{line}\n").repeat(1000);
    while stdin.write_all(lines.as_bytes()).is_ok() {}
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}
