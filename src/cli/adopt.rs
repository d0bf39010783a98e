//! `jhe-ow adopt`: what JHE's own poller has left there.

use std::time::Duration;

use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::session::Session;
use crate::common::failure::{EXIT_FAILED, EXIT_PARTIAL, Failure};
use crate::common::stdout::say;
use crate::common::time::parse_duration;
use crate::daemon::signals;
use crate::export::adopt_existing::{Adopter, Adoption};
use crate::jhe::client::Jhe;
use crate::jhe::error::JheError;
use crate::model::patient::PatientRef;
use crate::store::people::{jhe_consent, patient};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Say what would be recognised, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for an export that runs
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    wait: Duration,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let jhe = Jhe::of(&session.config)?.ok_or_else(|| {
        Failure::usage("there is no JHE to read from", "set JHE_BASE_URL and JHE_CLIENT_KEY")
    })?;
    let store = session.store()?;
    let who = arguments.patient_id;
    let patient = store.read(move |db| who.map(|who| patient::find(db, who)).transpose()).await?;
    let patient = patient.map(|patient| patient.id);
    let linked = store.read(move |db| jhe_consent::linked(db, patient)).await?;
    if let (Some(patient), true) = (patient, linked.is_empty()) {
        return Err(Failure::usage(
            format!("patient {patient} is not JHE's, or not linked: there is nothing to recognise"),
            format!("jhe-ow patient match {patient}, or jhe-ow patient link {patient} --ow-user UUID"),
        ));
    }
    let cancel = CancellationToken::new();
    signals::cancel_on_signal(&cancel)?;
    let (clock, dry_run, wait) = (session.clock.clone(), arguments.dry_run, arguments.wait);
    let adopter = Adopter { store, clock, jhe, cancel, dry_run, wait };
    tell(&adopter.adopt(patient).await?, dry_run)
}

fn tell(adoption: &Adoption, dry_run: bool) -> Result<u8, Failure> {
    for (patient, jhe_id, found) in &adoption.patients {
        say(format_args!("patient {patient} (jhe:{jhe_id}): {found}"))?;
    }
    for (patient, error) in &adoption.failed {
        eprintln!("patient {patient}: what JHE has could not be read to its end: {error}");
    }
    let how =
        if dry_run { "This is what an adoption would do; nothing was written" } else { "Adoption complete" };
    say(format_args!("{how}: {}.", adoption.sum()))?;
    let mut errors = adoption.failed.iter().map(|(_, error)| error);
    Ok(match errors.clone().count() {
        0 => 0,
        _ if errors.any(|error| matches!(error, JheError::Unauthorized(_) | JheError::Wrong(_))) => {
            EXIT_FAILED
        }
        _ => EXIT_PARTIAL,
    })
}
