//! The simulated patients: each shows something that happens with real ones.

use std::time::Duration;

use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::model::patient::{OwUser, PatientRef};
use crate::simulator::fault::Fault;
use crate::simulator::ring::heart_rate_at;
use crate::simulator::samples_table::Row;
use crate::simulator::sim::Sim;
use crate::simulator::vitals::vitals;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::people::consent::{Extent, Grounds};
use crate::store::people::patient::{NewPatient, Relink};
use crate::store::people::{consent, patient};
use crate::store::samples::code;

/// A ring measures every five minutes; what it measured before the demonstration began.
const STEP: Duration = Duration::from_mins(5);
const HISTORY: Duration = Duration::from_hours(36);
/// While somebody looks, a ring measures faster than a real one.
const LIVE_STEP: Duration = Duration::from_secs(3);

/// The first patient has a cuff beside the ring, of a maker whose cuffs OW knows.
const HAS_CUFF: u64 = 1;
const CUFF: &str = "garmin";

/// A late ring syncs once in so many turns, and trouble lasts as long.
const LATE_EVERY: u32 = 10;

/// How a wearer behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Habit {
    /// Syncs at once.
    Steady,
    /// Syncs only now and then, and then brings what is behind the mark.
    Late,
    /// The provider corrects what it sent.
    Corrected,
    /// OW answers with errors for this one, now and then.
    Troubled,
    /// Has withdrawn.
    Withdrawn,
}

impl Habit {
    fn name(self) -> &'static str {
        match self {
            Self::Steady => "Steady ring",
            Self::Late => "Late ring",
            Self::Corrected => "Corrected ring",
            Self::Troubled => "Troubled ring",
            Self::Withdrawn => "Withdrawn",
        }
    }
}

const HABITS: &[Habit] = &[Habit::Steady, Habit::Late, Habit::Corrected, Habit::Troubled, Habit::Withdrawn];

#[derive(Debug)]
struct Wearer {
    user: String,
    seed: u64,
    habit: Habit,
    synced: Timestamp,
    /// Until when OW has what is not the heart rate.
    known: Timestamp,
}

/// The simulated rings.
#[derive(Debug)]
pub(crate) struct Rings {
    wearers: Vec<Wearer>,
    turn: u32,
}

/// Makes patients on both sides, with what their rings measured before.
pub(crate) async fn enrol(sim: &Sim, store: &Store, count: u32, now: Timestamp) -> Result<Rings, Failure> {
    let mut wearers = Vec::new();
    for (number, habit) in (1..=count).zip(HABITS.iter().copied().cycle()) {
        let user = sim.add_user();
        let link = user.parse::<OwUser>().map_err(|why| Failure::failed(why, "report it with this text"))?;
        store.write(move |db| add(db, number, &link, habit, now)).await?;
        let mut wearer = Wearer { user, seed: u64::from(number), habit, synced: now, known: now };
        wearer.begin(sim, now);
        wearers.push(wearer);
    }
    Ok(Rings { wearers, turn: 0 })
}

fn add(
    db: &rusqlite::Connection,
    number: u32,
    link: &OwUser,
    habit: Habit,
    now: Timestamp,
) -> Result<(), StoreError> {
    let name = format!("{} {number}", habit.name());
    let id = patient::add(db, &NewPatient { name, email: None, time_zone: "UTC".to_owned() }, now)?;
    let patient = patient::find(db, PatientRef::Own(id))?;
    patient::link(db, &patient, link, Relink::Unsaid, now)?;
    for scope in code::deliverable(db)? {
        consent::grant(db, id, &scope.code, Grounds::default(), now)?;
        if habit == Habit::Withdrawn {
            consent::withdraw(db, id, &scope.code, Extent::Everything, now)?;
        }
    }
    Ok(())
}

impl Rings {
    /// Lets every wearer's ring sync, in its own way; also the rings that were connected in a browser.
    pub(crate) fn sync(&mut self, sim: &Sim, now: Timestamp) {
        self.turn += 1;
        self.welcome(sim, now);
        let connected = sim.connected("oura");
        for wearer in self.wearers.iter_mut().filter(|wearer| connected.contains(&wearer.user)) {
            match wearer.habit {
                Habit::Late if !self.turn.is_multiple_of(LATE_EVERY) => {}
                Habit::Troubled => {
                    let fault = (self.turn / LATE_EVERY % 2 == 1).then_some(Fault::Status(500));
                    sim.set_fault(&wearer.user, fault);
                    wearer.measure(sim, now);
                }
                Habit::Corrected => {
                    let corrected = wearer.synced.minus(LIVE_STEP);
                    wearer.measure(sim, now);
                    sim.put_row(
                        &wearer.user,
                        Row::heart_rate(corrected, heart_rate_at(wearer.seed, corrected) + 1.0),
                    );
                }
                _ => wearer.measure(sim, now),
            }
        }
    }
}

impl Rings {
    /// Whoever connected a ring in a browser has worn it for a while.
    fn welcome(&mut self, sim: &Sim, now: Timestamp) {
        for user in sim.connected("oura") {
            if self.wearers.iter().all(|wearer| wearer.user != user) {
                let seed = self.wearers.len() as u64 + 1;
                let mut wearer = Wearer { user, seed, habit: Habit::Steady, synced: now, known: now };
                wearer.begin(sim, now);
                self.wearers.push(wearer);
            }
        }
    }
}

impl Wearer {
    /// What was measured before anybody looked.
    fn begin(&mut self, sim: &Sim, now: Timestamp) {
        sim.fill(&self.user, now.minus(HISTORY), now, STEP, self.seed);
        self.known = now.minus(HISTORY);
        self.tell(sim, now);
        if self.seed == HAS_CUFF {
            sim.connect(&self.user, CUFF);
        }
    }

    /// Brings what became known since the last time, other than the heart rate.
    fn tell(&mut self, sim: &Sim, now: Timestamp) {
        let news = vitals(self.seed, self.seed == HAS_CUFF, self.known, now);
        for row in news.rows {
            sim.put_row(&self.user, row);
        }
        for event in news.events {
            sim.put_event(&self.user, event);
        }
        self.known = now;
    }

    fn measure(&mut self, sim: &Sim, now: Timestamp) {
        self.tell(sim, now);
        let count = sim.fill(&self.user, self.synced, now, LIVE_STEP, self.seed);
        self.synced = (0..count).fold(self.synced, |at, _| at.plus(LIVE_STEP));
    }
}
