//! `jhe-ow invite`: the link that brings a patient in.

use std::sync::Arc;

use clap::Args;

use crate::app::invite;
use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::say;
use crate::jhe::client::Jhe;
use crate::model::account::Actor;
use crate::model::patient::PatientRef;
use crate::model::study::StudyId;
use crate::secrets::token::Token;
use crate::store::engine::store::Store;
use crate::store::people::patient;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The patient's number, or jhe:N; connected to JHE, a number that nobody has here is JHE's
    #[arg(long, value_name = "N")]
    patient_id: PatientRef,
    /// Invite to this study, and enrol; without it, to each that the patient is enrolled in
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    match of_jhe(session, &store, arguments.patient_id).await? {
        Some(_) if arguments.study.is_some() => Err(Failure::usage(
            "--study is for patients of our own",
            "leave it out: a link of JHE's asks for every study that the patient is enrolled in there",
        )),
        Some((jhe, jhe_id)) => through_jhe(session, &jhe, &store, jhe_id).await,
        None => invite(session, &store, arguments).await,
    }
}

/// JHE, and its number of the patient, where it is JHE that invites.
async fn of_jhe(
    session: &Session,
    store: &Store,
    who: PatientRef,
) -> Result<Option<(Arc<Jhe>, i64)>, Failure> {
    let Some(jhe) = Jhe::of(&session.config)? else { return Ok(None) };
    let number = match who {
        PatientRef::Jhe(number) => Some(number),
        PatientRef::Own(id) => {
            let known = store.read(patient::list).await?.into_iter().find(|patient| patient.id == id);
            known.map_or(Some(id.get()), |patient| patient.jhe_id)
        }
    };
    Ok(number.map(|number| (jhe, number)))
}

async fn through_jhe(session: &Session, jhe: &Jhe, store: &Store, jhe_id: i64) -> Result<u8, Failure> {
    let (config, clock) = (&session.config, &session.clock);
    let made = invite::invite_through_jhe(jhe, store, config, jhe_id, Actor::CommandLine, clock).await?;
    say(&made.link)?;
    eprintln!(
        "It is for {}, JHE patient {jhe_id}, and an earlier one is good no longer. Whoever goes on with it is taken for \
         the patient.",
        made.name
    );
    warn(session);
    Ok(0)
}

async fn invite(session: &Session, store: &Store, arguments: Arguments) -> Result<u8, Failure> {
    let (token, now) = (Token::draw()?, session.clock.now());
    let hash = token.hash();
    let write = move |db: &rusqlite::Connection| {
        let patient = patient::find(db, arguments.patient_id)?;
        invite::invite(db, hash, patient.id, arguments.study, Actor::CommandLine, now)
    };
    let expires = store.write(write).await?;
    say(invite::link(&session.config.public_base(), &token))?;
    eprintln!("It works once, until {expires}. Whoever opens it is taken for the patient.");
    warn(session);
    Ok(0)
}

fn warn(session: &Session) {
    if let Some(warning) = session.config.public_url_warning() {
        eprintln!("warning: {warning}");
    }
}
