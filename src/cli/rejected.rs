//! `jhe-ow rejected`: lists samples that could not be converted.

use clap::Subcommand;
use serde_json::json;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::{print_json, print_line};
use crate::model::{account::VisibleTo, patient::PatientRef};
use crate::store::{people::patient, samples::rejected};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List samples that could not be converted, newest first, each with the reason
    List {
        /// Only this patient: a number, or jhe:N
        #[arg(long, value_name = "N")]
        patient_id: Option<PatientRef>,
        /// The largest number of samples to list
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// One JSON document per line
        #[arg(long)]
        json: bool,
    },
}

pub(crate) async fn run(session: &Session, command: Command) -> Result<u8, Failure> {
    let Command::List { patient_id, limit, json } = command;
    let store = session.store()?;
    let list = store.read(move |db| {
        let patient = patient_id.map(|who| patient::find(db, who)).transpose()?;
        rejected::list(db, VisibleTo::Everybody, patient.map(|patient| patient.id), None, limit)
    });
    for entry in list.await? {
        if json {
            print_json(&json!({
                "id": entry.id,
                "patient": entry.patient.get(),
                "type": entry.rejected.series_type,
                "reason": entry.rejected.reason,
                "sample": entry.rejected.sample,
                "first_seen": entry.first_seen.to_string(),
                "last_seen": entry.last_seen.to_string(),
            }))?;
            continue;
        }
        print_line(format_args!(
            "patient {}  {}  last seen {}  {}",
            entry.patient, entry.rejected.series_type, entry.last_seen, entry.rejected.reason,
        ))?;
        print_line(format_args!("    {}", entry.rejected.sample))?;
    }
    Ok(0)
}
