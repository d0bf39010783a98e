//! `jhe-ow audit`: lists the audit log, and checks its hash chain.

use clap::Subcommand;
use serde_json::json;

use crate::app::session::Session;
use crate::common::failure::{EXIT_FAILED, Failure};
use crate::common::stdout::{print_json, print_line};
use crate::model::account::VisibleTo;
use crate::model::patient::{PatientId, PatientRef};
use crate::store::people::patient;
use crate::store::privacy::audit::{self, AuditFilter};
use crate::store::privacy::audit_chain::{self, ChainVerification, EntryHash, hex, parse_hex};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List who did what, newest first
    List {
        /// Only entries about this patient: a number (also of an erased patient), or jhe:N
        #[arg(long, value_name = "N")]
        patient_id: Option<PatientRef>,
        /// The largest number of entries to list
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
    /// Check that no entry was changed, inserted or removed by hand; exit code 1 if one was
    Verify {
        /// A hash that an earlier check printed; its entry has to be there still
        #[arg(long = "noted", value_name = "HASH", value_parser = parse_hex)]
        expected: Option<EntryHash>,
        /// One JSON document
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    match command {
        Command::List { patient_id, limit, json } => list(session, patient_id, limit, json).await.map(|()| 0),
        Command::Verify { expected, json } => {
            let result = session.store()?.read(move |db| audit_chain::verify(db, expected)).await?;
            if json {
                print_json(&document(&result))?;
            } else {
                print_result(&result, expected)?;
            }
            let is_valid = result.broken.is_none() && expected.is_some() == result.expected_entry.is_some();
            Ok(if is_valid { 0 } else { EXIT_FAILED })
        }
    }
}

async fn list(session: &Session, who: Option<PatientRef>, limit: u32, json: bool) -> Result<(), Failure> {
    let read = move |db: &rusqlite::Connection| {
        let patient = match who {
            // An erased patient has entries, but no row to find.
            Some(PatientRef::Own(id)) => Some(id),
            Some(who) => Some(patient::find(db, who)?.id),
            None => None,
        };
        audit::list(db, VisibleTo::Everybody, &AuditFilter { patient, ..AuditFilter::default() }, limit)
    };
    for entry in session.store()?.read(read).await? {
        if json {
            print_json(&json!({
                "id": entry.id,
                "at": entry.at.to_string(),
                "actor": entry.actor,
                "action": entry.action,
                "patient": entry.patient.map(PatientId::get),
                "detail": entry.detail,
            }))?;
            continue;
        }
        let patient = entry.patient.map_or_else(String::new, |id| format!("  patient {id}"));
        let detail = if entry.detail.is_empty() { String::new() } else { format!("  {}", entry.detail) };
        print_line(format_args!(
            "{:>6}  {}  {}  {}{patient}{detail}",
            entry.id, entry.at, entry.actor, entry.action
        ))?;
    }
    Ok(())
}

fn document(result: &ChainVerification) -> serde_json::Value {
    json!({
        "whole": result.broken.is_none(),
        "broken": result.broken.map(|broken| broken.to_string()),
        "entries": result.entries,
        "head": result.head.map(|(entry, hash)| json!({ "entry": entry, "hash": hex(&hash) })),
        "noted": result.expected_entry,
    })
}

fn print_result(result: &ChainVerification, expected: Option<EntryHash>) -> Result<(), Failure> {
    if let Some(broken) = result.broken {
        return print_line(format_args!("The audit is broken: {broken}"));
    }
    if expected.is_some() && result.expected_entry.is_none() {
        print_line("The hash is none of this audit's: the audit was rewritten, or is another one")?;
        print_line(format_args!("  the entries here fit together: {} entries", result.entries))?;
    } else {
        print_line(format_args!("The audit is whole: {} entries", result.entries))?;
    }
    if let Some((id, hash)) = result.head {
        print_line(format_args!("  entry {id} has the hash {}", hex(&hash)))?;
    }
    result.expected_entry.map_or(Ok(()), |id| {
        print_line(format_args!("  the given hash is that of entry {id}: nothing up to there has changed"))
    })
}
