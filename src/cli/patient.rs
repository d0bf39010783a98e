//! `jhe-ow patient`: patients by hand.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::app::session::Session;
use crate::cli::{patient_erase, patient_export, patient_import, patient_match};
use crate::common::failure::Failure;
use crate::common::stdout::{say, say_json};
use crate::common::time::Timestamp;
use crate::model::account::Actor;
use crate::model::patient::{OwUser, PatientId, PatientRef, parse_email, parse_name, parse_zone};
use crate::store::error::StoreError;
use crate::store::people::consent::{Entry, Extent, Grounds};
use crate::store::people::patient::{NewPatient, Patient, Relink};
use crate::store::people::{consent, patient};
use crate::store::privacy::audit;

/// Who did it, in the audit.
const ACTOR: Actor = Actor::CommandLine;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a patient; prints the number
    Add(Add),
    /// Take in every patient of JHE's in reach who has an OW user
    Import {
        /// Time zone whose days are the patients': a name such as Europe/Berlin, or an offset such as +02:00
        #[arg(long, default_value = "UTC", value_parser = parse_zone, allow_hyphen_values = true)]
        tz: String,
    },
    /// Who may be whom at JHE, of those who were kept here alone; or confirm one
    Match {
        /// The patient's number
        id: Option<PatientRef>,
        /// The patient is this one of JHE's: JHE's consents count from now on
        #[arg(long, value_name = "N", requires = "id")]
        jhe_patient: Option<i64>,
        /// One JSON document per line and patient
        #[arg(long, conflicts_with = "jhe_patient")]
        json: bool,
    },
    /// All patients
    List {
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
    /// One patient
    Show {
        /// The patient's number, or jhe:N
        id: PatientRef,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Link a patient to an OW user
    Link(Link),
    /// End a patient's link; what is kept stays
    Unlink {
        /// The patient's number, or jhe:N
        id: PatientRef,
    },
    /// Note that a patient grants or withdraws a consent, from now on
    Consent(Consent),
    /// Write everything about one patient to a zip
    Export(patient_export::Export),
    /// Erase everything about one patient, for good; says what it cannot reach
    Erase(patient_erase::Erase),
    /// Let somebody who was erased come in again
    Readmit {
        /// The number of the erased patient, or jhe:N
        id: PatientRef,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What people call the patient
    #[arg(long, value_parser = parse_name, required_unless_present = "jhe_patient")]
    name: Option<String>,
    /// Take in this patient of JHE's: name and consents come from there
    #[arg(long, value_name = "N", conflicts_with_all = ["name", "email", "consent"])]
    jhe_patient: Option<i64>,
    /// Where to write to
    #[arg(long, value_parser = parse_email)]
    email: Option<String>,
    /// Time zone whose days are the patient's: a name such as Europe/Berlin, or an offset such as +02:00
    #[arg(long, default_value = "UTC", value_parser = parse_zone, allow_hyphen_values = true)]
    tz: String,
    /// The OW user to link to, with or without ow:
    #[arg(long, value_name = "UUID")]
    ow_user: Option<OwUser>,
    /// A scope that the patient has agreed to, such as omh:heart-rate:2.0
    #[arg(long, value_name = "CODE")]
    consent: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Link {
    /// The patient's number, or jhe:N
    id: PatientRef,
    /// The OW user, with or without ow:
    #[arg(long, value_name = "UUID")]
    ow_user: OwUser,
    /// The earlier OW user is the same person: the history goes on
    #[arg(long, conflicts_with = "mistake")]
    same_person: bool,
    /// The earlier link was a mistake: what came through it is set aside
    #[arg(long)]
    mistake: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Consent {
    /// The patient's number, or jhe:N
    id: PatientRef,
    /// The scope, such as omh:heart-rate:2.0
    code: String,
    /// The patient agrees
    #[arg(long, required_unless_present = "withdraw", conflicts_with = "withdraw")]
    grant: bool,
    /// The patient withdraws
    #[arg(long)]
    withdraw: bool,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    match command {
        Command::Add(Add { jhe_patient: Some(jhe_id), ow_user, tz, .. }) => {
            patient_import::take_in(session, jhe_id, ow_user, tz).await?;
        }
        Command::Import { tz } => patient_import::import(session, &tz).await?,
        Command::Match { id: Some(id), jhe_patient: Some(jhe_id), .. } => {
            patient_match::confirm(session, id, jhe_id).await?;
        }
        Command::Match { id, json, .. } => patient_match::list(session, id, json).await?,
        Command::Add(add) => say(store.write(move |db| add_patient(db, add, now)).await?)?,
        Command::List { json } => {
            for patient in store.read(patient::list).await? {
                if json { say_json(&document(&patient))? } else { say(summary(&patient))? }
            }
        }
        Command::Show { id, json } => {
            let read = move |db: &rusqlite::Connection| {
                let patient = patient::find(db, id)?;
                let mut consents = consent::entries(db, patient.id)?;
                // By scope, and of each the oldest first.
                consents
                    .sort_by(|a, b| (&a.scope.code, a.grant.granted).cmp(&(&b.scope.code, b.grant.granted)));
                Ok((patient, consents))
            };
            let (patient, consents) = store.read(read).await?;
            if json { show_json(&patient, &consents)? } else { show(&patient, &consents)? }
        }
        Command::Link(link) => say(store.write(move |db| link_patient(db, &link, now)).await?)?,
        Command::Unlink { id } => say(store.write(move |db| unlink(db, id, now)).await?)?,
        Command::Consent(change) => say(store.write(move |db| change_consent(db, &change, now)).await?)?,
        Command::Export(export) => patient_export::run(session, export).await?,
        Command::Erase(erase) => Box::pin(patient_erase::run(session, erase)).await?,
        Command::Readmit { id } => patient_erase::readmit(session, id).await?,
    }
    Ok(0)
}

fn add_patient(db: &rusqlite::Connection, add: Add, now: Timestamp) -> Result<PatientId, StoreError> {
    let new = NewPatient { name: add.name.unwrap_or_default(), email: add.email, time_zone: add.tz };
    let id = patient::add(db, &new, now)?;
    audit::record(db, now, ACTOR, "patient.add", Some(id), "")?;
    if let Some(ow_user) = add.ow_user {
        let patient = patient::find(db, PatientRef::Own(id))?;
        patient::link(db, &patient, &ow_user, Relink::Unsaid, now)?;
        audit::record(db, now, ACTOR, "patient.link", Some(id), &ow_user.to_string())?;
    }
    for code in add.consent {
        consent::grant(db, id, &code, Grounds::default(), now)?;
        audit::record(db, now, ACTOR, "consent.grant", Some(id), &code)?;
    }
    Ok(id)
}

fn link_patient(db: &rusqlite::Connection, link: &Link, now: Timestamp) -> Result<String, StoreError> {
    let patient = patient::find(db, link.id)?;
    let relink = match link {
        Link { same_person: true, .. } => Relink::SamePerson,
        Link { mistake: true, .. } => Relink::Mistake,
        _ => Relink::Unsaid,
    };
    patient::link(db, &patient, &link.ow_user, relink, now)?;
    audit::record(db, now, ACTOR, "patient.link", Some(patient.id), &link.ow_user.to_string())?;
    Ok(format!("patient {} is linked to {}", patient.id, link.ow_user))
}

fn unlink(db: &rusqlite::Connection, id: PatientRef, now: Timestamp) -> Result<String, StoreError> {
    let patient = patient::find(db, id)?;
    let Some(link) = patient.link else { return Ok(format!("patient {} has no link", patient.id)) };
    patient::end_link(db, patient.id, now)?;
    audit::record(db, now, ACTOR, "patient.unlink", Some(patient.id), &link.ow_user.to_string())?;
    Ok(format!("patient {} is no longer linked to {}; what is kept stays", patient.id, link.ow_user))
}

fn change_consent(db: &rusqlite::Connection, change: &Consent, now: Timestamp) -> Result<String, StoreError> {
    let patient = patient::find(db, change.id)?.id;
    patient::refuse_of_jhe(db, patient, "change the consent")?;
    let (news, action, state) = if change.grant {
        (consent::grant(db, patient, &change.code, Grounds::default(), now)?, "consent.grant", "consents")
    } else {
        (
            consent::withdraw(db, patient, &change.code, Extent::Everything, now)?,
            "consent.withdraw",
            "does not consent",
        )
    };
    if !news {
        return Ok(format!("patient {patient} {state} to {} already", change.code));
    }
    audit::record(db, now, ACTOR, action, Some(patient), &change.code)?;
    Ok(format!("patient {patient} {state} to {} from {now} on", change.code))
}

fn summary(patient: &Patient) -> String {
    let jhe = patient.jhe_id.map_or_else(String::new, |id| format!("  jhe:{id}"));
    format!("{:>6}  {}  {}{jhe}", patient.id, link(patient), patient.name)
}

fn link(patient: &Patient) -> String {
    match &patient.link {
        Some(link) if link.needs_relink => format!("{} (unknown to OW: link anew)", link.ow_user),
        Some(link) => link.ow_user.to_string(),
        None => "not linked".to_owned(),
    }
}

fn show(patient: &Patient, consents: &[Entry]) -> Result<(), Failure> {
    say(format_args!("patient    {}", patient.id))?;
    say(format_args!("name       {}", patient.name))?;
    say(format_args!("email      {}", patient.email.as_deref().unwrap_or("-")))?;
    say(format_args!("time zone  {}", patient.time_zone))?;
    if let Some(id) = patient.jhe_id {
        say(format_args!("jhe id     {id}"))?;
    }
    say(format_args!("link       {}", link(patient)))?;
    for Entry { scope, study, grant, .. } in consents {
        let end = grant.withdrawn.map_or_else(String::new, |at| format!(", withdrawn {at}"));
        let asked = study
            .as_ref()
            .map_or_else(|| ", noted by hand".to_owned(), |(id, name)| format!(", for study {id} ({name})"));
        say(format_args!("consent    {} granted {}{end}{asked}", scope.code, grant.granted))?;
    }
    Ok(())
}

fn document(patient: &Patient) -> Value {
    let link = patient.link.as_ref();
    json!({
        "id": patient.id.get(),
        "name": patient.name,
        "email": patient.email,
        "time_zone": patient.time_zone,
        "jhe_id": patient.jhe_id,
        "link": link.map(|link| json!({ "ow_user": link.ow_user.to_string(), "needs_relink": link.needs_relink })),
    })
}

fn show_json(patient: &Patient, consents: &[Entry]) -> Result<(), Failure> {
    let consent = |Entry { scope, study, grant, .. }: &Entry| {
        json!({
            "code": scope.code,
            "granted": grant.granted.to_string(),
            "withdrawn": grant.withdrawn.map(|at| at.to_string()),
            "study": study.as_ref().map(|(id, name)| json!({ "id": id.0, "name": name })),
        })
    };
    let mut document = document(patient);
    document["consents"] = consents.iter().map(consent).collect();
    say_json(&document)
}
