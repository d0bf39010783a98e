//! `jhe-ow adopt`: finds observations that JHE's own poller has delivered, so that they are not sent again.

use std::time::Duration;

use clap::Args;

use crate::app::session::{Session, find_optional};
use crate::common::failure::{EXIT_FAILED, EXIT_PARTIAL, Failure};
use crate::common::visible::VisibleLine;
use crate::common::{stdout::print_line, time::parse_duration};
use crate::daemon::signals;
use crate::export::adopt_existing::{Adopter, Adoption};
use crate::jhe::error::JheError;
use crate::model::patient::PatientRef;
use crate::store::people::jhe_consent;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Print what would be found, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait this long for a running export to end
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = parse_duration)]
    wait: Duration,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let jhe = session.jhe()?;
    let store = session.store()?;
    let patient = find_optional(&store, arguments.patient_id).await?.map(|patient| patient.id);
    let linked = store.read(move |db| jhe_consent::list_linked(db, patient)).await?;
    if let (Some(patient), true) = (patient, linked.is_empty()) {
        return Err(Failure::usage(
            format!(
                "patient {patient} is not JHE's, or not linked: JHE cannot have observations of this patient"
            ),
            format!("jhe-ow patient match {patient}, or jhe-ow patient link {patient} --ow-user UUID"),
        ));
    }
    let cancel = signals::cancel_on_signal()?;
    let (clock, dry_run, wait) = (session.clock.clone(), arguments.dry_run, arguments.wait);
    let adopter = Adopter { store, clock, jhe, cancel, dry_run, wait };
    print_adoption(&adopter.adopt(patient).await?, dry_run)
}

fn print_adoption(adoption: &Adoption, dry_run: bool) -> Result<u8, Failure> {
    for (patient, jhe_id, found) in &adoption.patients {
        print_line(format_args!("patient {patient} (jhe:{jhe_id}): {found}"))?;
    }
    for (patient, error) in &adoption.failed {
        eprintln!("patient {patient}: not all of JHE's observations could be read: {}", VisibleLine(error));
    }
    let how =
        if dry_run { "This is what an adoption would do; nothing was written" } else { "Adoption complete" };
    print_line(format_args!("{how}: {}.", adoption.sum()))?;
    let mut errors = adoption.failed.iter().map(|(_, error)| error);
    Ok(match errors.clone().count() {
        0 => 0,
        _ if errors
            .any(|error| matches!(error, JheError::Unauthorized(_) | JheError::InvalidResponse(_))) =>
        {
            EXIT_FAILED
        }
        _ => EXIT_PARTIAL,
    })
}
