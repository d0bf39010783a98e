//! `jhe-ow study`: adds, shows and changes studies, and enrols patients.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::civil::Date;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::app::{invite, session::Session};
use crate::common::stdout::{print_json, print_line};
use crate::common::{failure::Failure, suggest, time::Timestamp};
use crate::model::account::{Actor, Role, VisibleTo};
use crate::model::audit_detail::AuditDetail;
use crate::model::collection_window::CollectionWindow;
use crate::model::patient::{PatientRef, normalize_time_zone, parse_name};
use crate::model::study::{Scope, Study, StudyId, Terms, parse_purpose};
use crate::store::error::StoreError;
use crate::store::people::{patient, study};
use crate::store::privacy::audit;
use crate::store::samples::{code, dataset};

const ACTOR: Actor = Actor::CommandLine;
/// More studies than any daemon has.
const ALL: u32 = 1_000_000;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add a study, and print its number
    Add(AddArguments),
    /// List all studies
    List {
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
    /// Show one study
    Show {
        /// The study, by number or name
        study: String,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
    /// Change a study; what is not given stays. Consents keep the text that was agreed to
    Edit(EditArguments),
    /// Enrol patients in a study, or give enrolled ones another last day
    Enrol(EnrolArguments),
}

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// The name, as patients know the study
    #[arg(value_parser = parse_name)]
    name: String,
    #[command(flatten)]
    terms: TermsArguments,
}

#[derive(Debug, Args)]
pub(crate) struct EditArguments {
    /// The study, by number or name
    study: String,
    /// Another name
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// Take the collection window away, before the options below set another
    #[arg(long)]
    no_window: bool,
    #[command(flatten)]
    terms: TermsArguments,
}

/// The texts that patients read before they agree, and the data that the study asks for.
#[derive(Debug, Args)]
struct TermsArguments {
    /// The institution that asks
    #[arg(long, value_parser = parse_name)]
    organization: Option<String>,
    /// The purpose, in words that patients read before they agree
    #[arg(long, value_parser = parse_purpose)]
    purpose: Option<String>,
    /// The same from a file
    #[arg(long, value_name = "FILE", conflicts_with = "purpose")]
    consent_text: Option<PathBuf>,
    /// A person with an address or a number, whom patients can ask
    #[arg(long, value_parser = parse_name)]
    contact: Option<String>,
    /// A data type that patients are asked for, such as omh:heart-rate:2.0; several in several options
    #[arg(long, value_name = "CODE")]
    scope: Vec<String>,
    /// A data source that patients can connect, such as Oura [default: all]
    #[arg(long, value_name = "NAME")]
    source: Vec<String>,
    /// The time zone of the participants: a name such as Europe/Berlin, or an offset such as +02:00
    #[arg(long, value_name = "ZONE", value_parser = normalize_time_zone, allow_hyphen_values = true)]
    tz: Option<String>,
    /// Collect from this day on, on the participant's calendar
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Collect until the end of this day; late data are read for 7 more days
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
    /// Collect for this many days after that of connecting
    #[arg(long, value_name = "N", conflicts_with_all = ["from", "until"])]
    days: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct EnrolArguments {
    /// The study, by number or name
    study: String,
    /// The patients' numbers
    #[arg(required = true)]
    patients: Vec<PatientRef>,
    /// The last day of these patients, instead of the study's
    #[arg(long, value_name = "DATE")]
    until: Option<Date>,
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    match command {
        Command::Add(AddArguments { name, terms }) => {
            let purpose = terms.read_purpose()?;
            print_line(store.write(move |db| add(db, name, &terms, purpose.as_deref(), now)).await?)?;
        }
        Command::List { json } => {
            for (one, participants) in store.read(list).await? {
                if json {
                    print_json(&document(&one, participants))?;
                } else {
                    print_line(summary(&one, participants))?;
                }
            }
        }
        Command::Show { study: text, json } => {
            let read = move |db: &Connection| {
                let one = study::find(db, dataset::find_study(db, &text)?.0)?;
                Ok((study::count_enrolled(db, VisibleTo::Everybody, one.id)?, one))
            };
            let (participants, one) = store.read(read).await?;
            if json { print_json(&document(&one, participants))? } else { print_details(&one, participants)? }
        }
        Command::Edit(arguments) => {
            let purpose = arguments.terms.read_purpose()?;
            print_line(store.write(move |db| edit(db, arguments, purpose.as_deref(), now)).await?)?;
        }
        Command::Enrol(arguments) => {
            for line in store.write(move |db| enrol(db, &arguments, now)).await? {
                print_line(line)?;
            }
        }
    }
    Ok(0)
}

impl TermsArguments {
    fn read_purpose(&self) -> Result<Option<String>, Failure> {
        let Some(path) = &self.consent_text else { return Ok(self.purpose.clone()) };
        let failed =
            |why: String| Failure::usage(format!("{}: {why}", path.display()), "give a text file in UTF-8");
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        parse_purpose(&text).map(Some).map_err(failed)
    }

    /// Writes the given options over the present terms.
    fn apply(&self, db: &Connection, purpose: Option<&str>, terms: &mut Terms) -> Result<(), StoreError> {
        let text = |given: Option<&str>, present: &mut String| {
            if let Some(given) = given {
                given.clone_into(present);
            }
        };
        text(self.organization.as_deref(), &mut terms.organization);
        text(purpose, &mut terms.purpose);
        text(self.contact.as_deref(), &mut terms.contact);
        text(self.tz.as_deref(), &mut terms.time_zone);
        if !self.scope.is_empty() {
            let known = code::list_deliverable(db)?;
            let find = |code: &String| {
                let found = known.iter().find(|scope| scope.code == *code).cloned();
                found.ok_or_else(|| unknown("data type", code, known.iter().map(|scope| scope.code.as_str())))
            };
            terms.scopes = self.scope.iter().map(find).collect::<Result<Vec<Scope>, _>>()?;
        }
        if !self.source.is_empty() {
            let known = code::list_data_sources(db)?;
            let find = |name: &String| {
                let found = known.iter().find(|source| source.eq_ignore_ascii_case(name)).cloned();
                found.ok_or_else(|| unknown("data source", name, known.iter().map(String::as_str)))
            };
            terms.data_sources = self.source.iter().map(find).collect::<Result<_, _>>()?;
        }
        terms.collection = self.window(terms.collection)?;
        Ok(())
    }

    fn window(&self, present: CollectionWindow) -> Result<CollectionWindow, StoreError> {
        let (from, until, days) = present.parts();
        let window = match (self.from.or(self.until), self.days) {
            (None, None) => return Ok(present),
            (_, Some(_)) => CollectionWindow::new(None, None, self.days),
            (Some(_), None) if days.is_some() => CollectionWindow::new(self.from, self.until, None),
            (Some(_), None) => CollectionWindow::new(self.from.or(from), self.until.or(until), None),
        };
        window.map_err(|error| StoreError::Refused(format!("the collection window: {error}")))
    }

    /// Returns true if any option besides those of the window is given.
    fn has_terms(&self) -> bool {
        let texts = [&self.organization, &self.purpose, &self.contact, &self.tz];
        texts.iter().any(|text| text.is_some())
            || self.consent_text.is_some()
            || !(self.scope.is_empty() && self.source.is_empty())
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> StoreError {
    let nearest = suggest::nearest(name, known);
    let nearest = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
    StoreError::Refused(format!("there is no {what} '{name}'{nearest}"))
}

fn add(
    db: &Connection,
    name: String,
    given: &TermsArguments,
    purpose: Option<&str>,
    now: Timestamp,
) -> Result<StudyId, StoreError> {
    let mut terms = Terms { name, ..Terms::default() };
    given.apply(db, purpose, &mut terms)?;
    for (is_missing, option) in [
        (terms.organization.is_empty(), "--organization"),
        (terms.purpose.is_empty(), "--purpose or --consent-text"),
        (terms.contact.is_empty(), "--contact"),
        (terms.scopes.is_empty(), "--scope"),
    ] {
        if is_missing {
            return Err(StoreError::Refused(format!(
                "a new study needs {option}: patients read it before they agree"
            )));
        }
    }
    let id = study::insert(db, &terms, now)?;
    audit::record(db, now, ACTOR, "study.add", None, AuditDetail::from("study").with(id))?;
    Ok(id)
}

fn edit(
    db: &Connection,
    arguments: EditArguments,
    purpose: Option<&str>,
    now: Timestamp,
) -> Result<String, StoreError> {
    let one = study::find(db, dataset::find_study(db, &arguments.study)?.0)?;
    let mut terms = one.terms;
    if arguments.no_window {
        terms.collection = CollectionWindow::default();
    }
    if one.is_of_jhe {
        if arguments.name.is_some() || arguments.terms.has_terms() {
            let why =
                format!("study {} is JHE's: change it there; only the collection window is set here", one.id);
            return Err(StoreError::Refused(why));
        }
        terms.collection = arguments.terms.window(terms.collection)?;
        study::set_collection(db, one.id, terms.collection, now)?;
    } else {
        terms.name = arguments.name.unwrap_or(terms.name);
        arguments.terms.apply(db, purpose, &mut terms)?;
        study::update(db, one.id, &terms, now)?;
    }
    audit::record(db, now, ACTOR, "study.change", None, AuditDetail::from("study").with(one.id))?;
    Ok(format!("study {} is changed; collection window: {}", one.id, terms.collection.describe()))
}

fn enrol(db: &Connection, arguments: &EnrolArguments, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let (id, name) = dataset::find_study(db, &arguments.study)?;
    let until = arguments.until.map_or_else(String::new, |until| format!(", until {until}"));
    let enrol = |who: &PatientRef| {
        let patient = patient::find(db, *who)?.id;
        let is_enrolled = study::list_of_patient(db, patient)?.iter().any(|study| study.id == id);
        if !is_enrolled {
            invite::enrol(db, id, patient, ACTOR, now)?;
        }
        if arguments.until.is_some() {
            study::set_own_until(db, id, patient, arguments.until, now)?;
            let detail = AuditDetail::from("study").with(id);
            audit::record(db, now, ACTOR, "collection.change", Some(patient), detail)?;
        }
        Ok(format!("patient {patient} is enrolled in study {id} ({name}){until}"))
    };
    arguments.patients.iter().map(enrol).collect()
}

fn list(db: &Connection) -> Result<Vec<(Study, i64)>, StoreError> {
    let studies = study::list(db, VisibleTo::Everybody, Role::Viewer, 0, ALL)?.into_iter();
    studies
        .map(|one| Ok((study::count_enrolled(db, VisibleTo::Everybody, one.id)?, one)))
        .map(|counted| counted.map(|(participants, one)| (one, participants)))
        .collect()
}

fn summary(one: &Study, participants: i64) -> String {
    format!(
        "{:>6}  {:>5} enrolled  {}  {}",
        one.id,
        participants,
        one.terms.name,
        one.terms.collection.describe()
    )
}

fn print_details(one: &Study, participants: i64) -> Result<(), Failure> {
    let Terms { name, organization, purpose, contact, scopes, data_sources, time_zone, collection } =
        &one.terms;
    let scopes: Vec<&str> = scopes.iter().map(|scope| scope.code.as_str()).collect();
    let sources = if data_sources.is_empty() { "any".to_owned() } else { data_sources.join(", ") };
    for (label, text) in [
        ("study", one.id.to_string()),
        ("name", name.clone()),
        ("institution", organization.clone()),
        ("why", purpose.clone()),
        ("contact", contact.clone()),
        ("data types", scopes.join(", ")),
        ("sources", sources),
        ("time zone", time_zone.clone()),
        ("collection", collection.describe()),
        ("enrolled", participants.to_string()),
    ] {
        print_line(format_args!("{label:<12}{text}"))?;
    }
    Ok(())
}

fn document(one: &Study, participants: i64) -> Value {
    let terms = &one.terms;
    let (from, until, days) = terms.collection.parts();
    json!({
        "id": one.id.0,
        "name": terms.name,
        "organization": terms.organization,
        "purpose": terms.purpose,
        "contact": terms.contact,
        "scopes": terms.scopes.iter().map(|scope| scope.code.as_str()).collect::<Vec<_>>(),
        "data_sources": terms.data_sources,
        "time_zone": terms.time_zone,
        "collection": {
            "from": from.map(|day| day.to_string()),
            "until": until.map(|day| day.to_string()),
            "days": days,
        },
        "of_jhe": one.is_of_jhe,
        "enrolled": participants,
    })
}
