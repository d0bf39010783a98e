//! A patient with silence alerts, and a clock that the test sets.

use std::path::PathBuf;

use crate::support::harness::*;
use crate::support::running_daemon::*;

/// A world whose daemon ticks every second and reads its clock from a file.
pub struct Watched {
    pub world: World,
    pub clock: PathBuf,
    pub user: String,
    pub patient: String,
}

impl Watched {
    pub fn new() -> Self {
        let world = World::new();
        let user = world.sim.add_user();
        let add = linked_patient("Rosalind Marker", &user);
        let patient = world.run(&add).stdout.trim().to_owned();
        Self::over(world, user, patient)
    }

    /// Adds one sample at OW for the patient of a world.
    pub fn over(world: World, user: String, patient: String) -> Self {
        world.setting("ow.poll_interval", "1s");
        world.setting("ow.hints", "off");
        let clock = world.directory.path().join("clock");
        let watched = Self { world, clock, user, patient };
        watched.measure(61.25);
        watched.set_clock();
        watched
    }

    pub fn measure(&self, value: f64) {
        self.world.sim.put(&self.user, self.world.now.minus(FIVE_MINUTES), value);
    }

    pub fn set_clock(&self) {
        // Written atomically: the daemon cannot parse a partial time.
        let half = self.clock.with_extension("new");
        std::fs::write(&half, self.world.now.to_string()).unwrap();
        std::fs::rename(half, &self.clock).unwrap();
    }

    pub fn pass(&mut self, time: std::time::Duration) {
        self.world.pass(time);
        self.set_clock();
    }

    pub fn serve(&self, variables: &[(&str, &str)]) -> Served {
        let clock = format!("@{}", self.clock.display());
        let all: Vec<(&str, &str)> =
            variables.iter().copied().chain([("JHE_OW_CLOCK", clock.as_str())]).collect();
        Served::with(&self.world, &all)
    }

    /// Advances the clock in steps while the daemon runs; a single leap would look like a suspend.
    pub fn stay_awake(&mut self) {
        for _ in 0..2 {
            self.ticks();
            self.pass(std::time::Duration::from_mins(6));
        }
        self.ticks();
    }

    /// Waits for a few more ticks and their follow-up work.
    pub fn ticks(&self) {
        let before = self.world.pages_of(&self.user);
        until("some ticks have run", || self.world.pages_of(&self.user) >= before + 3);
    }
}
