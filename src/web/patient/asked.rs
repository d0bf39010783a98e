//! What studies ask a patient, what of it the patient has agreed to, and how an answer is kept.

use rusqlite::Connection;

use super::Patient;
use super::wording::{LANGUAGE, VERSION, Wording};
use crate::account::Actor;
use crate::patient::PatientId;
use crate::settings::Snapshot;
use crate::store::consent::{self, Entry, Grounds};
use crate::store::{StoreError, audit, code, setting, study};
use crate::study::{Scope, Study, StudyId};
use crate::time::{Timestamp, show_duration};
use crate::token::TokenHash;
use crate::web::App;
use crate::web::answer::Refusal;

/// A study that asks a patient, and which of its scopes the patient has agreed to.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) study: Study,
    /// Each scope that a device delivers, and the consent to it that stands.
    pub(super) scopes: Vec<(Scope, Option<Agreed>)>,
    /// What else the study asks for, and no device delivers.
    pub(super) beyond: Vec<Scope>,
    /// How far back the first read goes, in words.
    reach: String,
}

/// A consent that stands.
#[derive(Debug, Clone)]
pub(super) struct Agreed {
    pub(super) since: Timestamp,
    /// The words that were agreed to.
    pub(super) text: Option<String>,
}

impl Asked {
    /// Whether the patient shares anything with the study.
    pub(super) fn is_agreed(&self) -> bool {
        self.scopes.iter().any(|(_, agreed)| agreed.is_some())
    }

    /// Whether it asks for what was agreed to in this consent.
    pub(super) fn shows(&self, entry: &Entry) -> bool {
        is_of(entry, &self.study) && self.scopes.iter().any(|(scope, _)| *scope == entry.scope)
    }

    /// What the patient has not agreed to.
    pub(super) fn open(&self) -> Vec<Scope> {
        self.scopes.iter().filter(|(_, agreed)| agreed.is_none()).map(|(scope, _)| scope.clone()).collect()
    }

    /// What the patient reads about what is open.
    pub(super) fn wording(&self) -> Wording {
        Wording::new(&self.study, &self.open(), &self.reach)
    }

    /// What a form says so that it is known which words stood above it.
    pub(super) fn proof(&self) -> String {
        format!("{}:{}", self.study.id, self.wording().hash().hex())
    }
}

fn is_of(entry: &Entry, study: &Study) -> bool {
    entry.study.as_ref().is_some_and(|(id, _)| *id == study.id)
}

/// The studies that ask a patient, or one of them.
pub(super) fn asked(
    db: &Connection,
    patient: PatientId,
    only: Option<StudyId>,
) -> Result<Vec<Asked>, StoreError> {
    let reach = reach(&Snapshot::new(setting::all(db)?));
    let mut standing = consent::entries(db, patient)?;
    standing.retain(|entry| entry.grant.withdrawn.is_none());
    let deliverable = code::deliverable(db)?;
    let mut all = Vec::new();
    for study in study::of_patient(db, patient)? {
        if only.is_some_and(|only| only != study.id) {
            continue;
        }
        let (mut scopes, mut beyond) = (Vec::new(), Vec::new());
        for scope in &study.terms.scopes {
            let entry = standing.iter().find(|entry| is_of(entry, &study) && entry.scope == *scope);
            if deliverable.contains(scope) {
                scopes.push((scope.clone(), entry.map(|entry| agreed(db, entry)).transpose()?));
            } else if entry.is_none() {
                beyond.push(scope.clone());
            }
        }
        all.push(Asked { study, scopes, beyond, reach: reach.clone() });
    }
    Ok(all)
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
pub(super) async fn all_asked(app: &App, patient: &Patient) -> Result<Vec<Asked>, Refusal> {
    let id = patient.id;
    Ok(app.store.read(move |db| asked(db, id, None)).await?)
}

/// Notes that a patient agrees to these scopes of a study, with the words that were read.
pub(super) fn note_grants(
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
pub(super) fn intend(
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
