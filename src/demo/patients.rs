//! The study of the demonstration and its simulated participants. Each shows something that happens to real ones.

use std::time::Duration;

use crate::app::invite;
use crate::common::{failure::Failure, time::Timestamp};
use crate::i18n::language::Language;
use crate::model::account::{Actor, Role, VisibleTo};
use crate::model::catalog::series;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::model::study::{StudyId, Terms};
use crate::secrets::token::Token;
use crate::simulator::vitals::compute_vitals;
use crate::simulator::{fault::Fault, ring::heart_rate_at, samples_table::Row, simulated_ow::SimulatedOw};
use crate::store::people::consent::{self, GrantBasis, WithdrawFrom};
use crate::store::people::patient::{self, NewPatient, Relink};
use crate::store::people::study;
use crate::store::people::study_text::{self, StudyText};
use crate::store::{engine::store::Store, error::StoreError, samples::code};

/// The interval of a real ring, for the last hours before the demonstration.
const STEP: Duration = Duration::from_mins(5);
const RECENT: Duration = Duration::from_hours(36);
/// The interval before that: it shows the same days and is read sooner.
const OLD_STEP: Duration = Duration::from_mins(20);
/// The length of the data from before the demonstration.
const HISTORY: Duration = Duration::from_hours(30 * 24);
const DAY: Duration = Duration::from_hours(24);
/// The days without data of a ring that lay in a drawer, counted back from now.
const GAP: (u32, u32) = (12, 9);
/// Days since the data of the silent participant ended, and since the withdrawal.
const SILENT_FOR: u32 = 4;
const WITHDRAWN_FOR: u32 = 8;
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
    /// The ring was not worn for some days.
    Gap,
    /// The ring has not been worn for some days.
    Silent,
    /// One sample is no measurement.
    Rejected,
    /// The patient has withdrawn consent.
    Withdrawn,
    /// The patient has an invitation and has not opened it.
    Invited,
}

/// The behaviours in turn, each with an invented name.
const BEHAVIOURS: [(Behaviour, &str); 12] = [
    (Behaviour::Steady, "Ines Quintero"),
    (Behaviour::Late, "Oskar Wendelin"),
    (Behaviour::Corrected, "Bao Lieu"),
    (Behaviour::Troubled, "Noor Castellan"),
    (Behaviour::Gap, "Teodor Lindahl"),
    (Behaviour::Silent, "Marisol Vega"),
    (Behaviour::Rejected, "Ellery Fontaine"),
    (Behaviour::Withdrawn, "Dmitri Halloran"),
    (Behaviour::Invited, "Celeste Mbeki"),
    (Behaviour::Steady, "Precious Adeyemi"),
    (Behaviour::Steady, "Gwendolyn Ashby"),
    (Behaviour::Steady, "Hiroto Sandoval"),
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
    /// Those who withdraw once their data are read.
    leaving: Vec<PatientId>,
    round: u32,
    pub(crate) study: StudyId,
    /// The token from which the open invitations are derived.
    pub(crate) batch: Token,
}

/// Adds a study and its participants here and at OW, with data from before the demonstration. A store that a
/// demonstration left keeps its study.
pub(crate) async fn enroll(
    sim: &SimulatedOw,
    store: &Store,
    count: u32,
    now: Timestamp,
) -> Result<SimulatedDevices, Failure> {
    let began = now.minus(HISTORY);
    let study = store.write(move |db| insert_study(db, began)).await?;
    let (mut patients, mut leaving, batch) = (Vec::new(), Vec::new(), Token::generate()?);
    for (number, (behaviour, name)) in (1..=count).zip(BEHAVIOURS.into_iter().cycle()) {
        let user = sim.add_user();
        let link =
            user.parse::<OwUser>().map_err(|error| Failure::failed(error, "report it with this text"))?;
        let token = batch.clone();
        let write = move |db: &_| insert(db, name.to_owned(), &link, (study, behaviour), &token, now);
        let id = store.write(write).await?;
        if behaviour == Behaviour::Withdrawn {
            leaving.push(id);
        }
        if behaviour != Behaviour::Invited {
            patients.push(SimulatedPatient::begin(user, u64::from(number), behaviour, sim, now));
        }
    }
    Ok(SimulatedDevices { patients, leaving, round: 0, study, batch })
}

fn insert_study(db: &rusqlite::Connection, began: Timestamp) -> Result<StudyId, StoreError> {
    if let Some(known) = study::list(db, VisibleTo::Everybody, Role::Viewer, 0, 1)?.first() {
        return Ok(known.id);
    }
    let common = code::list_deliverable(db)?.into_iter().filter(|scope| series::is_common(&scope.code));
    let terms = Terms {
        name: "Sleep and Heart".to_owned(),
        organization: "Lakemoor Sleep Lab".to_owned(),
        purpose: "We want to learn how sleep and the heart belong together. For 90 days we look at what your ring \
                  measures: your heart rate, your sleep and your steps. Your data stay with the people of the study, \
                  under a number instead of your name."
            .to_owned(),
        contact: "Ada Example, +1 555 0100, ada@example.org".to_owned(),
        scopes: common.collect(),
        data_sources: vec!["Oura".to_owned(), "Garmin".to_owned()],
        ..Terms::default()
    };
    let id = study::insert(db, &terms, began)?;
    let spanish = StudyText {
        language: Language::find_or_english("es"),
        version: 1,
        title: "Sueño y corazón".to_owned(),
        organization: terms.organization,
        purpose: "Queremos saber qué relación hay entre el sueño y el corazón. Durante 90 días miramos lo que mide su \
                  anillo: su pulso, su sueño y sus pasos. Sus datos quedan entre las personas del estudio, con un número \
                  en lugar de su nombre."
            .to_owned(),
        contact: terms.contact,
        written: began,
    };
    study_text::save(db, id, &spanish, began)?;
    Ok(id)
}

fn insert(
    db: &rusqlite::Connection,
    name: String,
    link: &OwUser,
    (study, behaviour): (StudyId, Behaviour),
    batch: &Token,
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    let began = now.minus(HISTORY);
    let id = patient::insert(db, &NewPatient { name, email: None, time_zone: None }, began)?;
    study::enrol(db, study, id, began)?;
    if behaviour == Behaviour::Invited {
        return invite::invite(db, batch.for_patient(id).hash(), id, Some(study), Actor::Daemon, now)
            .map(|_| id);
    }
    let patient = patient::find(db, PatientRef::Own(id))?;
    patient::link(db, &patient, link, Relink::Unspecified, began)?;
    let basis = GrantBasis { study: Some(study), ..GrantBasis::default() };
    for scope in study::find(db, study)?.terms.scopes {
        consent::grant(db, id, &scope.code, basis, began)?;
    }
    Ok(id)
}

/// Withdraws the consents of those who leave, dated to the end of their data.
pub(crate) async fn withdraw(store: &Store, leaving: Vec<PatientId>, now: Timestamp) -> Result<(), Failure> {
    let write = move |db: &rusqlite::Connection| {
        for id in leaving.clone() {
            for (scope, _) in consent::list_active_deliverable(db, id)? {
                consent::withdraw(db, id, &scope, WithdrawFrom::Everything, now.minus(DAY * WITHDRAWN_FOR))?;
            }
        }
        Ok(())
    };
    Ok(store.write(write).await?)
}

impl SimulatedDevices {
    /// Returns those who withdraw once their data are read.
    pub(crate) fn leaving(&self) -> Vec<PatientId> {
        self.leaving.clone()
    }

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
                Behaviour::Silent | Behaviour::Withdrawn => {}
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
        let end = match behaviour {
            Behaviour::Silent => now.minus(DAY * SILENT_FOR),
            Behaviour::Withdrawn => now.minus(DAY * WITHDRAWN_FOR),
            _ => now,
        };
        let (begin, recent) = (now.minus(HISTORY), now.minus(RECENT));
        let mut patient = Self { user, seed, behaviour, heart_rates_until: now, vitals_until: begin };
        let fill = |from, until| sim.fill(&patient.user, from, until, OLD_STEP, seed);
        if behaviour == Behaviour::Gap {
            fill(begin, now.minus(DAY * GAP.0));
            fill(now.minus(DAY * GAP.1), recent);
        } else {
            fill(begin, end.min(recent));
        }
        sim.fill(&patient.user, recent, end, STEP, seed);
        if behaviour == Behaviour::Gap {
            patient.sync_vitals(sim, now.minus(DAY * GAP.0));
            patient.vitals_until = now.minus(DAY * GAP.1);
        }
        patient.sync_vitals(sim, end);
        if behaviour == Behaviour::Rejected {
            let at = now.minus(DAY);
            sim.put_verbatim(
                &patient.user,
                at,
                &format!(r#"{{"timestamp":"{at}","type":"heart_rate","value":412,"unit":"bpm"}}"#),
            );
        }
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
