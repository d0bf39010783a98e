//! `jhe-ow audit`: who did what, and whether the record of it is whole.

use clap::Subcommand;

use super::Session;
use super::out::say;
use crate::account::Reach;
use crate::failure::{EXIT_FAILED, Failure};
use crate::patient::PatientRef;
use crate::store::chain::{self, Hash, hex, parse_hex};
use crate::store::{audit, patient};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Who did what, newest first
    List {
        /// Only what concerns this patient: a number, also of one who was erased, or jhe:N
        #[arg(long, value_name = "N")]
        patient_id: Option<PatientRef>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Whether anything was changed, put in or taken out behind the program's back; exit code 1 where it was
    Verify {
        /// A hash that was printed before: whether its entry is still there
        #[arg(long, value_name = "HASH", value_parser = parse_hex)]
        noted: Option<Hash>,
    },
}

pub(super) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    match command {
        Command::List { patient_id, limit } => list(session, patient_id, limit).await.map(|()| 0),
        Command::Verify { noted } => verify(session, noted).await,
    }
}

async fn list(session: &Session, who: Option<PatientRef>, limit: u32) -> Result<(), Failure> {
    let read = move |db: &rusqlite::Connection| {
        let patient = match who {
            // Who was erased has entries, and no row.
            Some(PatientRef::Own(id)) => Some(id),
            Some(who) => Some(patient::find(db, who)?.id),
            None => None,
        };
        audit::page(db, Reach::Everybody, patient, None, limit)
    };
    for entry in session.store()?.read(read).await? {
        let whom = entry.patient.map_or_else(String::new, |id| format!("  patient {id}"));
        let detail = if entry.detail.is_empty() { String::new() } else { format!("  {}", entry.detail) };
        say(format_args!("{:>6}  {}  {}  {}{whom}{detail}", entry.id, entry.at, entry.actor, entry.action))?;
    }
    Ok(())
}

async fn verify(session: &Session, noted: Option<Hash>) -> Result<u8, Failure> {
    let verdict = session.store()?.read(move |db| chain::verify(db, noted)).await?;
    if let Some(broken) = verdict.broken {
        say(format_args!("The audit is broken: {broken}"))?;
        return Ok(EXIT_FAILED);
    }
    say(format_args!("The audit is whole: {} entries", verdict.entries))?;
    if verdict.older > 0 {
        say(format_args!(
            "  the first {} are older than the chain: whole since its first entry was written",
            verdict.older
        ))?;
    }
    if let Some((id, hash)) = verdict.head {
        say(format_args!("  entry {id} has the hash {}", hex(&hash)))?;
    }
    match (noted, verdict.noted) {
        (Some(_), None) => {
            say("  the hash that was noted is none of this audit's: it was written anew, or is another one")?;
            Ok(EXIT_FAILED)
        }
        (_, Some(id)) => {
            say(format_args!(
                "  the hash that was noted is that of entry {id}: nothing up to there has changed"
            ))?;
            Ok(0)
        }
        (None, None) => Ok(0),
    }
}
