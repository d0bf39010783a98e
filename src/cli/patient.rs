//! `jhe-ow patient`: manages patients, their links and their consents.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::app::{invite, session::Session};
use crate::cli::patient_list::{self, describe_link, document};
use crate::cli::{patient_erase, patient_export, patient_import, patient_match};
use crate::common::stdout::{print_json, print_line};
use crate::common::{failure::Failure, time::Timestamp};
use crate::model::account::{Actor, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::{OwUser, PatientId, PatientRef, normalize_time_zone, parse_email, parse_name};
use crate::store::people::consent::{self, ConsentEntry, GrantBasis, WithdrawFrom};
use crate::store::people::patient::{self, NewPatient, Patient, Relink};
use crate::store::people::time_zone;
use crate::store::{engine::store::Store, error::StoreError, privacy::audit, samples::dataset};

const ACTOR: Actor = Actor::CommandLine;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a patient, and print the number
    Add(AddArguments),
    /// Add all patients of JHE who have an OW user and whom the client may see
    Import {
        /// The patients' time zone: a name such as Europe/Berlin, or an offset such as +02:00; else their study's
        #[arg(long, value_parser = normalize_time_zone, allow_hyphen_values = true)]
        tz: Option<String>,
    },
    /// Propose which local patients are the same persons as patients of JHE; or confirm one
    Match {
        /// The patient's number
        id: Option<PatientRef>,
        /// Confirm that this is the patient at JHE: JHE's consents apply from now on
        #[arg(long, value_name = "N", requires = "id")]
        jhe_patient: Option<i64>,
        /// One JSON document per patient and line
        #[arg(long, conflicts_with = "jhe_patient")]
        json: bool,
    },
    /// List patients: all, or by study, state and silence
    List(patient_list::ListArguments),
    /// Show one patient, with link and consents
    Show {
        /// The patient's number, or jhe:N
        id: PatientRef,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Correct the time zone of a patient; days without an offset of their own follow it
    Set {
        /// The patient's number, or jhe:N
        id: PatientRef,
        /// A name such as Europe/Berlin, or an offset such as +02:00
        #[arg(long, value_name = "ZONE", value_parser = normalize_time_zone, allow_hyphen_values = true)]
        tz: String,
    },
    /// Link a patient to an OW user
    Link(LinkArguments),
    /// End a patient's link; stored observations stay
    Unlink {
        /// The patient's number, or jhe:N
        id: PatientRef,
    },
    /// Record that a patient grants or withdraws a consent, from now on
    Consent(ConsentArguments),
    /// Write everything about one patient to a zip file
    Export(patient_export::ExportArguments),
    /// Erase everything about one patient, for good, and list the copies elsewhere
    Erase(patient_erase::EraseArguments),
    /// Allow an erased person to be added again
    Readmit {
        /// The number of the erased patient, or jhe:N
        id: PatientRef,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// The patient's name
    #[arg(long, value_parser = parse_name, required_unless_present = "jhe_patient")]
    name: Option<String>,
    /// Add the patient with this number at JHE: name and consents come from there
    #[arg(long, value_name = "N", conflicts_with_all = ["name", "email", "consent"])]
    jhe_patient: Option<i64>,
    /// The patient's e-mail address
    #[arg(long, value_parser = parse_email)]
    email: Option<String>,
    /// The patient's time zone: a name such as Europe/Berlin, or an offset such as +02:00; else the study's
    #[arg(long, value_parser = normalize_time_zone, allow_hyphen_values = true)]
    tz: Option<String>,
    /// The OW user to link to, with or without ow:
    #[arg(long, value_name = "UUID")]
    ow_user: Option<OwUser>,
    /// A scope that the patient has consented to, such as omh:heart-rate:2.0
    #[arg(long, value_name = "CODE", requires = "reason")]
    consent: Vec<String>,
    /// The way in which the patient consented: you answer for the patient, and the audit keeps that and the reason
    #[arg(long, value_enum, requires = "consent")]
    reason: Option<GrantReason>,
    /// Enrol the patient in this study, by number or name
    #[arg(long, conflicts_with = "jhe_patient")]
    study: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct LinkArguments {
    /// The patient's number, or jhe:N
    id: PatientRef,
    /// The OW user, with or without ow:
    #[arg(long, value_name = "UUID")]
    ow_user: OwUser,
    /// The earlier OW user is the same person: the history continues
    #[arg(long, conflicts_with = "mistake")]
    same_person: bool,
    /// The earlier link was a mistake: its observations are set aside
    #[arg(long)]
    mistake: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ConsentArguments {
    /// The patient's number, or jhe:N
    id: PatientRef,
    /// The scope, such as omh:heart-rate:2.0
    code: String,
    /// The patient consents: you answer for the patient, and the audit keeps that and the reason
    #[arg(long, required_unless_present = "withdraw", conflicts_with = "withdraw", requires = "reason")]
    grant: bool,
    /// The reason to answer for the patient: a signed form, a call, or a consent that ended by mistake
    #[arg(long, value_enum, requires = "grant")]
    reason: Option<GrantReason>,
    /// The patient withdraws
    #[arg(long)]
    withdraw: bool,
}

/// The reason of a consent that an operator records. The audit keeps it.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum GrantReason {
    /// The patient signed on paper
    Paper,
    /// The patient said so on the phone
    Phone,
    /// The consent was ended by mistake
    Mistake,
}

impl GrantReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Phone => "phone",
            Self::Mistake => "mistake",
        }
    }
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    match command {
        Command::Add(AddArguments { jhe_patient: Some(jhe_id), ow_user, tz, .. }) => {
            patient_import::add(session, jhe_id, ow_user, tz).await?;
        }
        Command::Import { tz } => patient_import::import(session, tz).await?,
        Command::Match { id: Some(id), jhe_patient: Some(jhe_id), .. } => {
            patient_match::confirm(session, id, jhe_id).await?;
        }
        Command::Match { id, json, .. } => patient_match::list(session, id, json).await?,
        Command::Add(add) => print_line(store.write(move |db| add_patient(db, add, now)).await?)?,
        Command::List(list) => patient_list::run(&store, list, now).await?,
        Command::Show { id, json } => show(&store, id, json).await?,
        Command::Set { id, tz } => {
            print_line(store.write(move |db| set_time_zone(db, id, &tz, now)).await?)?;
        }
        Command::Link(link) => print_line(store.write(move |db| link_patient(db, &link, now)).await?)?,
        Command::Unlink { id } => print_line(store.write(move |db| unlink(db, id, now)).await?)?,
        Command::Consent(change) => {
            print_line(store.write(move |db| change_consent(db, &change, now)).await?)?;
        }
        Command::Export(export) => patient_export::run(session, export).await?,
        Command::Erase(erase) => Box::pin(patient_erase::run(session, erase)).await?,
        Command::Readmit { id } => patient_erase::readmit(session, id).await?,
    }
    Ok(0)
}

async fn show(store: &Store, id: PatientRef, json: bool) -> Result<(), Failure> {
    let read = move |db: &rusqlite::Connection| {
        let patient = patient::find(db, id)?;
        let mut consents = consent::list(db, VisibleTo::Everybody, patient.id)?;
        // By scope, and the oldest of each first.
        consents.sort_by(|a, b| (&a.scope.code, a.grant.granted).cmp(&(&b.scope.code, b.grant.granted)));
        Ok((patient, consents))
    };
    let (patient, consents) = store.read(read).await?;
    if json { print_json_details(&patient, &consents) } else { print_details(&patient, &consents) }
}

fn add_patient(
    db: &rusqlite::Connection,
    add: AddArguments,
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    let new = NewPatient { name: add.name.unwrap_or_default(), email: add.email, time_zone: add.tz };
    let id = patient::insert(db, &new, now)?;
    audit::record(db, now, ACTOR, "patient.add", Some(id), "")?;
    if let Some(study) = add.study {
        invite::enrol(db, dataset::find_study(db, &study)?.0, id, ACTOR, now)?;
    }
    if let Some(ow_user) = add.ow_user {
        let patient = patient::find(db, PatientRef::Own(id))?;
        patient::link(db, &patient, &ow_user, Relink::Unspecified, now)?;
        audit::record(db, now, ACTOR, "patient.link", Some(id), AuditDetail::default().with(ow_user))?;
    }
    let reason = add.reason.map_or("", GrantReason::as_str);
    for code in add.consent {
        grant(db, id, &code, reason, now)?;
    }
    Ok(id)
}

/// Grants a consent for a patient, and records the reason. Returns false if the patient consents already.
fn grant(
    db: &rusqlite::Connection,
    id: PatientId,
    code: &str,
    reason: &'static str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let is_new = consent::grant(db, id, code, GrantBasis::default(), now)?;
    if is_new {
        let detail = AuditDetail::default().with_code(code).with("reason").with(reason);
        audit::record(db, now, ACTOR, "consent.grant", Some(id), detail)?;
    }
    Ok(is_new)
}

fn set_time_zone(
    db: &rusqlite::Connection,
    id: PatientRef,
    zone: &str,
    now: Timestamp,
) -> Result<String, StoreError> {
    let id = patient::find(db, id)?.id;
    let revised = time_zone::set(db, id, zone, now)?;
    audit::record(db, now, ACTOR, "patient.time-zone", Some(id), "")?;
    Ok(format!("patient {id} has the time zone {zone}; days that moved: {revised}"))
}

fn link_patient(
    db: &rusqlite::Connection,
    link: &LinkArguments,
    now: Timestamp,
) -> Result<String, StoreError> {
    let patient = patient::find(db, link.id)?;
    let relink = match link {
        LinkArguments { same_person: true, .. } => Relink::SamePerson,
        LinkArguments { mistake: true, .. } => Relink::Mistake,
        _ => Relink::Unspecified,
    };
    patient::link(db, &patient, &link.ow_user, relink, now)?;
    audit::record(
        db,
        now,
        ACTOR,
        "patient.link",
        Some(patient.id),
        AuditDetail::default().with(link.ow_user.clone()),
    )?;
    Ok(format!("patient {} is linked to {}", patient.id, link.ow_user))
}

fn unlink(db: &rusqlite::Connection, id: PatientRef, now: Timestamp) -> Result<String, StoreError> {
    let patient = patient::find(db, id)?;
    let Some(link) = patient.link else { return Ok(format!("patient {} has no link", patient.id)) };
    patient::unlink(db, patient.id, now)?;
    audit::record(
        db,
        now,
        ACTOR,
        "patient.unlink",
        Some(patient.id),
        AuditDetail::default().with(link.ow_user.clone()),
    )?;
    Ok(format!("patient {} is no longer linked to {}; stored observations stay", patient.id, link.ow_user))
}

fn change_consent(
    db: &rusqlite::Connection,
    change: &ConsentArguments,
    now: Timestamp,
) -> Result<String, StoreError> {
    let patient = patient::find(db, change.id)?.id;
    patient::check_is_local(db, patient, "change the consent")?;
    let code = &change.code;
    let Some(reason) = change.reason.map(GrantReason::as_str) else {
        if !consent::withdraw(db, patient, code, WithdrawFrom::Everything, now)? {
            return Ok(format!("patient {patient} does not consent to {code} already"));
        }
        audit::record(
            db,
            now,
            ACTOR,
            "consent.withdraw",
            Some(patient),
            AuditDetail::default().with_code(code),
        )?;
        return Ok(format!("patient {patient} does not consent to {code} from {now} on"));
    };
    let entries = consent::list(db, VisibleTo::Everybody, patient)?;
    let withdrawn =
        entries.iter().filter(|entry| entry.scope.code == *code).find_map(|entry| entry.grant.withdrawn);
    if !grant(db, patient, code, reason, now)? {
        return Ok(format!("patient {patient} consents to {code} already"));
    }
    let earlier = withdrawn.map_or_else(String::new, |at| format!(", after a withdrawal at {at}"));
    Ok(format!(
        "patient {patient} consents to {code} from {now} on{earlier}; you answered for the patient, which the audit \
         keeps with the reason: {reason}"
    ))
}

fn print_details(patient: &Patient, consents: &[ConsentEntry]) -> Result<(), Failure> {
    let (id, name, zone) = (patient.id, &patient.name, &patient.time_zone);
    let email = patient.email.as_deref().unwrap_or("-");
    print_line(format_args!("patient    {id}"))?;
    print_line(format_args!("name       {name}"))?;
    print_line(format_args!("email      {email}"))?;
    print_line(format_args!("time zone  {zone}"))?;
    if let Some(id) = patient.jhe_id {
        print_line(format_args!("jhe id     {id}"))?;
    }
    print_line(format_args!("link       {}", describe_link(patient)))?;
    for ConsentEntry { scope, study, grant, .. } in consents {
        let end = grant.withdrawn.map_or_else(String::new, |at| format!(", withdrawn {at}"));
        let reason = match study {
            Some((id, name)) => format!("for study {id} ({name})"),
            None => "recorded by hand".to_owned(),
        };
        print_line(format_args!("consent    {} granted {}{end}, {reason}", scope.code, grant.granted))?;
    }
    Ok(())
}

fn print_json_details(patient: &Patient, consents: &[ConsentEntry]) -> Result<(), Failure> {
    let consent = |ConsentEntry { scope, study, grant, .. }: &ConsentEntry| {
        json!({
            "code": scope.code,
            "granted": grant.granted.to_string(),
            "withdrawn": grant.withdrawn.map(|at| at.to_string()),
            "study": study.as_ref().map(|(id, name)| json!({ "id": id.0, "name": name })),
        })
    };
    let mut document = document(patient);
    document["consents"] = consents.iter().map(consent).collect();
    print_json(&document)
}
