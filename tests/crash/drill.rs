//! Randomized rounds of polls, faults and kills, reproducible by a seed.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jhe_ow::simulator::fault::Fault;
use jhe_ow::simulator::request_log::OwRoute;

use crate::support::bucket::Fault as S3Fault;
use crate::support::fake_jhe::Fault as JheFault;
use crate::support::harness::*;
use crate::support::patients::*;

const MINUTE: Duration = Duration::from_mins(1);
/// Default number of rounds; they take a minute and a half on two slow cores.
const ROUNDS: u64 = 40;
/// An arbitrary default seed.
const SEED: u64 = 20_261_121;
/// Number of kills per round.
const KILLS: u64 = 3;
/// Maximum lifetime of a process in milliseconds: enough to read everything and send most of it.
const LIFE: u64 = 500;
/// After this many rounds everything must have reached JHE; the clock jumps two days ahead for it.
const DELIVERY: u64 = 10;

/// Counters of the drill.
#[derive(Debug, Default)]
struct Figures {
    kills: AtomicUsize,
    processes: AtomicUsize,
    ow_requests: AtomicUsize,
    ow_faults: AtomicUsize,
    jhe_requests: AtomicUsize,
    jhe_faults: AtomicUsize,
    /// Paused processes, clock steps, and restores of an older backup.
    stops: AtomicUsize,
    clock_steps: AtomicUsize,
    restores: AtomicUsize,
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Prints the seed when a test fails.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("JHE_OW_CRASH_SEED={} reproduces this", self.0);
        }
    }
}

#[test]
fn nothing_is_lost_or_duplicated_whenever_it_is_killed() {
    let (rounds, seed) = (number("JHE_OW_CRASH_ROUNDS", ROUNDS), number("JHE_OW_CRASH_SEED", SEED));
    let _told = Told(seed);
    let mut drills = [Drill::new(seed, Cohort::new(4)), Drill::new(!seed, Cohort::raw(4))];
    for round in 1..=rounds {
        // Ten rounds of one mode, then ten of the other; the seed decides which comes first.
        let drill = &mut drills[usize::from((seed + (round - 1) / DELIVERY) % 2 == 1)];
        drill.round();
        if round % DELIVERY == 0 || round == rounds {
            drill.deliver();
        }
    }
    eprintln!("{rounds} rounds of seed {seed}");
    for (mode, drill) in ["normalized", "raw"].into_iter().zip(&drills).filter(|(_, drill)| drill.has_run()) {
        let (figures, cohort) = (&drill.figures, &drill.cohort);
        let delivered = cohort.jhe.state().kept.len();
        eprintln!("{mode}: {figures:?}");
        eprintln!("{mode}: kept {}, delivered {delivered}, lost 0, doubled 0", cohort.samples());
        let troubles = [&figures.ow_faults, &figures.jhe_faults].map(|count| count.load(Ordering::SeqCst));
        assert!(!troubles.contains(&0), "{mode}: {figures:?}");
    }
}

struct Drill {
    cohort: Cohort,
    dice: Dice,
    figures: Arc<Figures>,
    troubled: Arc<Mutex<BTreeSet<String>>>,
}

impl Drill {
    fn new(seed: u64, cohort: Cohort) -> Self {
        let drill = Self { cohort, dice: Dice::new(seed), figures: Arc::default(), troubled: Arc::default() };
        let (figures, troubled) = (drill.figures.clone(), drill.troubled.clone());
        drill.cohort.world.sim.on_page(move |user, _| {
            figures.ow_requests.fetch_add(1, Ordering::SeqCst);
            if troubled.lock().unwrap().contains(user) {
                figures.ow_faults.fetch_add(1, Ordering::SeqCst);
            }
        });
        drill
    }

    fn has_run(&self) -> bool {
        self.figures.processes.load(Ordering::SeqCst) > 0
    }

    fn round(&mut self) {
        let step = self.dice.pick(&[6, 11, 23, 61, 125]);
        self.cohort.wait_until_idle();
        let backup = (self.dice.roll(5) == 0).then(|| self.cohort.back_up());
        self.cohort.world.pass(MINUTE * step);
        self.cohort.live(&mut self.dice);
        for _ in 0..=self.dice.roll(KILLS) {
            self.trouble();
            self.live_and_die();
            self.cohort.check_file();
        }
        self.calm();
        if let Some(backup) = backup {
            self.figures.restores.fetch_add(1, Ordering::SeqCst);
            self.cohort.restore(&backup);
        }
        if let Some(bucket) = &self.cohort.bucket {
            self.figures.ow_requests.fetch_add(bucket.seen().len(), Ordering::SeqCst);
        }
        self.cohort.recover();
        if self.dice.roll(3) == 0 {
            let who = usize::from(self.dice.roll(2) == 0) + 2;
            self.cohort.change_consent(who);
        }
    }

    /// Starts the processes that may run together and kills each one at a random time.
    fn live_and_die(&mut self) {
        let port = free_port().to_string();
        let bind = format!("127.0.0.1:{port}");
        let serve: &[&str] = &["serve", "--bind", &bind];
        let (poll, export): (&[&str], &[&str]) = (&["poll"], &["export"]);
        let together =
            self.dice.pick(&[vec![serve], vec![serve], vec![poll], vec![export], vec![serve, poll, export]]);
        let mut running = Vec::new();
        let clock = self.cohort.world.clock_in_a_file();
        for arguments in together {
            let mut command = self.cohort.world.command(arguments);
            command.env("JHE_OW_CLOCK", &clock);
            command.stdout(Stdio::null()).stderr(Stdio::null());
            running.push(Running::new(command.spawn().unwrap()));
        }
        self.figures.processes.fetch_add(running.len(), Ordering::SeqCst);
        let first = self.dice.roll(LIFE / 2);
        std::thread::sleep(Duration::from_millis(first));
        if self.dice.roll(3) == 0 {
            // The survivors' clock stands still, and OW and JHE get other faults.
            self.trouble();
        }
        if self.dice.roll(4) == 0 {
            self.step_clock();
        }
        for mut one in running {
            let life = self.dice.roll(LIFE / 2);
            if self.dice.roll(5) == 0 && !one.has_ended() {
                self.figures.stops.fetch_add(1, Ordering::SeqCst);
                one.signal("STOP");
                std::thread::sleep(Duration::from_millis(self.dice.roll(LIFE / 4)));
                one.signal("CONT");
            }
            std::thread::sleep(Duration::from_millis(life));
            self.figures.kills.fetch_add(usize::from(!one.has_ended()), Ordering::SeqCst);
            drop(one);
        }
    }

    /// Steps the clock of the running processes, as a time server does after a wrong start.
    fn step_clock(&mut self) {
        self.figures.clock_steps.fetch_add(1, Ordering::SeqCst);
        let right = self.cohort.world.now;
        let step = MINUTE * self.dice.pick(&[1, 20, 90]);
        self.cohort.world.now = if self.dice.roll(2) == 0 { right.plus(step) } else { right.minus(step) };
        self.cohort.world.clock_in_a_file();
        self.cohort.world.now = right;
    }

    /// Sets random faults of every patient's pages and of JHE.
    fn trouble(&mut self) {
        let sim = &self.cohort.world.sim;
        sim.set_latency(Duration::from_millis(self.dice.roll(25)));
        let mut troubled = self.troubled.lock().unwrap();
        troubled.clear();
        for member in &self.cohort.all {
            if let Some(bucket) = &self.cohort.bucket {
                let fault = match self.dice.roll(8) {
                    0 => S3Fault::Silence,
                    1 => S3Fault::Status(500),
                    2 => S3Fault::Later(self.dice.roll(3)),
                    _ => {
                        bucket.list_trouble(&member.user, None);
                        continue;
                    }
                };
                self.figures.ow_faults.fetch_add(1, Ordering::SeqCst);
                bucket.list_trouble(&member.user, Some(fault));
            }
            let fault = match self.dice.roll(18) {
                0 => Fault::Hang,
                1 => Fault::Status(500),
                2 => Fault::TooManyRequests { retry_after: self.dice.roll(3).to_string() },
                3 => Fault::Cut,
                4 => Fault::Truncated,
                5 => Fault::RepeatCursor,
                6 | 7 => Fault::Doubled,
                8 => Fault::FailFirst { times: 1, status: 503 },
                9 => Fault::FailAfterPages { pages: 1, status: 502 },
                10 => Fault::Garbage,
                _ => {
                    sim.set_fault(&member.user, None);
                    continue;
                }
            };
            troubled.insert(member.user.clone());
            sim.set_fault(&member.user, Some(fault.clone()));
            if self.dice.roll(4) == 0 {
                sim.set_fault_on(&member.user, OwRoute::Sleep, Some(fault));
            }
        }
        let figures = self.figures.clone();
        let mut dice = Dice::new(self.dice.roll(u64::MAX));
        let mut state = self.cohort.jhe.state();
        state.latency = Duration::from_millis(dice.roll(40));
        state.faults.clear();
        state.trouble = Some(Box::new(move |_| {
            figures.jhe_requests.fetch_add(1, Ordering::SeqCst);
            let fault = match dice.roll(40) {
                0 => JheFault::Status(500),
                1 => JheFault::Busy("90"),
                2 => JheFault::Lost,
                3 => JheFault::Cut,
                4 => JheFault::Hang,
                5 => JheFault::Proxy(405, "90"),
                6 => JheFault::Status(409),
                7 => JheFault::Status(413),
                8 => JheFault::Killed,
                _ => return None,
            };
            figures.jhe_faults.fetch_add(1, Ordering::SeqCst);
            Some(fault)
        }));
    }

    /// Removes all faults.
    fn calm(&mut self) {
        let sim = &self.cohort.world.sim;
        for member in &self.cohort.all {
            sim.set_fault(&member.user, None);
            sim.set_fault_on(&member.user, OwRoute::Sleep, None);
            self.cohort.bucket.iter().for_each(|bucket| bucket.list_trouble(&member.user, None));
        }
        self.troubled.lock().unwrap().clear();
        let mut state = self.cohort.jhe.state();
        state.faults.clear();
        state.trouble = None;
    }

    fn deliver(&mut self) {
        self.cohort.consent_all();
        self.cohort.deliver();
    }
}
