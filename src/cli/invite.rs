//! `jhe-ow invite`: prints the link that invites a patient.

use std::sync::Arc;

use clap::Args;

use crate::app::{invite, session::Session};
use crate::common::{failure::Failure, stdout::print_line};
use crate::jhe::client::Jhe;
use crate::model::{account::Actor, patient::PatientRef, study::StudyId};
use crate::secrets::token::Token;
use crate::store::{engine::store::Store, people::patient};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The patient's number, or jhe:N; with JHE, a number that is unknown here is JHE's
    #[arg(long, value_name = "N")]
    patient_id: PatientRef,
    /// Invite to this study, and enrol the patient [default: every study of the patient]
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    match find_jhe_patient(session, &store, arguments.patient_id).await? {
        Some(_) if arguments.study.is_some() => Err(Failure::usage(
            "--study is for local patients",
            "leave it out: JHE's invitation covers every study of the patient there",
        )),
        Some((jhe, jhe_id)) => invite_through_jhe(session, &jhe, &store, jhe_id).await,
        None => invite_local(session, &store, arguments).await,
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

async fn invite_local(session: &Session, store: &Store, arguments: Arguments) -> Result<u8, Failure> {
    let (token, now) = (Token::generate()?, session.clock.now());
    let hash = token.hash();
    let write = move |db: &rusqlite::Connection| {
        let patient = patient::find(db, arguments.patient_id)?;
        invite::invite(db, hash, patient.id, arguments.study, Actor::CommandLine, now)
    };
    let expires = store.write(write).await?;
    print_line(invite::invitation_link(&session.config.public_base(), &token))?;
    eprintln!("It works once, until {expires}. Whoever opens it is taken for the patient.");
    print_warning(session);
    Ok(0)
}

fn print_warning(session: &Session) {
    if let Some(warning) = session.config.public_url_warning() {
        eprintln!("warning: {warning}");
    }
}
