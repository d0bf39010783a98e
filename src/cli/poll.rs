//! `jhe-ow poll`: one tick by hand.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use tokio_util::sync::CancellationToken;

use crate::app::session::Session;
use crate::common::failure::{EXIT_PARTIAL, Failure};
use crate::common::stdout::say;
use crate::common::time::{Timestamp, parse_duration, parse_moment, show_duration, time_zone_or_utc};
use crate::daemon::signals;
use crate::jhe::client::Jhe;
use crate::model::consent_intervals::Interval;
use crate::model::patient::PatientRef;
use crate::ow::client::PageSize;
use crate::poll::poller::{Ask, Past, Poller};
use crate::poll::progress::Progress;
use crate::poll::tick::{Outcome, Summary};
use crate::store::engine::store::Store;
use crate::store::operations::poll_plan::Idle;
use crate::store::people::patient;

/// Patients about whom OW is not asked are named one by one up to this many.
const NAMED: usize = 10;
/// How far back the past is read: wearables are not older, and each patient's years are read in slices of
/// a week.
const LONGEST_PAST: Duration = Duration::from_hours(20 * 365 * 24);
/// The same in words.
const LONGEST: &str = "20 years";
/// How often the progress bar is drawn.
const REDRAW: Duration = Duration::from_millis(200);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Read this much of the past, such as 90d; resumes where an earlier one was cut off
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "until"])]
    window: Option<String>,
    /// Read the past from this time or day on
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Read the past up to this time or day; now, where it is not given
    #[arg(long, value_name = "TIME", requires = "since")]
    until: Option<String>,
    /// Say what would be created, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let past = past(&store, &arguments, session.clock.now()).await?;
    let cancel = CancellationToken::new();
    signals::cancel_on_signal(&cancel)?;
    let poller = Poller {
        store,
        clock: session.clock.clone(),
        config: session.config.clone(),
        jhe: Jhe::of(&session.config)?,
        cancel,
        page_size: PageSize::default(),
    };
    let named = arguments.patient_id.is_some();
    let ask = Ask { patient: arguments.patient_id, past, dry_run: arguments.dry_run, ..Ask::default() };
    let progress = Arc::new(Progress::default());
    let shown = ask.past.is_some().then(|| Shown::start(&progress));
    let outcome = poller.poll(&ask, &progress).await;
    if let Some(shown) = shown {
        shown.clear();
    }
    tell(outcome?, named)
}

fn tell(outcome: Outcome, named: bool) -> Result<u8, Failure> {
    match outcome {
        Outcome::Skipped(sentence) | Outcome::Held(sentence) => say(sentence).map(|()| 0),
        Outcome::Complete(summary) => {
            tell_idle(&summary, named);
            for (patient, error) in &summary.failed {
                eprintln!("patient {patient}: {error}");
            }
            for patient in &summary.unfinished {
                eprintln!("patient {patient}: {}", Summary::UNFINISHED);
            }
            if summary.dry_run {
                for (patient, tally) in &summary.patients {
                    let (created, revised) = (tally.created, tally.revised);
                    say(format_args!("patient {patient}: would create {created}, would revise {revised}"))?;
                }
            }
            say(summary.sentence())?;
            Ok(if summary.failed.is_empty() { 0 } else { EXIT_PARTIAL })
        }
    }
}

/// Nobody is left out silently.
fn tell_idle(summary: &Summary, named: bool) {
    if summary.idle.len() > NAMED && !named {
        eprintln!("{} patients without a link or a consent were left out", summary.idle.len());
        return;
    }
    for (patient, idle) in &summary.idle {
        match idle {
            Idle::NoLink => eprintln!(
                "patient {patient} was left out: no link; jhe-ow patient link {patient} --ow-user UUID"
            ),
            Idle::NeedsRelink => eprintln!(
                "patient {patient} was left out: OW does not know the linked user; link anew: \
                 jhe-ow patient link {patient} --ow-user UUID"
            ),
            Idle::NoConsent => eprintln!(
                "patient {patient} was left out: no consent to omh:heart-rate:2.0; \
                 jhe-ow patient consent {patient} omh:heart-rate:2.0 --grant"
            ),
            Idle::NoConsentAtJhe => eprintln!(
                "patient {patient} was left out: no consent to omh:heart-rate:2.0 at JHE; have the patient agree: \
                 jhe-ow invite --patient-id {patient}"
            ),
        }
    }
}

/// A bare date is midnight where the patient lives; without a patient, in UTC.
async fn past(store: &Store, arguments: &Arguments, now: Timestamp) -> Result<Option<Past>, Failure> {
    let usage = |why: String| Failure::usage(why, "");
    if let Some(window) = &arguments.window {
        let length = parse_duration(window).map_err(usage)?;
        if length.is_zero() {
            return Err(usage(format!("--window {window} is no time at all; give one such as 90d")));
        }
        if length > LONGEST_PAST {
            return Err(usage(format!(
                "--window {window} is longer than the {LONGEST} of which there can be samples"
            )));
        }
        let range = Interval { from: now.minus(length), until: now };
        return Ok(Some(Past { asked: format!("window {}", show_duration(length)), range }));
    }
    let Some(since) = &arguments.since else { return Ok(None) };
    let who = arguments.patient_id;
    let patient = store.read(move |db| who.map(|who| patient::find(db, who)).transpose()).await?;
    let zone = patient.map_or(TimeZone::UTC, |patient| time_zone_or_utc(&patient.time_zone));
    let from = parse_moment(since, &zone).map_err(usage)?;
    if from < now.minus(LONGEST_PAST) {
        return Err(usage(format!(
            "--since {from} is further back than the {LONGEST} of which there can be samples"
        )));
    }
    let until = match &arguments.until {
        Some(until) => parse_moment(until, &zone).map_err(usage)?,
        None => now,
    };
    if from >= until {
        return Err(usage(format!("--since {from} is not before {until}; there is nothing between them")));
    }
    let end = arguments.until.as_ref().map_or_else(String::new, |_| format!(" until {until}"));
    Ok(Some(Past { asked: format!("since {from}{end}"), range: Interval { from, until } }))
}

/// A progress bar on a terminal; elsewhere it draws nothing.
struct Shown {
    bar: ProgressBar,
    drawing: tokio::task::JoinHandle<()>,
}

impl Shown {
    fn start(progress: &Arc<Progress>) -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} slices  {msg}  {eta} left") {
            bar.set_style(style);
        }
        let (progress, drawn) = (Arc::clone(progress), bar.clone());
        let drawing = tokio::spawn(async move {
            loop {
                drawn.set_length(progress.slices());
                drawn.set_position(progress.slices_done());
                drawn.set_message(format!(
                    "{} patients  {} samples",
                    progress.patients(),
                    progress.samples()
                ));
                tokio::time::sleep(REDRAW).await;
            }
        });
        Self { bar, drawing }
    }

    fn clear(self) {
        self.drawing.abort();
        self.bar.finish_and_clear();
    }
}
