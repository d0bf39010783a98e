//! Compares the daemon's reading speed with a real OW's capacity: `OW_API_URL=… OW_API_KEY=… OW_USERS=FILE cargo bench
//! --bench against_ow`, with a file of OW user ids, one per line. Without these variables it does nothing.
//!
//! A plain load generator, which reads every page and discards it, and the real binary take turns, five times each.
//! Both read the same 21 days in the same slices with the same concurrency.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_wrap,
    reason = "the figures are small, and for people"
)]

use std::collections::VecDeque;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jhe_ow::common::clock::Clock;
use jhe_ow::common::time::Timestamp;
use jhe_ow::model::catalog::code::HEART_RATE;
use serde::Deserialize;

const WEEK: Duration = Duration::from_hours(7 * 24);
const WEEKS: u32 = 3;
const CONCURRENCY: usize = 4;
/// Records per page, as in an older OW.
const LIMIT: &str = "100";
const PAIRS: usize = 5;

#[derive(Deserialize)]
struct Page {
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_cursor: Option<String>,
    has_more: bool,
}

struct Ow {
    url: String,
    key: String,
    users: Vec<String>,
    now: Timestamp,
}

/// Returns the command that adds a linked patient who consents to heart rates.
fn linked_patient<'a>(name: &'a str, user: &'a str) -> [&'a str; 10] {
    ["patient", "add", "--name", name, "--ow-user", user, "--consent", HEART_RATE, "--reason", "paper"]
}

fn main() {
    let get = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (Some(url), Some(key), Some(users)) = (get("OW_API_URL"), get("OW_API_KEY"), get("OW_USERS")) else {
        println!("against a real OW: set OW_API_URL, OW_API_KEY and OW_USERS to measure it");
        return;
    };
    let users = std::fs::read_to_string(users).unwrap().split_whitespace().map(str::to_owned).collect();
    let ow = Ow { url, key, users, now: Clock::System.now() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut ratios: Vec<f64> = (0..PAIRS)
        .map(|_| {
            let (pages, plain) = runtime.block_on(plain(&ow));
            let ours = ours(&ow);
            let rate = |time: Duration| pages as f64 / time.as_secs_f64();
            println!("plain {:>6.1} pages/s   jhe-ow {:>6.1} pages/s", rate(plain), rate(ours));
            plain.as_secs_f64() / ours.as_secs_f64()
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("of the plain load generator's rate, median: {:.2}   (to reach: 0.90)", ratios[PAIRS / 2]);
}

/// Reads every page and discards it.
async fn plain(ow: &Ow) -> (usize, Duration) {
    let client = reqwest::Client::new();
    let queue: Mutex<VecDeque<&String>> = Mutex::new(ow.users.iter().collect());
    let began = Instant::now();
    let worker = || async {
        let mut pages = 0;
        loop {
            let Some(user) = queue.lock().unwrap().pop_front() else { return pages };
            for week in (0..WEEKS).rev() {
                let until = ow.now.minus(WEEK * week);
                pages += slice(ow, &client, user, until.minus(WEEK), until).await;
            }
        }
    };
    let pages = futures_util::future::join_all((0..CONCURRENCY).map(|_| worker())).await;
    (pages.iter().sum(), began.elapsed())
}

async fn slice(ow: &Ow, client: &reqwest::Client, user: &str, from: Timestamp, until: Timestamp) -> usize {
    let url = format!("{}/api/v1/users/{user}/timeseries", ow.url);
    let mut cursor: Option<String> = None;
    for pages in 1.. {
        let mut query = vec![
            ("types", "heart_rate".to_owned()),
            ("start_time", from.to_string()),
            ("end_time", until.as_range_end().to_string()),
            ("limit", LIMIT.to_owned()),
        ];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let request = client.get(&url).header("X-Open-Wearables-API-Key", &ow.key).query(&query);
        let body = request.send().await.unwrap().error_for_status().unwrap().bytes().await.unwrap();
        let page: Page = serde_json::from_slice(&body).unwrap();
        if !page.pagination.has_more {
            return pages;
        }
        cursor = page.pagination.next_cursor;
    }
    0
}

/// Runs the real binary on a new store.
fn ours(ow: &Ow) -> Duration {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jhe-ow"));
        command.args(arguments).env_clear().env("OW_API_URL", &ow.url).env("OW_API_KEY", &ow.key);
        command.env("JHE_OW_DATA_DIR", directory.path()).env("JHE_OW_CLOCK", ow.now.to_string());
        command.current_dir(directory.path()).stdout(Stdio::null());
        command
    };
    let run = |arguments: &[&str]| assert!(command(arguments).status().unwrap().success());
    run(&["seed"]);
    run(&["settings", "set", "module.ow", "true"]);
    for user in &ow.users {
        run(&linked_patient("A", user));
    }
    let began = Instant::now();
    run(&["poll", "--window", "21d"]);
    began.elapsed()
}
