//! What studies ask a patient, what of it the patient has agreed to, and how an answer is kept.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::app::state::App;
use crate::common::time::{Timestamp, show_duration};
use crate::config::settings::Snapshot;
use crate::model::account::Actor;
use crate::model::catalog::source;
use crate::model::patient::PatientId;
use crate::model::study::{Scope, Study, StudyId};
use crate::secrets::token::TokenHash;
use crate::store::engine::setting;
use crate::store::error::StoreError;
use crate::store::people::consent::{Entry, Grounds};
use crate::store::people::{consent, device_connection, study};
use crate::store::privacy::audit;
use crate::store::samples::code::Deliveries;
use crate::web::patient::signed_in::Patient;
use crate::web::patient::wearing::Wearing;
use crate::web::patient::wording::{LANGUAGE, VERSION, Wording};
use crate::web::response::Refusal;

/// A study that asks a patient, and which of its scopes the patient has agreed to.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) study: Study,
    /// Each scope that the patient's device delivers or that was agreed to, and the consent to it that stands.
    pub(crate) scopes: Vec<(Scope, Option<Agreed>)>,
    /// What the patient's device does not measure, and another one that the study takes does.
    pub(crate) unmeasured: Vec<Scope>,
    /// What else the study asks for, and none of the devices that it takes delivers.
    pub(crate) beyond: Vec<Scope>,
    /// The patient's devices that the study takes, by OW's names; none where they are not known.
    devices: Vec<String>,
    /// What the devices deliver of what the study asks for; all of it where they are not known.
    measured: BTreeSet<String>,
    /// How far back the first read goes, in words.
    reach: String,
}

/// A consent that stands.
#[derive(Debug, Clone)]
pub(crate) struct Agreed {
    pub(crate) since: Timestamp,
    /// The words that were agreed to.
    pub(crate) text: Option<String>,
}

impl Asked {
    /// Whether the patient shares anything with the study.
    pub(crate) fn is_agreed(&self) -> bool {
        self.scopes.iter().any(|(_, agreed)| agreed.is_some())
    }

    /// Whether it asks for what was agreed to in this consent.
    pub(crate) fn shows(&self, entry: &Entry) -> bool {
        is_of(entry, &self.study) && self.scopes.iter().any(|(scope, _)| *scope == entry.scope)
    }

    /// What the patient has not agreed to.
    pub(crate) fn open(&self) -> Vec<Scope> {
        self.scopes.iter().filter(|(_, agreed)| agreed.is_none()).map(|(scope, _)| scope.clone()).collect()
    }

    /// Whether the patient's device measures it.
    pub(crate) fn measures(&self, scope: &Scope) -> bool {
        self.measured.contains(&scope.code)
    }

    /// The patient's devices, in words.
    pub(crate) fn device_names(&self) -> String {
        let names: Vec<String> =
            self.devices.iter().map(|device| format!("your {}", source::data_source(device))).collect();
        names.join(" or ")
    }

    /// Whether it makes a difference which device the patient wears, and that is not known; or whether what is worn
    /// measures nothing of what is asked.
    pub(crate) fn is_undecided(&self, deliveries: &Deliveries) -> bool {
        if !self.devices.is_empty() {
            return self.scopes.is_empty() && !self.unmeasured.is_empty();
        }
        let sources = deliveries.sources().filter(|source| self.study.takes(source));
        let mut opened = sources.map(|source| self.opened_by(source, deliveries));
        let first = opened.next().unwrap_or_default();
        opened.any(|one| one != first)
    }

    /// What could be agreed to with this device.
    pub(crate) fn opened_by(&self, provider: &str, deliveries: &Deliveries) -> Vec<(StudyId, String)> {
        if !self.study.takes(provider) {
            return Vec::new();
        }
        let open = self.open().into_iter().chain(self.unmeasured.iter().cloned());
        let measured =
            open.filter(|scope| deliveries.delivers(provider, &scope.code) || !deliveries.knows(provider));
        measured.map(|scope| (self.study.id, scope.code)).collect()
    }

    /// What the patient reads about what is open.
    pub(crate) fn wording(&self) -> Wording {
        Wording::new(&self.study, &self.open(), &self.reach)
    }

    /// What a form says so that it is known which words stood above it.
    pub(crate) fn proof(&self) -> String {
        format!("{}:{}", self.study.id, self.wording().hash().hex())
    }
}

fn is_of(entry: &Entry, study: &Study) -> bool {
    entry.study.as_ref().is_some_and(|(id, _)| *id == study.id)
}

/// The studies that ask a patient, or one of them: for what the connected devices measure, and those in `wearing`,
/// which the patient is about to connect.
pub(crate) fn asked(
    db: &Connection,
    patient: PatientId,
    only: Option<StudyId>,
    wearing: &[String],
) -> Result<Vec<Asked>, StoreError> {
    let reach = reach(&setting::all(db)?);
    let mut standing = consent::entries(db, patient)?;
    standing.retain(|entry| entry.grant.withdrawn.is_none());
    let deliveries = Deliveries::load(db)?;
    let mut devices = device_connection::active(db, patient)?;
    devices.extend(wearing.iter().cloned());
    let mut all = Vec::new();
    for study in study::of_patient(db, patient)? {
        if only.is_some_and(|only| only != study.id) {
            continue;
        }
        let devices: Vec<String> = devices.iter().filter(|device| study.takes(device)).cloned().collect();
        let (mut scopes, mut unmeasured, mut beyond) = (Vec::new(), Vec::new(), Vec::new());
        let mut measured = BTreeSet::new();
        for scope in &study.terms.scopes {
            let entry = standing.iter().find(|entry| is_of(entry, &study) && entry.scope == *scope);
            let is_measured = devices.is_empty() || measures(&devices, scope, &deliveries);
            let is_delivered = delivered(&study, scope, &deliveries);
            if is_measured {
                measured.insert(scope.code.clone());
            }
            match entry {
                Some(entry) if is_delivered => scopes.push((scope.clone(), Some(agreed(db, entry)?))),
                Some(_) => {}
                None if is_measured && is_delivered => scopes.push((scope.clone(), None)),
                None if is_delivered => unmeasured.push(scope.clone()),
                None => beyond.push(scope.clone()),
            }
        }
        all.push(Asked { study, scopes, unmeasured, beyond, devices, measured, reach: reach.clone() });
    }
    Ok(all)
}

/// Whether one of these devices measures it. One of which nothing is known may measure anything.
fn measures(devices: &[String], scope: &Scope, deliveries: &Deliveries) -> bool {
    devices.iter().any(|device| deliveries.delivers(device, &scope.code) || !deliveries.knows(device))
}

/// Whether a data source that the study takes delivers it; any does where the study takes none that is known, since
/// it may be given one later.
fn delivered(study: &Study, scope: &Scope, deliveries: &Deliveries) -> bool {
    let takes_none = !deliveries.sources().any(|source| study.takes(source));
    deliveries.of(&scope.code).into_iter().any(|source| takes_none || study.takes(source))
}

fn agreed(db: &Connection, entry: &Entry) -> Result<Agreed, StoreError> {
    let text = match &entry.wording {
        Some((_, _, hash)) => consent::wording(db, *hash)?,
        None => None,
    };
    Ok(Agreed { since: entry.grant.granted, text })
}

/// How far back the first read goes, in words.
fn reach(settings: &Snapshot) -> String {
    let reach = settings.first_connect_window();
    let days = reach.as_secs() / 86_400;
    match (reach.as_secs().is_multiple_of(86_400), days) {
        (true, 1) => "last day".to_owned(),
        (true, days) => format!("last {days} days"),
        (false, _) => format!("last {}", show_duration(reach)),
    }
}

/// For pages that show a patient's own choices.
pub(crate) async fn all_asked(
    app: &App,
    patient: &Patient,
    wearing: &Wearing,
) -> Result<Vec<Asked>, Refusal> {
    let (id, wearing) = (patient.id, wearing.providers.clone());
    Ok(app.store.read(move |db| asked(db, id, None, &wearing)).await?)
}

/// Notes that a patient agrees to these scopes of a study, with the words that were read.
pub(crate) fn note_grants(
    db: &Connection,
    patient: PatientId,
    asked: &Asked,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<(), StoreError> {
    if scopes.is_empty() {
        return Ok(());
    }
    let wording = keep_wording(db, asked)?;
    let grounds = Grounds { study: Some(asked.study.id), wording: Some(wording) };
    for scope in scopes {
        if consent::grant(db, patient, &scope.code, grounds, now)? {
            let detail = format!("{} study {} text {}", scope.code, asked.study.id, wording.hex());
            audit::record(db, now, Actor::Patient(patient), "consent.grant", Some(patient), &detail)?;
        }
    }
    Ok(())
}

/// Notes which words a patient of JHE's is about to agree to: the consent begins when JHE has it.
pub(crate) fn intend(
    db: &Connection,
    patient: PatientId,
    asked: &Asked,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<(), StoreError> {
    if scopes.is_empty() {
        return Ok(());
    }
    let wording = keep_wording(db, asked)?;
    scopes
        .iter()
        .try_for_each(|scope| consent::intend(db, patient, &scope.code, asked.study.id, wording, now))
}

fn keep_wording(db: &Connection, asked: &Asked) -> Result<TokenHash, StoreError> {
    let wording = asked.wording();
    consent::keep_wording(db, wording.hash(), VERSION, LANGUAGE, &wording.text())?;
    Ok(wording.hash())
}
