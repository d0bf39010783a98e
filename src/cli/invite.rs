//! `jhe-ow invite`: the link that brings a patient in.

use clap::Args;

use super::Session;
use super::out::say;
use crate::account::Actor;
use crate::failure::Failure;
use crate::invitation;
use crate::patient::PatientRef;
use crate::store::patient;
use crate::study::StudyId;
use crate::token::Token;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The patient's number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: PatientRef,
    /// Invite to this study, and enrol; without it, to each that the patient is enrolled in
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
}

pub(super) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let (token, now) = (Token::draw()?, session.clock.now());
    let hash = token.hash();
    let write = move |db: &rusqlite::Connection| {
        let patient = patient::find(db, arguments.patient_id)?;
        invitation::invite(db, hash, patient.id, arguments.study, Actor::CommandLine, now)
    };
    let expires = session.store()?.write(write).await?;
    say(invitation::link(&session.config.public_base(), &token))?;
    eprintln!("It works once, until {expires}. Whoever opens it is taken for the patient.");
    if let Some(warning) = session.config.public_url_warning() {
        eprintln!("warning: {warning}");
    }
    Ok(0)
}
