//! `jhe-ow export`: sends the waiting observations to JHE.

use std::io::IsTerminal;
use std::sync::Arc;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};

use crate::app::session::{Session, find_optional};
use crate::cli::{patient_match, progress_display::ProgressDisplay};
use crate::common::failure::{EXIT_FAILED, EXIT_PARTIAL, Failure};
use crate::common::stdout::{print_json, print_line};
use crate::common::time::Timestamp;
use crate::common::visible::VisibleLine;
use crate::consent::refresh::FailedRefresh;
use crate::daemon::signals;
use crate::export::exporter::{ExportProgress, ExportReport, Exporter, READ_FIRST};
use crate::model::account::{Actor, VisibleTo};
use crate::model::patient::{PatientId, PatientRef};
use crate::store::outbox::{enqueue, outbox};
use crate::store::privacy::{audit, restored};
use crate::store::{engine::store::Store, people::jhe_consent};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Queue the observations again that JHE has rejected
    #[arg(long)]
    retry_dead: bool,
    /// Queue all observations of JHE's patients, after a time without JHE; asks which patients are the same
    /// at JHE
    #[arg(long)]
    all: bool,
    /// One JSON document
    #[arg(long, conflicts_with = "all")]
    json: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let jhe = session.jhe()?;
    let store = session.store()?;
    let patient = find_optional(&store, arguments.patient_id).await?.map(|patient| patient.id);
    if arguments.all {
        patient_match::propose_all(session, &store, &jhe, patient).await?;
    }
    let queued = queue(session, &store, &arguments, patient).await?;
    if let (Some(queued), false) = (queued, arguments.json) {
        print_line(format_args!("Queued {queued} observations."))?;
    }
    let cancel = signals::cancel_on_signal()?;
    let exporter = Exporter { store: store.clone(), clock: session.clock.clone(), jhe, cancel };
    exporter.refresh_missing_consents().await?;
    // On a terminal a bar shows it.
    let report: Option<fn(u64)> = if std::io::stderr().is_terminal() { None } else { Some(print_progress) };
    let progress = Arc::new(ExportProgress { report, ..ExportProgress::default() });
    let display = show_progress(&progress);
    let report = exporter.drain(patient, &progress).await;
    drop(display);
    let mut report = report?;
    if let Some(report) = &mut report {
        let now = session.clock.now();
        report.held_back = store.read(move |db| outbox::count_held_back(db, patient, now)).await?;
        // Here people want to know all that waits, also from earlier exports.
        let waiting = store.read(move |db| outbox::count_by_state(db, VisibleTo::Everybody, patient)).await?;
        report.consent = waiting.consent.unsigned_abs();
        report.configuration = waiting.configuration.unsigned_abs();
        if store.read(restored::find_last_restore).await?.is_some_and(|at| now < at.plus(READ_FIRST)) {
            report.unread_since_restore = store.read(restored::count_unread).await?;
        }
    }
    match report {
        report if arguments.json => {
            print_json(&document(report.as_ref(), queued))?;
            Ok(report.as_ref().map_or(0, exit_code))
        }
        None => print_line("export skipped: another process is exporting").map(|()| 0),
        Some(report) => print_report(&report),
    }
}

/// Queues observations as the options say. Returns their number; none without such an option.
async fn queue(
    session: &Session,
    store: &Store,
    arguments: &Arguments,
    patient: Option<PatientId>,
) -> Result<Option<usize>, Failure> {
    let (all, retry, now) = (arguments.all, arguments.retry_dead, session.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let mut queued = 0;
        outbox::retry_configuration(db, patient, now)?;
        if all {
            for one in jhe_consent::list_linked(db, patient)? {
                queued += enqueue::requeue_all(db, one.patient, now)?;
            }
            audit::record(db, now, Actor::CommandLine, "export.all", patient, "")?;
        }
        if retry {
            queued += outbox::retry_refused(db, patient, Timestamp::MIN, now)?;
            audit::record(db, now, Actor::CommandLine, "export.retry-dead", patient, "")?;
        }
        Ok(queued)
    };
    let queued = store.write(write).await?;
    Ok((all || retry).then_some(queued))
}

/// Renders the report; none where another process was exporting.
fn document(report: Option<&ExportReport>, queued: Option<usize>) -> Value {
    let Some(report) = report else { return json!({ "skipped": true, "queued": queued }) };
    let unread = |(id, why): &FailedRefresh| json!({ "patient": id.get(), "error": why.to_string() });
    let held_back = report.held_back;
    json!({
        "skipped": false,
        "queued": queued,
        "delivered": report.delivered,
        "consent": report.consent,
        "configuration": report.configuration,
        "dead": report.dead,
        "again": report.retried,
        "still": held_back.map(|held| json!({ "count": held.count, "next": held.next.to_string() })),
        "unread": report.unread.iter().map(unread).collect::<Vec<_>>(),
        "stopped": report.stopped.as_ref().map(ToString::to_string),
    })
}

fn exit_code(report: &ExportReport) -> u8 {
    match report {
        ExportReport { stopped: Some(_), .. } => EXIT_FAILED,
        ExportReport { unread, dead: 0, .. } if unread.is_empty() => 0,
        _ => EXIT_PARTIAL,
    }
}

fn print_report(report: &ExportReport) -> Result<u8, Failure> {
    for (patient, error) in &report.unread {
        eprintln!(
            "patient {patient}: nothing was sent, as the consents could not be read: {}",
            VisibleLine(error)
        );
    }
    print_line(report.sentence())?;
    if let Some(error) = &report.stopped {
        eprintln!("export stopped early: {}", VisibleLine(error));
    }
    Ok(exit_code(report))
}

fn print_progress(processed: u64) {
    eprintln!("{processed} observations processed so far");
}

fn show_progress(progress: &Arc<ExportProgress>) -> ProgressDisplay {
    let progress = Arc::clone(progress);
    ProgressDisplay::start(
        ProgressBar::new_spinner(),
        "{spinner} {pos} observations processed, {per_sec}",
        move |bar| bar.set_position(progress.processed()),
    )
}
