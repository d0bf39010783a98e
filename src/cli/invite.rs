//! `jhe-ow invite`: prints the link that invites a patient, or invites a list of people.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use maud::{PreEscaped, html};

use crate::app::{invite, people_list, session::Session};
use crate::common::counted::counted;
use crate::common::{failure::Failure, stdout::print_line, visible::VisibleLine};
use crate::i18n::language::Language;
use crate::jhe::client::Jhe;
use crate::model::account::{Actor, VisibleTo};
use crate::model::{patient::PatientRef, study::StudyId};
use crate::secrets::token::Token;
use crate::store::people::{invitation, patient, study, study_text};
use crate::store::{engine::store::Store, error::StoreError};
use crate::web::admin::study::invite::sheet;
use crate::web::start_page::STYLE;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The patient's number, or jhe:N; with JHE, a number that is unknown here is JHE's
    #[arg(long, value_name = "N", required_unless_present = "from")]
    patient_id: Option<PatientRef>,
    /// Invite to this study, and enrol the patient [default: every study of the patient]
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
    /// Add and invite the people of a CSV file: study number, name, e-mail, time zone, language. Only the study number is
    /// required. A bad line is printed and left out
    #[arg(long, value_name = "FILE", requires = "study", conflicts_with = "patient_id")]
    from: Option<PathBuf>,
    /// Send their links by mail; people without an address get none
    #[arg(long, requires = "from")]
    mail: bool,
    /// Write a sheet to print, with a QR code for each person who gets no mail
    #[arg(long, value_name = "FILE.html", requires = "from")]
    sheet: Option<PathBuf>,
    /// Write the links of those who get no mail to this file [default: print them]
    #[arg(long, value_name = "FILE", requires = "from")]
    csv: Option<PathBuf>,
    /// The language of lines without one, such as es [default: the study's]
    #[arg(long, value_name = "CODE", requires = "from")]
    language: Option<String>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let patient = match (arguments.study, &arguments.from, arguments.patient_id) {
        (Some(study), Some(file), _) => return invite_list(session, &store, study, file, &arguments).await,
        (_, _, Some(patient)) => patient,
        _ => return Err(Failure::usage("nobody is named", "give --patient-id N, or --study ID --from FILE")),
    };
    match find_jhe_patient(session, &store, patient).await? {
        Some(_) if arguments.study.is_some() => Err(Failure::usage(
            "--study is for local patients",
            "leave it out: JHE's invitation covers every study of the patient there",
        )),
        Some((jhe, jhe_id)) => invite_through_jhe(session, &jhe, &store, jhe_id).await,
        None => invite_local(session, &store, patient, arguments.study).await,
    }
}

/// Returns JHE and its number of the patient, if JHE invites this patient.
async fn find_jhe_patient(
    session: &Session,
    store: &Store,
    who: PatientRef,
) -> Result<Option<(Arc<Jhe>, i64)>, Failure> {
    let Some(jhe) = Jhe::from_config(&session.config)? else { return Ok(None) };
    let number = match who {
        PatientRef::Jhe(number) => Some(number),
        PatientRef::Own(id) => {
            let known = store.read(patient::list).await?.into_iter().find(|patient| patient.id == id);
            known.map_or(Some(id.get()), |patient| patient.jhe_id)
        }
    };
    Ok(number.map(|number| (jhe, number)))
}

async fn invite_through_jhe(session: &Session, jhe: &Jhe, store: &Store, jhe_id: i64) -> Result<u8, Failure> {
    let (config, clock) = (&session.config, &session.clock);
    let made = invite::invite_through_jhe(jhe, store, config, jhe_id, Actor::CommandLine, clock).await?;
    print_line(&made.link)?;
    eprintln!(
        "It is for {}, JHE patient {jhe_id}. An earlier link does not work any more. Whoever uses the link \
         is taken for the patient.",
        made.name
    );
    print_warning(session);
    Ok(0)
}

async fn invite_local(
    session: &Session,
    store: &Store,
    who: PatientRef,
    study: Option<StudyId>,
) -> Result<u8, Failure> {
    let (token, now) = (Token::generate()?, session.clock.now());
    let hash = token.hash();
    let write = move |db: &rusqlite::Connection| {
        let patient = patient::find(db, who)?;
        invite::invite(db, hash, patient.id, study, Actor::CommandLine, now)
    };
    let expires = store.write(write).await?;
    print_line(invitation::link(&session.config.public_base(), &token))?;
    eprintln!(
        "It works until {expires}, or until a device is connected. Whoever opens it is taken for the patient."
    );
    print_warning(session);
    Ok(0)
}

/// Adds and invites the people of a list. Returns 1 if a line was left out.
async fn invite_list(
    session: &Session,
    store: &Store,
    study: StudyId,
    file: &Path,
    arguments: &Arguments,
) -> Result<u8, Failure> {
    let unusable =
        |why: String| Failure::usage(format!("{}: {why}", file.display()), "mend the file, then try again");
    let find = |name: &String| {
        let known: Vec<&str> = Language::all().map(Language::tag).collect();
        let next = format!("give {}", known.join(" or "));
        Language::find(name).ok_or_else(|| Failure::usage(format!("there is no language '{name}'"), next))
    };
    let language = arguments.language.as_ref().map(find).transpose()?;
    let by_mail = arguments.mail;
    if by_mail && session.config.alerts.mail.is_none() {
        let message = "no mail server is configured";
        return Err(Failure::usage(message, "set alerts.smtp_url and alerts.mail_from, or leave out --mail"));
    }
    let bytes = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
    let lines = people_list::parse(&people_list::decode(&bytes)).map_err(unusable)?;
    // Before anybody is added: the links are written once.
    let mut csv_file = arguments.csv.as_deref().map(create_secret).transpose()?;
    let mut sheet_file = arguments.sheet.as_deref().map(create_secret).transpose()?;
    let (batch, now) = (Token::generate()?, session.clock.now());
    let (token, base) = (batch.clone(), session.config.public_base());
    let write = move |db: &rusqlite::Connection| {
        let terms = study::find(db, study)?;
        if terms.is_of_jhe {
            let why = format!("study {study} is JHE's: add and invite its participants there");
            return Err(StoreError::Refused(why));
        }
        let language = language.map_or_else(|| study_text::find_own_language(db, study), Ok)?;
        let checked = people_list::check(db, study, VisibleTo::Everybody, lines, language)?;
        let actor = Actor::CommandLine;
        let invited = people_list::invite_all(db, study, checked.clone(), &token, by_mail, actor, now)?;
        Ok((terms.terms, checked, invited, people_list::list_links(db, study, &token, &base, now)?))
    };
    let (terms, checked, invited, links) = store.write(write).await?;
    for line in &checked {
        for text in line.errors.iter().chain(&line.notes) {
            let kind = if line.person.is_some() { "note" } else { "left out" };
            eprintln!("line {}: {kind}: {}", line.given.line, VisibleLine(text));
        }
    }
    let csv = people_list::render_csv(&links);
    match (&mut csv_file, &mut sheet_file) {
        (Some(file), _) => write_secret(file, &csv)?,
        (None, None) if !links.is_empty() => {
            String::from_utf8_lossy(&csv).lines().try_for_each(print_line)?;
        }
        (None, _) => {}
    }
    if let Some(file) = &mut sheet_file {
        let style = html! { style { (PreEscaped(STYLE)) } };
        write_secret(file, sheet::render(&terms, &links, &style).into_string().as_bytes())?;
    }
    let left_out = checked.iter().filter(|line| line.person.is_none()).count();
    let (added, mails) = (counted(invited.added, "participant"), counted(invited.mailed, "mail"));
    eprintln!("{added} added, {mails} queued for the running daemon, {left_out} left out.");
    print_warning(session);
    Ok(u8::from(left_out > 0))
}

/// Creates a file that its owner alone can read: it holds links. Replaces none.
fn create_secret(path: &Path) -> Result<File, Failure> {
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    created.map_err(|error| {
        Failure::usage(format!("{}: {error}", path.display()), "name a file that does not exist yet")
    })
}

fn write_secret(file: &mut File, content: &[u8]) -> Result<(), Failure> {
    file.write_all(content).map_err(|error| {
        let next =
            "the people are added; make their links on their pages, or with jhe-ow invite --patient-id N";
        Failure::failed(format!("the links could not be written: {error}"), next)
    })
}

fn print_warning(session: &Session) {
    if let Some(warning) = session.config.public_url_warning() {
        eprintln!("warning: {warning}");
    }
}
