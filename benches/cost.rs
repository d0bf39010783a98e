//! The cost of a sample: `cargo bench` prints rates, ratios, bytes and memory of one run.
//!
//! Absolute numbers vary with the machine; compare the ratios, which are measured side by side.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "the figures are small, and for people"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jhe_ow::common::clock::Clock;
use jhe_ow::common::time::Timestamp;
use jhe_ow::model::bucket_day::BucketDay;
use jhe_ow::model::catalog::code::HEART_RATE;
use jhe_ow::model::catalog::endpoint::ENDPOINTS;
use jhe_ow::model::catalog::series::SERIES;
use jhe_ow::model::patient::{OwUser, PatientId, PatientRef};
use jhe_ow::model::stream_key::StreamOwner;
use jhe_ow::ow::page::parse_timeseries;
use jhe_ow::poll::collect::{BATCH, Collector, PayloadOrigin};
use jhe_ow::raw::body::PayloadDecoder;
use jhe_ow::simulator::ring::heart_rate_at;
use jhe_ow::simulator::simulated_ow::SimulatedOw;
use jhe_ow::store::engine::{setting, store::Store};
use jhe_ow::store::operations::tick_lock;
use jhe_ow::store::operations::tick_lock::{LockOwner, RunKind};
use jhe_ow::store::people::consent::GrantBasis;
use jhe_ow::store::people::patient::{NewPatient, Relink};
use jhe_ow::store::people::{consent, patient};
use jhe_ow::store::samples::commit::Batch;
use jhe_ow::store::samples::raw_object::{ObjectState, ObjectUpdate, RawObject};
use jhe_ow::store::samples::{code, commit, raw_object};
use jiff::tz::TimeZone;

/// Patients read in turn, as in a tick.
const PATIENTS: usize = 100;
/// Days of a ring's samples, 288 a day.
const DAYS: usize = 10;
const STEP: Duration = Duration::from_mins(5);
/// Records per page, as in a newer OW.
const PAGE: usize = 1000;
/// Records of an object of 10 MiB, OW's largest.
const LARGE_OBJECT: usize = 150_000;
/// Patients with one day of payloads each.
const BUCKET_PATIENTS: usize = 1000;
/// Encrypts the settings; nothing here is secret.
const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789ab";
/// Patients read at the same time, the default.
const CONCURRENCY: usize = 4;
/// Repetitions of each comparison; the median counts.
const ROUNDS: usize = 5;

/// Returns the command that adds a linked patient who consents to heart rates.
fn linked_patient<'a>(name: &'a str, user: &'a str) -> [&'a str; 10] {
    ["patient", "add", "--name", name, "--ow-user", user, "--consent", HEART_RATE, "--reason", "paper"]
}

fn main() {
    // `cargo test --benches` only checks that the program starts.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(rates());
    runtime.block_on(bytes());
    memory();
    raw_memory(&runtime);
}

/// A store with linked and consenting patients, with the lock held.
struct World {
    store: Store,
    patients: Vec<(PatientId, String)>,
    hold: LockOwner,
    directory: tempfile::TempDir,
}

fn start() -> Timestamp {
    Timestamp::parse("2026-11-01T00:00:00Z").unwrap()
}

impl World {
    async fn new(mode: &'static str) -> Self {
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = Store::open(directory.path()).unwrap();
        let hold = LockOwner::prepare(directory.path()).unwrap();
        let (owner, path) = (hold.token().to_owned(), directory.path().to_owned());
        let patients = store.write(move |db| {
            code::seed(db)?;
            setting::set(db, "ow.ingest_mode", mode)?;
            tick_lock::take(db, &path, &owner, RunKind::Tick, start())?;
            (0..PATIENTS)
                .map(|number| {
                    let user = format!("00000000-0000-4000-8000-{number:012}");
                    let new = NewPatient { name: "A".into(), email: None, time_zone: None };
                    let id = patient::insert(db, &new, start())?;
                    let link: OwUser = user.parse().unwrap();
                    patient::link(
                        db,
                        &patient::find(db, PatientRef::Own(id))?,
                        &link,
                        Relink::Unspecified,
                        start(),
                    )?;
                    consent::grant(db, id, HEART_RATE, GrantBasis::default(), start())?;
                    Ok((id, user))
                })
                .collect()
        });
        let patients = patients.await.unwrap();
        Self { store, patients, hold, directory }
    }

    /// Ingests a page: from its bytes to committed rows.
    async fn ingest(&self, patient: usize, page: &[u8]) {
        let mut collector = Collector::new(&[&SERIES[0]], &TimeZone::UTC, Timestamp::MAX);
        collector.add(&parse_timeseries(page).unwrap());
        let (parts, rejected) = collector.take_batch(true);
        let (id, user) = self.patients[patient].clone();
        let owner = StreamOwner { patient: id, subject: user, system: "ow:normalized" };
        let marks = collector.newest().to_vec();
        let batch = Batch {
            zone: TimeZone::UTC,
            owner,
            link: id.get(),
            mode: "normalized",
            streams: parts,
            rejected,
            marks,
            deleted: Vec::new(),
            insert_only: false,
            census: None,
        };
        let lock_owner = self.hold.token().to_owned();
        self.store.write(move |db| commit::commit(db, &batch, &lock_owner, start())).await.unwrap();
    }

    /// Ingests an object in raw mode: from its bytes to committed rows and the object's state.
    async fn ingest_object(&self, patient: usize, number: usize, bytes: &[u8]) {
        let (mut collector, mut body) =
            (Collector::new(&[], &TimeZone::UTC, Timestamp::MAX), PayloadDecoder::new());
        let origin = PayloadOrigin { endpoint: &ENDPOINTS[0], series: &[&SERIES[0]], stored: None };
        // In chunks, as received from the network.
        for chunk in bytes.chunks(16 * 1024) {
            body.feed(chunk).unwrap();
            for record in body.take_records().records() {
                collector.add_raw(&origin, record).unwrap();
            }
        }
        assert!(body.finish().unwrap());
        let (parts, rejected) = collector.take_batch(true);
        let (id, user) = self.patients[patient].clone();
        let owner = StreamOwner { patient: id, subject: user, system: "ow:raw" };
        let batch = Batch {
            zone: TimeZone::UTC,
            owner,
            link: id.get(),
            mode: "raw",
            streams: parts,
            rejected,
            marks: Vec::new(),
            deleted: Vec::new(),
            insert_only: false,
            census: None,
        };
        let object = RawObject {
            day: BucketDay::of(start()),
            name: format!("{number:012x}.json"),
            etag: "d1d97fa221930abba093bcdf60ce0847".into(),
            state: ObjectState::Read,
            endpoint: Some(ENDPOINTS[0].path.into()),
            error: None,
            checked: start(),
        };
        let lock_owner = self.hold.token().to_owned();
        let write = move |db: &_| {
            commit::commit(db, &batch, &lock_owner, start())?;
            raw_object::apply_updates(db, batch.link, &[ObjectUpdate::Upsert(object)])
        };
        self.store.write(write).await.unwrap();
    }

    /// Ingests all pages with several patients at a time; returns samples per second.
    async fn ingest_all(&self, pages: &[Vec<Vec<u8>>], is_raw: bool) -> f64 {
        use futures_util::StreamExt;
        let began = Instant::now();
        let turns = futures_util::stream::iter(pages.iter().enumerate());
        turns
            .for_each_concurrent(CONCURRENCY, |(patient, pages)| async move {
                for (number, page) in pages.iter().enumerate() {
                    if is_raw {
                        self.ingest_object(patient, number, page).await;
                    } else {
                        self.ingest(patient, page).await;
                    }
                }
            })
            .await;
        rate(PATIENTS * DAYS * 288, began)
    }
}

fn rate(samples: usize, began: Instant) -> f64 {
    samples as f64 / began.elapsed().as_secs_f64()
}

/// Returns a page in OW's format.
fn page(patient: usize, from: usize, count: usize) -> Vec<u8> {
    let records: Vec<String> = (from..from + count)
        .map(|number| {
            let at = start().plus(STEP * u32::try_from(number).unwrap());
            let value = heart_rate_at(patient as u64, at);
            format!(
                r#"{{"timestamp":"{at}","zone_offset":null,"type":"heart_rate","value":{value:?},"unit":"bpm","source":{{"provider":"oura","source":"oura","device":null,"device_type":null,"device_name":null}},"is_daily_total":null}}"#
            )
        })
        .collect();
    format!(
        r#"{{"data":[{}],"pagination":{{"next_cursor":null,"previous_cursor":null,"has_more":false,"total_count":{count}}},"metadata":{{"resolution":null}}}}"#,
        records.join(",")
    )
    .into_bytes()
}

/// Returns an object as OW stores it: a page of Oura's API.
fn object(patient: usize, from: usize, count: usize, begin: Timestamp) -> Vec<u8> {
    let records: Vec<String> = (from..from + count)
        .map(|number| {
            let at = begin.plus(STEP * u32::try_from(number).unwrap());
            let value = heart_rate_at(patient as u64, at);
            format!(r#"{{"bpm": {value}, "source": "awake", "timestamp": "{at}"}}"#)
        })
        .collect();
    format!(r#"{{"data": [{}], "next_token": null}}"#, records.join(", ")).into_bytes()
}

fn objects(patient: usize) -> Vec<Vec<u8>> {
    let samples = DAYS * 288;
    let pages = (0..samples).step_by(PAGE);
    pages.map(|from| object(patient, from, PAGE.min(samples - from), start())).collect()
}

fn pages(patient: usize) -> Vec<Vec<u8>> {
    let samples = DAYS * 288;
    (0..samples).step_by(PAGE).map(|from| page(patient, from, PAGE.min(samples - from))).collect()
}

async fn rates() {
    let pages: Vec<_> = (0..PATIENTS).map(pages).collect();
    let objects: Vec<_> = (0..PATIENTS).map(objects).collect();
    let (mut first, mut again, mut bare, mut raw) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let world = World::new("normalized").await;
        first.push(world.ingest_all(&pages, false).await);
        again.push(world.ingest_all(&pages, false).await);
        raw.push(World::new("raw").await.ingest_all(&objects, true).await);
        bare.push(bare_loop());
    }
    let ratio = |a: &[f64], b: &[f64]| median(a.iter().zip(b).map(|(a, b)| a / b).collect());
    println!("page bytes to committed rows   {:>9.0} samples/s", median(first.clone()));
    println!("bare rusqlite loop, same rows  {:>9.0} samples/s", median(bare.clone()));
    println!("  ratio                        {:>9.2}   (to reach: 0.70)", ratio(&first, &bare));
    println!("re-read, all known             {:>9.0} samples/s", median(again.clone()));
    println!("  ratio to the first read      {:>9.2}", ratio(&again, &first));
    println!("  ratio to the bare loop       {:>9.2}", ratio(&again, &bare));
    println!("object bytes to committed rows {:>9.0} samples/s   (raw mode)", median(raw.clone()));
    println!("  ratio to pages               {:>9.2}", ratio(&raw, &first));
}

/// Baseline: the same rows in the same order with the same pragmas and batches, using SQLite directly.
fn bare_loop() -> f64 {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut db = rusqlite::Connection::open(directory.path().join("bare.sqlite3")).unwrap();
    db.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA cache_size = -4096;
         CREATE TABLE streams (id INTEGER PRIMARY KEY) STRICT;
         CREATE TABLE observations (
             stream_id INTEGER NOT NULL REFERENCES streams (id), instant INTEGER NOT NULL, value REAL NOT NULL,
             utc_offset INTEGER, revision INTEGER NOT NULL, commit_number INTEGER NOT NULL,
             PRIMARY KEY (stream_id, instant)
         ) STRICT, WITHOUT ROWID;",
    )
    .unwrap();
    for stream in 0..PATIENTS {
        db.execute("INSERT INTO streams VALUES (?)", [stream as i64]).unwrap();
    }
    let rows: Vec<(i64, i64, f64)> = (0..PATIENTS)
        .flat_map(|patient| {
            (0..DAYS * 288).map(move |number| {
                let at = start().plus(STEP * u32::try_from(number).unwrap());
                (patient as i64, at.micros(), heart_rate_at(patient as u64, at))
            })
        })
        .collect();
    let began = Instant::now();
    for (number, batch) in rows.chunks(BATCH).enumerate() {
        let transaction = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
        let mut insert =
            transaction.prepare_cached("INSERT INTO observations VALUES (?, ?, ?, NULL, 0, ?)").unwrap();
        for (stream, instant, value) in batch {
            insert.execute(rusqlite::params![stream, instant, value, number as i64]).unwrap();
        }
        drop(insert);
        transaction.commit().unwrap();
    }
    rate(rows.len(), began)
}

/// Measures ten days of ticks, each with three new samples per patient.
async fn bytes() {
    let world = World::new("normalized").await;
    let per_tick = 3;
    for tick in 0..DAYS * 96 {
        let turns = (0..PATIENTS).map(|patient| {
            let page = page(patient, tick * per_tick, per_tick);
            let world = &world;
            async move { world.ingest(patient, &page).await }
        });
        futures_util::future::join_all(turns).await;
    }
    let path = world.directory.path().join("jhe-ow.sqlite3");
    let World { store, directory, .. } = world;
    drop(store);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let rows: i64 = db.query_row("SELECT count(*) FROM observations", [], |row| row.get(0)).unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    println!(
        "bytes per observation on disk  {:>9.1}   (to reach: 32; {rows} rows, {PATIENTS} patients interleaved)",
        size as f64 / rows as f64
    );
    drop(directory);
}

/// Runs the real binary on 90 days of every patient from a simulated OW in this process.
fn memory() {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let sim = SimulatedOw::start(0, Clock::System).unwrap();
    sim.set_page_cap(1000);
    let run = |arguments: &[&str]| command(directory.path(), &sim, arguments).status().unwrap().success();
    assert!(run(&["seed"]) && run(&["settings", "set", "module.ow", "true"]));
    let now = Clock::System.now();
    let mut samples = 0;
    for seed in 0..PATIENTS as u64 {
        let user = sim.add_user();
        samples += sim.fill(&user, now.minus(STEP * 25_920), now, STEP, seed);
        assert!(run(&linked_patient("A", &user)));
    }
    let began = Instant::now();
    let mut child = command(directory.path(), &sim, &["poll", "--window", "90d"]).spawn().unwrap();
    let peak = peak_memory(&mut child);
    println!(
        "90 days of 100 patients        {:>9.0} samples/s ({samples} samples, pages and all)",
        rate(samples, began)
    );
    println!("  peak memory                  {:>9.1} MiB (to reach: 48)", peak as f64 / 1024.0);
    let db = rusqlite::Connection::open(directory.path().join("jhe-ow.sqlite3")).unwrap();
    let kept: i64 = db.query_row("SELECT count(*) FROM observations", [], |row| row.get(0)).unwrap();
    assert!(usize::try_from(kept).unwrap() + PATIENTS >= samples, "{kept} of {samples} samples were stored");
}

/// Runs the real binary on one day of every patient's payloads from an S3 server in this process.
fn raw_memory(runtime: &tokio::runtime::Runtime) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bucket = directory.path().join("buckets/ow-raw");
    std::fs::create_dir_all(&bucket).unwrap();
    let address = runtime.block_on(serve_bucket(&directory.path().join("buckets")));
    let sim = SimulatedOw::start(0, Clock::System).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = command(directory.path(), &sim, arguments);
        assert!(command.env("JHE_OW_SECRET_KEY", SECRET_KEY).status().unwrap().success());
    };
    run(&["seed"]);
    for (key, value) in [
        ("module.ow", "true"),
        ("ow.ingest_mode", "raw"),
        ("ow.daily_historical_sync", "false"),
        ("ow.s3.endpoint_url", &address),
        ("ow.s3.access_key_id", "bench"),
        ("ow.s3.secret_access_key", "bench"),
        ("ow.s3.bucket_name", "ow-raw"),
    ] {
        run(&["settings", "set", key, value]);
    }
    let now = Clock::System.now();
    let (today, day_ago) = (BucketDay::of(now), now.minus(STEP * 288));
    for patient in 0..BUCKET_PATIENTS {
        let user = sim.add_user();
        run(&linked_patient("A", &user));
        let path = bucket.join(format!("raw-payloads/oura/api_response/{today}/{user}"));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("701e19a918f0.json"), object(patient, 0, 288, day_ago)).unwrap();
        if patient == 0 {
            let long_ago = now.minus(STEP * u32::try_from(LARGE_OBJECT).unwrap());
            std::fs::write(path.join("801e19a918f0.json"), object(patient, 0, LARGE_OBJECT, long_ago))
                .unwrap();
        }
    }
    let began = Instant::now();
    let mut child = command(directory.path(), &sim, &["poll"]);
    let peak = peak_memory(&mut child.env("JHE_OW_SECRET_KEY", SECRET_KEY).spawn().unwrap());
    let samples = BUCKET_PATIENTS * 288 + LARGE_OBJECT;
    println!(
        "a day of {BUCKET_PATIENTS} patients in S3    {:>9.1} s (an object of 10 MiB too; the server walks all files for each listing)",
        began.elapsed().as_secs_f64()
    );
    println!("  peak memory                  {:>9.1} MiB (to reach: 48)", peak as f64 / 1024.0);
    let db = rusqlite::Connection::open(directory.path().join("jhe-ow.sqlite3")).unwrap();
    let kept: i64 = db.query_row("SELECT count(*) FROM observations", [], |row| row.get(0)).unwrap();
    // The large object contains that day too.
    assert_eq!(usize::try_from(kept).unwrap(), samples - 288);
}

/// Serves the buckets in a directory; returns the address.
async fn serve_bucket(root: &Path) -> String {
    let mut service = s3s::service::S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    service.set_auth(s3s::auth::SimpleAuth::from_single("bench", "bench"));
    let service = service.build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = hyper_util::rt::TokioIo::new(stream);
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(stream, service.clone());
            tokio::spawn(connection);
        }
    });
    address
}

fn command(directory: &Path, sim: &SimulatedOw, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jhe-ow"));
    command
        .args(arguments)
        .env_clear()
        .env("OW_API_URL", sim.url())
        .env("OW_API_KEY", sim.key())
        .env("JHE_OW_DATA_DIR", directory)
        .current_dir(directory)
        .stdout(Stdio::null());
    command
}

/// Returns a process's peak resident memory in KiB.
fn peak_memory(child: &mut Child) -> u64 {
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().unwrap().success());
    peak
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
