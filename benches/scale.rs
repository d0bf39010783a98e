//! The capacity of one machine: `cargo bench --bench scale` runs ticks of the real binary over 10,000 linked patients
//! (or `JHE_OW_SCALE`), against a simulated OW in this process that answers after 20 ms.

#![allow(clippy::cast_precision_loss, reason = "the figures are small, and for people")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jhe_ow::common::clock::Clock;
use jhe_ow::common::time::Timestamp;
use jhe_ow::model::catalog::code::HEART_RATE;
use jhe_ow::model::patient::{OwUser, PatientRef};
use jhe_ow::simulator::simulated_ow::SimulatedOw;
use jhe_ow::store::engine::setting;
use jhe_ow::store::engine::store::Store;
use jhe_ow::store::people::consent::GrantBasis;
use jhe_ow::store::people::patient::{NewPatient, Relink};
use jhe_ow::store::people::{consent, patient};
use jhe_ow::store::samples::code;

/// Default number of linked patients.
const PATIENTS: usize = 10_000;
/// OW's response time on a near network.
const LATENCY: Duration = Duration::from_millis(20);
/// The interval between a ring's samples.
const STEP: Duration = Duration::from_mins(5);
const TICK: Duration = Duration::from_mins(15);
/// Units per second of the kernel's process times.
const CLOCK_TICKS: f64 = 100.0;

fn main() {
    // `cargo test --benches` only checks that the program starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let patients = std::env::var("JHE_OW_SCALE").map_or(PATIENTS, |text| text.parse().unwrap());
    let mut now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
    let clock = Clock::fixed(now);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let sim = SimulatedOw::start(0, clock.clone()).unwrap();
    sim.set_page_cap(1000);
    let users: Vec<String> = (0..patients).map(|_| sim.add_user()).collect();
    for (user, seed) in users.iter().zip(0..) {
        sim.fill(user, now.minus(STEP * 288), now, STEP, seed);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(enrol(directory.path(), users.clone(), now));
    sim.set_latency(LATENCY);
    println!("{patients} patients, {} ms for each answer of OW", LATENCY.as_millis());
    println!("tick                     seconds  requests  samples/s  CPU s   peak MiB  file MiB");
    let show = |what: &str, now| {
        let tick = run(directory.path(), &sim, now);
        println!(
            "{what:<24} {:>7.1} {:>9} {:>10.0} {:>6.1} {:>10.1} {:>9.1}",
            tick.seconds,
            tick.requests,
            tick.created as f64 / tick.seconds,
            tick.cpu,
            tick.peak_kib as f64 / 1024.0,
            bytes(directory.path()) as f64 / (1024.0 * 1024.0)
        );
    };
    show("the first, a day each", now);
    for concurrency in ["4", "16", "64"] {
        runtime.block_on(set(directory.path(), "ow.concurrency", concurrency));
        let before = now;
        now = now.plus(TICK);
        clock.set(now);
        for (user, seed) in users.iter().zip(0..) {
            sim.fill(user, before, now, STEP, seed);
        }
        show(&format!("3 samples each, {concurrency} at once"), now);
    }
}

/// Creates linked and consenting patients in one transaction.
async fn enrol(directory: &Path, users: Vec<String>, now: Timestamp) {
    let store = Store::open(directory).unwrap();
    let work = store.write(move |db| {
        code::seed(db)?;
        setting::set(db, "module.ow", "true")?;
        for user in users {
            let new = NewPatient { name: "A".into(), email: None, time_zone: None };
            let id = patient::insert(db, &new, now)?;
            let found = patient::find(db, PatientRef::Own(id))?;
            let link: OwUser = user.parse().unwrap();
            patient::link(db, &found, &link, Relink::Unspecified, now)?;
            consent::grant(db, id, HEART_RATE, GrantBasis::default(), now)?;
        }
        Ok(())
    });
    work.await.unwrap();
}

async fn set(directory: &Path, key: &'static str, value: &str) {
    let value = value.to_owned();
    Store::open(directory).unwrap().write(move |db| setting::set(db, key, &value)).await.unwrap();
}

/// The measurements of one tick.
struct Tick {
    seconds: f64,
    requests: usize,
    created: u64,
    cpu: f64,
    peak_kib: u64,
}

fn run(directory: &Path, sim: &SimulatedOw, now: Timestamp) -> Tick {
    sim.forget_requests();
    let began = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_jhe-ow"))
        .arg("poll")
        .env_clear()
        .env("OW_API_URL", sim.url())
        .env("OW_API_KEY", sim.key())
        .env("JHE_OW_DATA_DIR", directory)
        .env("JHE_OW_CLOCK", now.to_string())
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut cpu, mut peak_kib) = (0.0, 0);
    let id = child.id();
    while child.try_wait().unwrap().is_none() {
        cpu = cpu_seconds(id).unwrap_or(cpu);
        peak_kib = peak(id).unwrap_or(peak_kib);
        std::thread::sleep(Duration::from_millis(50));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let created = told.split_once("Created ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    Tick {
        seconds: began.elapsed().as_secs_f64(),
        requests: sim.requests().len(),
        created: created.unwrap_or_else(|| panic!("{told}")),
        cpu,
        peak_kib,
    }
}

/// Returns the processor time of a process.
fn cpu_seconds(id: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The program name in parentheses may contain spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / CLOCK_TICKS)
}

/// Returns a process's peak resident memory in KiB.
fn peak(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Returns the size of the database and its write-ahead log.
fn bytes(directory: &Path) -> u64 {
    ["jhe-ow.sqlite3", "jhe-ow.sqlite3-wal"]
        .iter()
        .filter_map(|name| std::fs::metadata(directory.join(name)).ok())
        .map(|found| found.len())
        .sum()
}
