//! Speed and size of a data set: `cargo bench --bench dataset` writes 10 million heart rates (or `JHE_OW_ROWS`) as CSV
//! and as Parquet, and compares with `sqlite3 -csv` on the same raw columns. The figures are ratios of one run.

#![allow(clippy::cast_precision_loss, reason = "the figures are small, and for people")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use rusqlite::Connection;

/// Default number of rows.
const ROWS: i64 = 10_000_000;
const PATIENTS: i64 = 100;
/// The interval between samples: 5 minutes in microseconds.
const STEP: i64 = 300_000_000;

fn main() {
    // `cargo test --benches` only checks that the program starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rows = std::env::var("JHE_OW_ROWS").map_or(ROWS, |text| text.parse().unwrap());
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = directory.path().join("data");
    run(&data, &["seed"]);
    fill(&data.join("jhe-ow.sqlite3"), rows);
    let (sqlite, _) = measure(directory.path(), "sqlite3", |command| {
        let query = "SELECT stream_id, instant, value, utc_offset, revision, activity_context, commit_number
             FROM observations ORDER BY stream_id, instant";
        command.args(["-readonly", "-csv"]).arg(data.join("jhe-ow.sqlite3")).arg(query);
    });
    println!("{rows} heart rates        seconds  of sqlite3  peak MiB  bytes a row");
    println!("sqlite3 -csv             {sqlite:>7.1}");
    for format in ["csv", "parquet"] {
        let out = directory.path().join(format);
        let (seconds, peak) = measure(directory.path(), env!("CARGO_BIN_EXE_jhe-ow"), |command| {
            command
                .arg("--data-dir")
                .arg(&data)
                .args(["dataset", "--study", "1", "--format", format, "--out"]);
            command.arg(&out);
        });
        let bytes = std::fs::metadata(out.join(format!("heart_rate.{format}"))).unwrap().len();
        println!(
            "{format:<24} {seconds:>7.1} {:>10.2} {:>9.1} {:>12.1}",
            seconds / sqlite,
            peak as f64 / 1024.0,
            bytes as f64 / rows as f64
        );
    }
}

fn run(data: &Path, arguments: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jhe-ow"));
    command.env_remove("JHE_OW_ROWS");
    let status = command.arg("--data-dir").arg(data).args(arguments).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{arguments:?}");
}

/// Fills a store with patients of one study. Each quarter of an hour is one commit.
fn fill(path: &Path, rows: i64) {
    let mut db = Connection::open(path).unwrap();
    let db = db.transaction().unwrap();
    db.execute_batch(
        "INSERT INTO studies (id, name, organization, purpose, contact, created_at) VALUES (1, 'S', 'O', 'P', 'C', 0);
         INSERT INTO study_codes SELECT 1, id FROM codes WHERE code = 'omh:heart-rate:2.0';
         INSERT INTO commits (number, instant) VALUES (0, 0)",
    )
    .unwrap();
    let each = rows / PATIENTS;
    for patient in 1..=PATIENTS {
        db.execute_batch(&format!(
            "INSERT INTO patients (id, name, time_zone, subject, created_at)
             VALUES ({patient}, 'A', 'Europe/Berlin', '009edd1e-49f6-4e35-a7b9-{patient:012}', 0);
             INSERT INTO enrolments (study_id, patient_id, enrolled_at, participant) VALUES (1, {patient}, 0, 'P{patient:03}');
             INSERT INTO consents (patient_id, code_id, granted_at) SELECT {patient}, code_id, 0 FROM study_codes;
             INSERT INTO streams (patient_id, subject, system, series_type, provider, source, device, daily_total, code_id,
                                  converter_version, newest_instant)
             SELECT {patient}, '009edd1e-49f6-4e35-a7b9-{patient:012}', 'ow:normalized', 'heart_rate', 'oura', 'oura',
                    'Oura Ring 4', 0, code_id, 1, 0 FROM study_codes",
        ))
        .unwrap();
    }
    let start = 1_700_000_000_000_000_i64;
    for commit in 1..=each / 3 + 1 {
        db.prepare_cached("INSERT INTO commits (number, instant) VALUES (?, ?)")
            .unwrap()
            .execute([commit, start + commit * STEP * 3])
            .unwrap();
    }
    let insert = "INSERT INTO observations (stream_id, instant, value, utc_offset, revision, activity_context, commit_number)
         VALUES (?, ?, ?, NULL, 0, NULL, ?)";
    let mut insert = db.prepare(insert).unwrap();
    for stream in 1..=PATIENTS {
        for place in 0..each {
            let value = 55 + (place * 7 + stream) % 40;
            insert.execute([stream, start + place * STEP, value, place / 3 + 1]).unwrap();
        }
    }
    drop(insert);
    db.commit().unwrap();
}

/// Runs a command with its output in a file. Returns its duration in seconds and its peak memory in KiB.
fn measure(directory: &Path, program: &str, prepare: impl FnOnce(&mut Command)) -> (f64, u64) {
    let mut command = Command::new("/usr/bin/env");
    // The shell's `time` reports no memory, and GNU time may be missing, so the script reads the kernel's own count.
    let script = "\"$@\" & pid=$!; peak=0; while kill -0 $pid 2>/dev/null; do \
                  now=$(awk '/VmHWM/ {print $2}' /proc/$pid/status 2>/dev/null || echo 0); \
                  [ \"${now:-0}\" -gt \"$peak\" ] && peak=$now; sleep 0.05; done; wait $pid || exit 1; echo $peak >&2";
    command.args(["sh", "-c", script, "sh", program]);
    command.env_remove("JHE_OW_ROWS");
    prepare(&mut command);
    command.stdout(File::create(directory.join("out")).unwrap()).stderr(Stdio::piped());
    let began = Instant::now();
    let output = command.output().unwrap();
    let seconds = began.elapsed().as_secs_f64();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    (seconds, text.lines().last().and_then(|line| line.trim().parse().ok()).unwrap_or(0))
}
