//! Runs `jhe-ow doctor` and checks its findings.

use jhe_ow::common::time::Timestamp;
use serde_json::Value;

use crate::support::bucket::{KEY_ID, SECRET};
use crate::support::fake_jhe::*;
use crate::support::harness::*;

pub const SECRET_KEY: &str = "0123456789abcdef0123456789abcdef0123456789ab";
pub const NAME: &str = "Zaphod";

/// The findings of `jhe-ow doctor`.
pub struct Found {
    pub code: i32,
    pub findings: Vec<Value>,
    pub text: String,
}

impl Found {
    /// Returns the message and the remedy of a check in this state.
    pub fn said(&self, check: &str, state: &str) -> (&str, &str) {
        let is_it = |one: &&Value| one["check"] == check && one["state"] == state;
        let found = self.findings.iter().find(is_it);
        let found = found
            .unwrap_or_else(|| panic!("no finding of check {check} in state {state}: {:#?}", self.findings));
        (found["what"].as_str().unwrap(), found["next"].as_str().unwrap())
    }

    /// The checks in this state.
    pub fn checks(&self, state: &str) -> Vec<&str> {
        let all = self.findings.iter().filter(|one| one["state"] == state);
        all.map(|one| one["check"].as_str().unwrap()).collect()
    }

    /// Asserts that this check is the only one that stops data, and that the exit code says so.
    pub fn stops(&self, check: &str, what: &str, next: &str) {
        self.has(check, "stops", what, next);
        assert_eq!((self.code, self.checks("stops")), (1, vec![check]), "{:#?}", self.findings);
    }

    /// Asserts that this check warns and nothing stops data.
    pub fn warns(&self, check: &str, what: &str, next: &str) {
        self.has(check, "warning", what, next);
        assert_eq!((self.code, self.checks("stops")), (0, vec![]), "{:#?}", self.findings);
    }

    pub fn has(&self, check: &str, state: &str, what: &str, next: &str) {
        let said = self.said(check, state);
        assert!(said.0.contains(what) && said.1.contains(next), "{check}: {said:?}");
    }
}

pub fn examine(world: &World) -> Found {
    examine_with(world, &[])
}

/// Runs the doctor with text and with JSON output, and asserts that the findings are equal.
pub fn examine_with(world: &World, more: &[&str]) -> Found {
    let words: Vec<&str> = ["doctor"].iter().chain(more).copied().collect();
    let text = world.run(&words);
    let words: Vec<&str> = words.into_iter().chain(["--json"]).collect();
    let json = world.run(&words);
    assert_eq!((json.code, text.stderr.as_str(), json.stderr.as_str()), (text.code, "", ""));
    let findings: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    for secret in [SECRET_KEY, SECRET, KEY_ID, KEY, NAME, "187.25", &world.sim.key()] {
        assert!(!text.stdout.contains(secret) && !json.stdout.contains(secret), "{secret}: {}", text.stdout);
    }
    assert!(!text.stdout.contains('\u{1b}'), "output into a pipe must not be coloured");
    Found { code: text.code, findings, text: text.stdout }
}

pub fn real_now() -> Timestamp {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// Returns a healthy world at the real time (the servers' clocks are real): one patient with recent samples, and a
/// backup.
pub fn well() -> World {
    let mut world = World::new();
    world.now = real_now();
    world.set("JHE_OW_SECRET_KEY", SECRET_KEY);
    let user = world.sim.add_user();
    let add = linked_patient(NAME, &user);
    assert_eq!(world.run(&add).code, 0);
    world.sim.put(&user, world.now.minus(HOUR), 187.25);
    assert_eq!(world.created(), 1);
    back_up(&world, world.now.minus(HOUR));
    world
}

/// Adds a backup whose name carries its time.
pub fn back_up(world: &World, at: Timestamp) {
    let stamp: String = at.to_string().chars().filter(|c| !matches!(c, '-' | ':')).take(15).collect();
    let directory = world.data_dir().join("backups");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join(format!("jhe-ow-{stamp}Z.sqlite3")), "").unwrap();
}

/// Connects a world to a fully configured JHE with a patient linked to the world's patient.
pub fn connect(world: &mut World) -> FakeJhe {
    let jhe = FakeJhe::start();
    jhe.add_patient(40001, 10006, world.now.minus(DAY));
    let here = "http://127.0.0.1:8002/clients/ow/launch?code=CODE";
    jhe.state().people.invitation_url = Some(here.to_owned());
    world.set("JHE_BASE_URL", &jhe.url());
    world.set("JHE_CLIENT_KEY", KEY);
    jhe
}

/// Adds a patient of JHE with one pending observation.
pub fn add_pending_observation(world: &World) {
    let user = world.sim.add_user_known_as("10006");
    let add = ["patient", "add", "--jhe-patient", "40001", "--ow-user", &user];
    let ran = world.run(&add);
    assert_eq!(ran.code, 0, "{ran:?}");
    world.sim.put(&user, world.now.minus(HOUR), 61.0);
    assert_eq!(world.created(), 1);
}

pub fn sql(world: &World, statement: &str) {
    let db = rusqlite::Connection::open(world.database()).unwrap();
    db.execute_batch(statement).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}
