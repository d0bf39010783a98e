//! The simulated patients. Each shows something that happens to real ones.

use std::time::Duration;

use crate::common::{failure::Failure, time::Timestamp};
use crate::model::catalog::series;
use crate::model::patient::{OwUser, PatientRef};
use crate::simulator::vitals::compute_vitals;
use crate::simulator::{fault::Fault, ring::heart_rate_at, samples_table::Row, simulated_ow::SimulatedOw};
use crate::store::people::consent::{self, GrantBasis, WithdrawFrom};
use crate::store::people::patient::{self, NewPatient, Relink};
use crate::store::{engine::store::Store, error::StoreError, samples::code};

/// The interval of a real ring, for the data from before the demonstration.
const STEP: Duration = Duration::from_mins(5);
/// The length of that data.
const HISTORY: Duration = Duration::from_hours(36);
/// The interval during the demonstration, short enough to watch.
const LIVE_STEP: Duration = Duration::from_secs(3);

/// The patient with a blood pressure cuff besides the ring.
const CUFF_SEED: u64 = 1;
const CUFF_PROVIDER: &str = "garmin";

/// A late ring syncs once in so many rounds; OW's errors last as many rounds.
const LATE_ROUNDS: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    /// The ring syncs at once.
    Steady,
    /// The ring syncs rarely, with samples older than the high-water mark.
    Late,
    /// The provider corrects samples that it sent.
    Corrected,
    /// OW answers with errors from time to time.
    Troubled,
    /// The patient has withdrawn consent.
    Withdrawn,
}

/// The behaviours in turn, each with the patient's name.
const BEHAVIOURS: [(Behaviour, &str); 5] = [
    (Behaviour::Steady, "Steady ring"),
    (Behaviour::Late, "Late ring"),
    (Behaviour::Corrected, "Corrected ring"),
    (Behaviour::Troubled, "Troubled ring"),
    (Behaviour::Withdrawn, "Withdrawn"),
];

#[derive(Debug)]
struct SimulatedPatient {
    user: String,
    seed: u64,
    behaviour: Behaviour,
    /// OW has the heart rates up to here, and the other data up to `vitals_until`.
    heart_rates_until: Timestamp,
    vitals_until: Timestamp,
}

/// The devices of all simulated patients.
#[derive(Debug)]
pub(crate) struct SimulatedDevices {
    patients: Vec<SimulatedPatient>,
    round: u32,
}

/// Adds patients here and at OW, with data from before the demonstration.
pub(crate) async fn enroll(
    sim: &SimulatedOw,
    store: &Store,
    count: u32,
    now: Timestamp,
) -> Result<SimulatedDevices, Failure> {
    let mut patients = Vec::new();
    for (number, (behaviour, name)) in (1..=count).zip(BEHAVIOURS.into_iter().cycle()) {
        let user = sim.add_user();
        let link =
            user.parse::<OwUser>().map_err(|error| Failure::failed(error, "report it with this text"))?;
        store.write(move |db| insert(db, format!("{name} {number}"), &link, behaviour, now)).await?;
        patients.push(SimulatedPatient::begin(user, u64::from(number), behaviour, sim, now));
    }
    Ok(SimulatedDevices { patients, round: 0 })
}

fn insert(
    db: &rusqlite::Connection,
    name: String,
    link: &OwUser,
    behaviour: Behaviour,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = patient::insert(db, &NewPatient { name, email: None, time_zone: None }, now)?;
    let patient = patient::find(db, PatientRef::Own(id))?;
    patient::link(db, &patient, link, Relink::Unspecified, now)?;
    for scope in code::list_deliverable(db)?.into_iter().filter(|scope| series::is_common(&scope.code)) {
        consent::grant(db, id, &scope.code, GrantBasis::default(), now)?;
        if behaviour == Behaviour::Withdrawn {
            consent::withdraw(db, id, &scope.code, WithdrawFrom::Everything, now)?;
        }
    }
    Ok(())
}

impl SimulatedDevices {
    /// Syncs every patient's devices with OW, each in its own way, and those of users who connected in a
    /// browser.
    pub(crate) fn sync(&mut self, sim: &SimulatedOw, now: Timestamp) {
        self.round += 1;
        let connected = sim.connected("oura");
        for user in &connected {
            if self.patients.iter().all(|patient| patient.user != *user) {
                let seed = self.patients.len() as u64 + 1;
                self.patients.push(SimulatedPatient::begin(user.clone(), seed, Behaviour::Steady, sim, now));
            }
        }
        for patient in self.patients.iter_mut().filter(|patient| connected.contains(&patient.user)) {
            match patient.behaviour {
                Behaviour::Late if !self.round.is_multiple_of(LATE_ROUNDS) => {}
                Behaviour::Troubled => {
                    let fault = (self.round / LATE_ROUNDS % 2 == 1).then_some(Fault::Status(500));
                    sim.set_fault(&patient.user, fault);
                    patient.sync(sim, now);
                }
                Behaviour::Corrected => {
                    let corrected = patient.heart_rates_until.minus(LIVE_STEP);
                    let value = heart_rate_at(patient.seed, corrected) + 1.0;
                    patient.sync(sim, now);
                    sim.put_row(&patient.user, Row::heart_rate(corrected, value));
                }
                _ => patient.sync(sim, now),
            }
        }
    }
}

impl SimulatedPatient {
    /// Makes a patient whose devices have measured for some time.
    fn begin(user: String, seed: u64, behaviour: Behaviour, sim: &SimulatedOw, now: Timestamp) -> Self {
        sim.fill(&user, now.minus(HISTORY), now, STEP, seed);
        let mut patient =
            Self { user, seed, behaviour, heart_rates_until: now, vitals_until: now.minus(HISTORY) };
        patient.sync_vitals(sim, now);
        if seed == CUFF_SEED {
            sim.connect(&patient.user, CUFF_PROVIDER);
        }
        patient
    }

    /// Stores at OW all data since the last sync, except heart rates.
    fn sync_vitals(&mut self, sim: &SimulatedOw, now: Timestamp) {
        let vitals = compute_vitals(self.seed, self.seed == CUFF_SEED, self.vitals_until, now);
        for row in vitals.rows {
            sim.put_row(&self.user, row);
        }
        for event in vitals.events {
            sim.put_event(&self.user, event);
        }
        self.vitals_until = now;
    }

    fn sync(&mut self, sim: &SimulatedOw, now: Timestamp) {
        self.sync_vitals(sim, now);
        let count = sim.fill(&self.user, self.heart_rates_until, now, LIVE_STEP, self.seed);
        self.heart_rates_until = (0..count).fold(self.heart_rates_until, |at, _| at.plus(LIVE_STEP));
    }
}
