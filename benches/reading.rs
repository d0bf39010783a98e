//! Speed of reading a study over HTTP: `cargo bench --bench reading` follows the pages of one patient with 288 heart rates a
//! day for 90 days, and compares with rendering the same documents in memory in the same run.
//!
//! `JHE_OW_PATIENTS` makes a study of so many patients, for the first page of all of them.

#![allow(clippy::cast_precision_loss, reason = "the figures are small, and for people")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jhe_ow::common::time::Timestamp;
use jhe_ow::fhir::base::Base;
use jhe_ow::fhir::observation_search::FoundObservation;
use jhe_ow::fhir::resources;
use jhe_ow::model::observation::{Observation, StreamInfo};
use jhe_ow::model::stream_key::StreamKey;
use jhe_ow::model::study::Enrolment;
use rusqlite::Connection;

/// One patient's heart rates: 288 a day for 90 days.
const ROWS: i64 = 288 * 90;
/// The interval between samples: 5 minutes in microseconds.
const STEP: i64 = 300_000_000;
const START: i64 = 1_700_000_000_000_000;
const SUBJECT: &str = "009edd1e-49f6-4e35-a7b9-000000000001";
/// Each figure is the best of so many runs.
const RUNS: usize = 5;

fn main() {
    // `cargo test --benches` only checks that the program starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let patients = std::env::var("JHE_OW_PATIENTS").map_or(1, |text| text.parse().unwrap());
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = directory.path().join("data");
    run(&data, &["seed"]);
    fill(&data.join("jhe-ow.sqlite3"), patients);
    let token = run(&data, &["token", "add", "--study", "1"]);
    let mut server = Server::start(&data, token.trim());
    println!("{ROWS} heart rates of one patient, of {patients} patients");
    println!("base                    render ms   pages ms  throughput of rendering");
    for base in Base::ALL {
        let render = best(|| render(base));
        let pages =
            best(|| server.follow_pages(&format!("{}/Observation?patient=1&_count=1000", base.path())));
        let ratio = render.as_secs_f64() / pages.as_secs_f64();
        println!("{:<22} {:>10} {:>10} {ratio:>24.2}", base.path(), render.as_millis(), pages.as_millis());
    }
    for path in [
        "Observation?_count=1000",
        "Observation?patient=1&_count=1000&_sort=-date",
        "Patient?_count=1000",
        "Observation?_summary=count",
    ] {
        let first = best(|| drop(server.get(&format!("/FHIR/R4/{path}"))));
        println!("{path:<40} {:>8} ms", first.as_millis());
    }
}

/// Returns the time of the fastest of some runs.
fn best(mut work: impl FnMut()) -> Duration {
    let times = (0..RUNS).map(|_| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    times.min().unwrap()
}

fn render(base: Base) {
    let key = StreamKey {
        series_type: "heart_rate",
        provider: "oura".into(),
        source: "oura".into(),
        device: "Oura Ring 4".into(),
        daily_total: false,
    };
    let stream = Arc::new(StreamInfo::unstored(&key, SUBJECT, "ow:normalized"));
    let enrolment = Enrolment { study: "1".parse().unwrap(), name: "S".into(), participant: "P001".into() };
    let enrolment = Arc::new(enrolment);
    let mut bytes = 0;
    for place in 0..ROWS {
        let instant = Timestamp::from_micros(START + place * STEP);
        let value = (55 + place % 40) as f64;
        let observation =
            Observation { instant, value, zone: None, revision: 0, context: None, details: None };
        let (stream, enrolment) = (Arc::clone(&stream), Arc::clone(&enrolment));
        let found = FoundObservation { stream, enrolment, observation, last_updated: instant };
        bytes += resources::observation(base, &found).unwrap().json.len();
    }
    assert!(bytes > 0);
}

fn run(data: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jhe-ow"));
    command.env_remove("JHE_OW_PATIENTS");
    let output = command.arg("--data-dir").arg(data).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Fills a store with one study. Each quarter of an hour is one commit.
fn fill(path: &Path, patients: i64) {
    let mut db = Connection::open(path).unwrap();
    let db = db.transaction().unwrap();
    db.execute_batch(
        "INSERT INTO studies (id, name, organization, purpose, contact, created_at) VALUES (1, 'S', 'O', 'P', 'C', 0);
         INSERT INTO study_codes SELECT 1, id FROM codes WHERE code = 'omh:heart-rate:2.0';
         INSERT INTO commits (number, instant) VALUES (0, 0)",
    )
    .unwrap();
    for commit in 1..=ROWS / 3 + 1 {
        let insert = "INSERT INTO commits (number, instant) VALUES (?, ?)";
        db.prepare_cached(insert).unwrap().execute([commit, START + commit * STEP * 3]).unwrap();
    }
    for patient in 1..=patients {
        let subject = format!("009edd1e-49f6-4e35-a7b9-{patient:012}");
        db.execute_batch(&format!(
            "INSERT INTO patients (id, name, time_zone, subject, created_at) VALUES ({patient}, 'A', 'UTC', '{subject}', 0);
             INSERT INTO enrolments (study_id, patient_id, enrolled_at, participant) VALUES (1, {patient}, 0, 'P{patient:05}');
             INSERT INTO consents (patient_id, code_id, granted_at) SELECT {patient}, code_id, 0 FROM study_codes;
             INSERT INTO streams (patient_id, subject, system, series_type, provider, source, device, daily_total, code_id,
                                  converter_version, newest_instant)
             SELECT {patient}, '{subject}', 'ow:normalized', 'heart_rate', 'oura', 'oura', 'Oura Ring 4', 0, code_id, 1, 0
             FROM study_codes",
        ))
        .unwrap();
        // The others have a day each.
        let rows = if patient == 1 { ROWS } else { 288 };
        let insert = "INSERT INTO observations (stream_id, instant, value, utc_offset, revision, activity_context, commit_number)
             VALUES (?, ?, ?, NULL, 0, NULL, ?)";
        let mut insert = db.prepare_cached(insert).unwrap();
        for place in 0..rows {
            insert.execute([patient, START + place * STEP, 55 + place % 40, place / 3 + 1]).unwrap();
        }
    }
    db.commit().unwrap();
}

/// A daemon, and one connection to it.
struct Server {
    child: Child,
    connection: BufReader<TcpStream>,
    token: String,
}

impl Server {
    fn start(data: &Path, token: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_jhe-ow"));
        command.arg("--data-dir").arg(data).args(["serve", "--bind", &format!("127.0.0.1:{port}")]);
        command.env_remove("JHE_OW_PATIENTS").env("JHE_OW_METRICS_BIND", "off");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let connection = loop {
            if let Ok(connection) = TcpStream::connect(("127.0.0.1", port)) {
                break BufReader::new(connection);
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        Self { child, connection, token: token.to_owned() }
    }

    fn get(&mut self, path: &str) -> String {
        let token = &self.token;
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
        self.connection.get_mut().write_all(head.as_bytes()).unwrap();
        let (mut line, mut length) = (String::new(), 0);
        self.connection.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{path}: {line}");
        while line != "\r\n" {
            line.clear();
            self.connection.read_line(&mut line).unwrap();
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        self.connection.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    fn follow_pages(&mut self, path: &str) {
        let (mut next, mut rows) = (Some(path.to_owned()), 0);
        while let Some(path) = next {
            let body = self.get(&path);
            rows += body.matches("\"fullUrl\"").count();
            // The links come before the entries.
            let link =
                body.split("\"entry\"").next().unwrap().split("\"relation\":\"next\",\"url\":\"").nth(1);
            next = link.map(|link| link.split('"').next().unwrap().replace("http://localhost", ""));
        }
        assert_eq!(rows, usize::try_from(ROWS).unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
