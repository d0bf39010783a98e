//! A daemon that follows webhook hints, and a clock that a test can set while it runs.

use jhe_ow::common::time::Timestamp;

use crate::support::harness::*;
use crate::support::running_daemon::*;

pub const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const LISTED: &str = "/api/v1/sync/runs";

/// Counts the requests for OW's full list of sync runs.
pub fn lists(world: &World) -> usize {
    let is_whole = |query: &str| !query.contains("source=");
    world.sim.requests().iter().filter(|seen| seen.path == LISTED && is_whole(&seen.query)).count()
}

/// Counts a user's reads that began on the day `days` days ago.
pub fn reads_of(world: &World, user: &str, days: u32) -> usize {
    let path = format!("/api/v1/users/{user}/timeseries");
    let start = format!("start_time={}", &world.now.minus(DAY * days).to_string()[..10]);
    world.sim.requests().iter().filter(|seen| seen.path == path && seen.query.contains(&start)).count()
}

/// Waits until at least one historical read was scheduled and all are done.
pub fn until_all_reads_are_done(world: &World) {
    until("the queue of historical reads is empty", || {
        let db = rusqlite::Connection::open(world.database()).unwrap();
        let query = "SELECT coalesce(min(completed_at IS NOT NULL), 0) FROM historical_reads";
        db.query_row(query, [], |row| row.get(0)).unwrap()
    });
}

/// A clock that can be moved while a daemon runs, for `JHE_OW_CLOCK`.
pub struct Hands(std::path::PathBuf);

impl Hands {
    pub fn new(world: &World) -> Self {
        let hands = Self(world.directory.path().join("clock"));
        hands.set(world.now);
        hands
    }

    pub fn set(&self, now: Timestamp) {
        // Written atomically: the daemon may read the file at any time.
        let half = self.0.with_extension("new");
        std::fs::write(&half, now.to_string()).unwrap();
        std::fs::rename(half, &self.0).unwrap();
    }

    pub fn variable(&self) -> String {
        format!("@{}", self.0.display())
    }
}

/// Starts a daemon with an hour between ticks and waits for its first tick.
pub fn served(world: &World, hints: &str, user: &str, variables: &[(&str, &str)]) -> Served {
    world.setting("ow.poll_interval", "1h");
    world.setting("ow.hints", hints);
    let served = Served::with(world, variables);
    until("the first tick is over", || {
        world.pages_of(user) > 0 && world.lock().is_empty() && (hints == "off" || lists(world) > 1)
    });
    served
}

/// Adds a linked patient whose consent covers the last year, in a world whose first reads go back one day.
pub fn patient_with_a_past(world: &World) -> (String, String) {
    world.setting("ow.first_connect_window", "366d");
    let patient = world.patient();
    world.setting("ow.first_connect_window", "1d");
    patient
}
