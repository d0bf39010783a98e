//! `jhe-ow audit`: who did what, and whether the record of it is whole.

use clap::Subcommand;
use serde_json::json;

use crate::app::session::Session;
use crate::common::failure::{EXIT_FAILED, Failure};
use crate::common::stdout::{say, say_json};
use crate::model::account::Reach;
use crate::model::patient::{PatientId, PatientRef};
use crate::store::people::patient;
use crate::store::privacy::audit_chain::{Hash, Verdict, hex, parse_hex};
use crate::store::privacy::{audit, audit_chain};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Who did what, newest first
    List {
        /// Only what concerns this patient: a number, also of one who was erased, or jhe:N
        #[arg(long, value_name = "N")]
        patient_id: Option<PatientRef>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
    /// Whether anything was changed, put in or taken out behind the program's back; exit code 1 where it was
    Verify {
        /// A hash that was printed before: whether its entry is still there
        #[arg(long, value_name = "HASH", value_parser = parse_hex)]
        noted: Option<Hash>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    match command {
        Command::List { patient_id, limit, json } => list(session, patient_id, limit, json).await.map(|()| 0),
        Command::Verify { noted, json } => {
            let verdict = session.store()?.read(move |db| audit_chain::verify(db, noted)).await?;
            if json {
                say_json(&document(&verdict))?;
            } else {
                tell(&verdict, noted)?;
            }
            let is_good = verdict.broken.is_none() && noted.is_some() == verdict.noted.is_some();
            Ok(if is_good { 0 } else { EXIT_FAILED })
        }
    }
}

async fn list(session: &Session, who: Option<PatientRef>, limit: u32, json: bool) -> Result<(), Failure> {
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
        if json {
            say_json(&json!({
                "id": entry.id,
                "at": entry.at.to_string(),
                "actor": entry.actor,
                "action": entry.action,
                "patient": entry.patient.map(PatientId::get),
                "detail": entry.detail,
            }))?;
            continue;
        }
        let whom = entry.patient.map_or_else(String::new, |id| format!("  patient {id}"));
        let detail = if entry.detail.is_empty() { String::new() } else { format!("  {}", entry.detail) };
        say(format_args!("{:>6}  {}  {}  {}{whom}{detail}", entry.id, entry.at, entry.actor, entry.action))?;
    }
    Ok(())
}

fn document(verdict: &Verdict) -> serde_json::Value {
    json!({
        "whole": verdict.broken.is_none(),
        "broken": verdict.broken.map(|broken| broken.to_string()),
        "entries": verdict.entries,
        "head": verdict.head.map(|(entry, hash)| json!({ "entry": entry, "hash": hex(&hash) })),
        "noted": verdict.noted,
    })
}

fn tell(verdict: &Verdict, noted: Option<Hash>) -> Result<(), Failure> {
    if let Some(broken) = verdict.broken {
        return say(format_args!("The audit is broken: {broken}"));
    }
    let is_missing = noted.is_some() && verdict.noted.is_none();
    if is_missing {
        say("The hash that was noted is none of this audit's: it was written anew, or is another one")?;
        say(format_args!("  what stands here follows from its own beginning: {} entries", verdict.entries))?;
    } else {
        say(format_args!("The audit is whole: {} entries", verdict.entries))?;
    }
    if let Some((id, hash)) = verdict.head {
        say(format_args!("  entry {id} has the hash {}", hex(&hash)))?;
    }
    match verdict.noted {
        Some(id) => say(format_args!(
            "  the hash that was noted is that of entry {id}: nothing up to there has changed"
        )),
        None => Ok(()),
    }
}
