//! `jhe-ow export`: what waits for JHE, now.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::app::session::Session;
use crate::cli::patient_match;
use crate::common::failure::{EXIT_FAILED, EXIT_PARTIAL, Failure};
use crate::common::stdout::{say, say_json};
use crate::daemon::signals;
use crate::export::exporter::{Exporter, Progress, Report};
use crate::jhe::client::Jhe;
use crate::model::account::Actor;
use crate::model::patient::{PatientId, PatientRef};
use crate::store::engine::store::Store;
use crate::store::outbox::{enqueue, outbox};
use crate::store::people::{jhe_consent, patient};
use crate::store::privacy::audit;

/// How often the progress is drawn.
const REDRAW: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Queue once more what JHE would not have
    #[arg(long)]
    retry_dead: bool,
    /// Queue everything that is kept of JHE's patients: once, after standing alone; asks who is whom at JHE
    #[arg(long)]
    all: bool,
    /// One JSON document
    #[arg(long, conflicts_with = "all")]
    json: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let jhe = Jhe::of(&session.config)?.ok_or_else(|| {
        Failure::usage("there is no JHE to export to", "set JHE_BASE_URL and JHE_CLIENT_KEY")
    })?;
    let store = session.store()?;
    let who = arguments.patient_id;
    let patient = store.read(move |db| who.map(|who| patient::find(db, who)).transpose()).await?;
    let patient = patient.map(|patient| patient.id);
    if arguments.all {
        patient_match::offer(session, &store, &jhe, patient).await?;
    }
    let queued = queue(session, &store, &arguments, patient).await?;
    if let (Some(queued), false) = (queued, arguments.json) {
        say(format_args!("Queued {queued} observations."))?;
    }
    let cancel = CancellationToken::new();
    signals::cancel_on_signal(&cancel)?;
    let exporter = Exporter { store: store.clone(), clock: session.clock.clone(), jhe, cancel };
    exporter.look_for_consent().await?;
    let progress = Arc::new(Progress::default());
    let drawing = draw(&progress);
    let report = exporter.drain(patient, &progress).await;
    drawing.finish();
    let mut report = report?;
    if let Some(report) = &mut report {
        let now = session.clock.now();
        report.still = store.read(move |db| outbox::still(db, patient, now)).await?;
    }
    match report {
        report if arguments.json => {
            say_json(&document(report.as_ref(), queued))?;
            Ok(report.as_ref().map_or(0, code))
        }
        None => say("export skipped: another process is exporting").map(|()| 0),
        Some(report) => tell(&report),
    }
}

/// Queues what is asked for; answers how much, where anything is.
async fn queue(
    session: &Session,
    store: &Store,
    arguments: &Arguments,
    patient: Option<PatientId>,
) -> Result<Option<usize>, Failure> {
    let (all, retry, now) = (arguments.all, arguments.retry_dead, session.clock.now());
    let write = move |db: &rusqlite::Connection| {
        let mut queued = 0;
        if all {
            for one in jhe_consent::linked(db, patient)? {
                queued += enqueue::everything(db, one.patient, now)?;
            }
            audit::record(db, now, Actor::CommandLine, "export.all", patient, "")?;
        }
        if retry {
            queued += outbox::retry_dead(db, patient, now)?;
            audit::record(db, now, Actor::CommandLine, "export.retry-dead", patient, "")?;
        }
        Ok(queued)
    };
    let queued = store.write(write).await?;
    Ok((all || retry).then_some(queued))
}

/// None stands for a report where another process was at it.
fn document(report: Option<&Report>, queued: Option<usize>) -> Value {
    let Some(report) = report else { return json!({ "skipped": true, "queued": queued }) };
    let unread = report.unread.iter();
    json!({
        "skipped": false,
        "queued": queued,
        "delivered": report.delivered,
        "consent": report.consent,
        "configuration": report.configuration,
        "dead": report.dead,
        "again": report.again,
        "still": report.still.map(|still| json!({ "count": still.count, "next": still.next.to_string() })),
        "unread": unread.map(|(id, why)| json!({ "patient": id.get(), "error": why.to_string() })).collect::<Vec<_>>(),
        "stopped": report.stopped.as_ref().map(ToString::to_string),
    })
}

fn code(report: &Report) -> u8 {
    match report {
        Report { stopped: Some(_), .. } => EXIT_FAILED,
        Report { unread, dead: 0, .. } if unread.is_empty() => 0,
        _ => EXIT_PARTIAL,
    }
}

fn tell(report: &Report) -> Result<u8, Failure> {
    for (patient, error) in &report.unread {
        eprintln!("patient {patient}: nothing was sent, as the consents could not be read: {error}");
    }
    say(report.sentence())?;
    if let Some(error) = &report.stopped {
        eprintln!("export stopped early: {error}");
    }
    Ok(code(report))
}

/// A spinner with a count on a terminal; elsewhere nothing is drawn.
struct Drawing {
    bar: ProgressBar,
    task: tokio::task::JoinHandle<()>,
}

impl Drawing {
    fn finish(self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

fn draw(progress: &Arc<Progress>) -> Drawing {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} observations settled, {per_sec}") {
        bar.set_style(style);
    }
    let (progress, drawn) = (Arc::clone(progress), bar.clone());
    let task = tokio::spawn(async move {
        loop {
            drawn.set_position(progress.settled());
            tokio::time::sleep(REDRAW).await;
        }
    });
    Drawing { bar, task }
}
