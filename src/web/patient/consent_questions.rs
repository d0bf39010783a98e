//! The scopes that studies ask a patient for, the consents to them, and how an answer is saved.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::Connection;

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::i18n::{language::Language, texts::Texts};
use crate::model::account::{Actor, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::study::{Scope, Study, StudyId};
use crate::model::{catalog::source, patient::PatientId};
use crate::secrets::token::TokenHash;
use crate::store::people::consent::{self, ConsentEntry, GrantBasis};
use crate::store::people::study_text::{self, StudyText};
use crate::store::people::{device_connection, study};
use crate::store::{engine::setting, error::StoreError, privacy::audit, samples::code::DataSourceCodes};
use crate::web::patient::selected_devices::SelectedDevices;
use crate::web::patient::wording::Wording;
use crate::web::{patient_access::SignedInPatient, response::Refusal};

/// One study's scopes, with the patient's consents.
#[derive(Debug, Clone)]
pub(crate) struct ConsentQuestion {
    pub(crate) study: Study,
    /// The study's text in the patient's language, or in its own.
    pub(crate) text: StudyText,
    /// Scopes that the patient's devices deliver or that have a consent.
    pub(crate) scopes: Vec<(Scope, Option<ActiveConsent>)>,
    /// Scopes that another device of the study measures, but none of the patient's.
    pub(crate) unmeasured: Vec<Scope>,
    /// Scopes that no device accepted by the study delivers.
    pub(crate) undeliverable: Vec<Scope>,
    /// The patient's devices that the study accepts, by OW's names; empty if unknown.
    devices: Vec<String>,
    /// Codes that the devices deliver; all of the study if the devices are unknown.
    measured: BTreeSet<String>,
    /// The time before the consent that the first read covers.
    first_read: Duration,
}

/// A consent that is not withdrawn.
#[derive(Debug, Clone)]
pub(crate) struct ActiveConsent {
    pub(crate) since: Timestamp,
    /// Language and words of the text that the patient agreed to.
    pub(crate) text: Option<(String, String)>,
}

impl ConsentQuestion {
    pub(crate) fn has_consent(&self) -> bool {
        self.scopes.iter().any(|(_, agreed)| agreed.is_some())
    }

    /// Returns whether a consent is to a scope of this study.
    pub(crate) fn includes(&self, entry: &ConsentEntry) -> bool {
        is_of(entry, &self.study) && self.scopes.iter().any(|(scope, _)| *scope == entry.scope)
    }

    /// Returns the scopes without a consent.
    pub(crate) fn open_scopes(&self) -> Vec<Scope> {
        self.scopes.iter().filter(|(_, agreed)| agreed.is_none()).map(|(scope, _)| scope.clone()).collect()
    }

    pub(crate) fn measures(&self, scope: &Scope) -> bool {
        self.measured.contains(&scope.code)
    }

    /// Returns "Oura and Garmin".
    pub(crate) fn device_names(&self, texts: Texts) -> String {
        let names: Vec<String> =
            self.devices.iter().map(|device| source::data_source_name(device).to_owned()).collect();
        texts.list(&names)
    }

    /// Returns whether the question depends on the device: it is unknown and makes a difference, or the known
    /// one measures nothing that the study asks for.
    pub(crate) fn depends_on_device(&self, source_codes: &DataSourceCodes) -> bool {
        if !self.devices.is_empty() {
            return self.scopes.is_empty() && !self.unmeasured.is_empty();
        }
        let sources = source_codes.sources().filter(|source| self.study.accepts_provider(source));
        let mut opened = sources.map(|source| self.opened_by(source, source_codes));
        let first = opened.next().unwrap_or_default();
        opened.any(|one| one != first)
    }

    /// Returns the scopes that could be agreed to with a device.
    pub(crate) fn opened_by(&self, provider: &str, source_codes: &DataSourceCodes) -> Vec<(StudyId, String)> {
        if !self.study.accepts_provider(provider) {
            return Vec::new();
        }
        let open = self.open_scopes().into_iter().chain(self.unmeasured.iter().cloned());
        let measured = open
            .filter(|scope| source_codes.delivers(provider, &scope.code) || !source_codes.knows(provider));
        measured.map(|scope| (self.study.id, scope.code)).collect()
    }

    /// Returns the text about the open scopes.
    pub(crate) fn wording(&self) -> Wording {
        Wording::new(&self.text, &self.open_scopes(), self.first_read)
    }

    /// Identifies the text that a form shows, so that a change of it is noticed.
    pub(crate) fn wording_id(&self) -> String {
        format!("{}:{}", self.study.id, self.wording().hash().hex())
    }
}

fn is_of(entry: &ConsentEntry, study: &Study) -> bool {
    entry.study.as_ref().is_some_and(|(id, _)| *id == study.id)
}

/// Finds the questions of a patient's studies, or of one, for the connected devices and the selected ones.
pub(crate) fn find_questions(
    db: &Connection,
    patient: PatientId,
    only: Option<StudyId>,
    selected: &[String],
    language: Language,
) -> Result<Vec<ConsentQuestion>, StoreError> {
    let first_read = setting::read_all(db)?.first_connect_window();
    let mut active = consent::list(db, VisibleTo::Everybody, patient)?;
    active.retain(|entry| entry.grant.withdrawn.is_none());
    let source_codes = DataSourceCodes::load(db)?;
    let mut devices = device_connection::list_active_providers(db, patient)?;
    devices.extend(selected.iter().cloned());
    let mut all = Vec::new();
    for study in study::list_of_patient(db, patient)? {
        if only.is_some_and(|only| only != study.id) {
            continue;
        }
        let devices: Vec<String> =
            devices.iter().filter(|device| study.accepts_provider(device)).cloned().collect();
        let (mut scopes, mut unmeasured, mut undeliverable) = (Vec::new(), Vec::new(), Vec::new());
        let mut measured = BTreeSet::new();
        for scope in &study.terms.scopes {
            let entry = active.iter().find(|entry| is_of(entry, &study) && entry.scope == *scope);
            let is_measured = devices.is_empty() || measures(&devices, scope, &source_codes);
            let is_delivered = is_deliverable(&study, scope, &source_codes);
            if is_measured {
                measured.insert(scope.code.clone());
            }
            match entry {
                // A consent that was given here can be withdrawn here, also after its device is gone.
                Some(entry) if is_delivered || !study.is_of_jhe => {
                    scopes.push((scope.clone(), Some(load_active(db, entry)?)));
                }
                Some(_) => {}
                None if is_measured && is_delivered => scopes.push((scope.clone(), None)),
                None if is_delivered => unmeasured.push(scope.clone()),
                None => undeliverable.push(scope.clone()),
            }
        }
        all.push(ConsentQuestion {
            text: study_text::find(db, study.id, language)?,
            study,
            scopes,
            unmeasured,
            undeliverable,
            devices,
            measured,
            first_read,
        });
    }
    Ok(all)
}

/// Returns whether a device measures a scope. An unknown device may measure anything.
fn measures(devices: &[String], scope: &Scope, source_codes: &DataSourceCodes) -> bool {
    devices.iter().any(|device| source_codes.delivers(device, &scope.code) || !source_codes.knows(device))
}

/// Returns whether a data source of the study delivers a scope. A study without a known source may get any
/// later.
fn is_deliverable(study: &Study, scope: &Scope, source_codes: &DataSourceCodes) -> bool {
    let accepts_none = !source_codes.sources().any(|source| study.accepts_provider(source));
    source_codes.of(&scope.code).into_iter().any(|source| accepts_none || study.accepts_provider(source))
}

fn load_active(db: &Connection, entry: &ConsentEntry) -> Result<ActiveConsent, StoreError> {
    let text = match &entry.text {
        Some((_, language, hash)) => consent::find_text(db, *hash)?.map(|text| (language.clone(), text)),
        None => None,
    };
    Ok(ActiveConsent { since: entry.grant.granted, text })
}

pub(crate) async fn load_questions(
    app: &App,
    patient: &SignedInPatient,
    selected: &SelectedDevices,
) -> Result<Vec<ConsentQuestion>, Refusal> {
    let (id, selected) = (patient.id(), selected.providers.clone());
    let language = patient.reader().texts.language();
    Ok(app.store.read(move |db| find_questions(db, id, None, &selected, language)).await?)
}

/// Records consents to scopes of a study, with the text that the patient has read.
pub(crate) fn record_grants(
    db: &Connection,
    patient: PatientId,
    question: &ConsentQuestion,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<(), StoreError> {
    if scopes.is_empty() {
        return Ok(());
    }
    let wording = save_wording(db, question)?;
    let basis = GrantBasis { study: Some(question.study.id), text: Some(wording) };
    for scope in scopes {
        if consent::grant(db, patient, &scope.code, basis, now)? {
            let detail = AuditDetail::default().with_code(&scope.code).with("study").with(question.study.id);
            let detail = detail.with("text").with(wording);
            audit::record(db, now, Actor::Patient(patient), "consent.grant", Some(patient), detail)?;
        }
    }
    Ok(())
}

/// Records the text that a patient of JHE is about to agree to. The consent begins when JHE has it.
pub(crate) fn record_intent(
    db: &Connection,
    patient: PatientId,
    question: &ConsentQuestion,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<(), StoreError> {
    if scopes.is_empty() {
        return Ok(());
    }
    let wording = save_wording(db, question)?;
    scopes.iter().try_for_each(|scope| {
        consent::insert_pending(db, patient, &scope.code, question.study.id, wording, now)
    })
}

fn save_wording(db: &Connection, question: &ConsentQuestion) -> Result<TokenHash, StoreError> {
    let wording = question.wording();
    let hash = wording.hash();
    consent::insert_text(db, hash, wording.version(), wording.language(), &wording.text())?;
    Ok(hash)
}
