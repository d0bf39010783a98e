//! `jhe-ow poll`: runs one tick or a backfill.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use jiff::tz::TimeZone;

use crate::app::session::{Session, find_optional};
use crate::cli::progress_display::ProgressDisplay;
use crate::common::counted::counted;
use crate::common::failure::{EXIT_PARTIAL, Failure};
use crate::common::stdout::print_line;
use crate::common::time::{Timestamp, format_duration, parse_duration, parse_instant, time_zone_or_utc};
use crate::common::visible::VisibleLine;
use crate::daemon::signals;
use crate::jhe::client::Jhe;
use crate::model::consent_standing::ConsentStanding;
use crate::model::{catalog::code::HEART_RATE, consent_intervals::Interval, patient::PatientRef};
use crate::ow::client::OwLimits;
use crate::poll::poller::{BackfillRequest, PollRequest, Poller};
use crate::poll::progress::PollProgress;
use crate::poll::tick::{PollOutcome, PollSummary};
use crate::store::{engine::store::Store, operations::poll_plan::NotPolled};

/// Up to this many patients who were not polled are listed one by one.
const MAX_LISTED: usize = 10;
/// No wearable data are older. A limit is needed, as each patient's years are read in slices of a week.
const LONGEST_BACKFILL: Duration = Duration::from_hours(20 * 365 * 24);
const LONGEST_IN_WORDS: &str = "20 years";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this patient: a number, or jhe:N
    #[arg(long, value_name = "N")]
    patient_id: Option<PatientRef>,
    /// Read this much of the past, such as 90d; resumes an earlier backfill that was cut off
    #[arg(long, value_name = "TIME", conflicts_with_all = ["since", "until"])]
    window: Option<String>,
    /// Read the past from this time or day on
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Read the past up to this time or day [default: now]
    #[arg(long, value_name = "TIME", requires = "since")]
    until: Option<String>,
    /// Print what would be created, and write nothing
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(session: &Session, arguments: Arguments) -> Result<u8, Failure> {
    let store = session.store()?;
    let backfill = backfill(&store, &arguments, session.clock.now()).await?;
    let cancel = signals::cancel_on_signal()?;
    let poller = Poller {
        store,
        clock: session.clock.clone(),
        config: session.config.clone(),
        jhe: Jhe::from_config(&session.config)?,
        cancel,
        ow_limits: OwLimits::default(),
    };
    let is_for_one = arguments.patient_id.is_some();
    let request = PollRequest {
        patient: arguments.patient_id,
        backfill,
        dry_run: arguments.dry_run,
        ..PollRequest::default()
    };
    let progress = Arc::new(PollProgress::default());
    let display = request.backfill.is_some().then(|| show_progress(&progress));
    let outcome = poller.poll(&request, &progress).await;
    drop(display);
    print_outcome(outcome?, is_for_one)
}

fn print_outcome(outcome: PollOutcome, is_for_one: bool) -> Result<u8, Failure> {
    match outcome {
        PollOutcome::Skipped(sentence) | PollOutcome::Held(sentence) => print_line(sentence).map(|()| 0),
        PollOutcome::Complete(summary) => {
            print_not_polled(&summary, is_for_one);
            for (patient, error) in &summary.failed {
                eprintln!("patient {patient}: {}", VisibleLine(error));
            }
            for patient in &summary.unfinished {
                eprintln!("patient {patient}: {}", PollSummary::UNFINISHED);
            }
            if summary.dry_run {
                for (patient, counts) in &summary.patients {
                    let (created, revised) = (counts.created, counts.revised);
                    print_line(format_args!(
                        "patient {patient}: would create {created}, would revise {revised}"
                    ))?;
                }
            }
            print_line(summary.sentence())?;
            Ok(if summary.failed.is_empty() { 0 } else { EXIT_PARTIAL })
        }
    }
}

/// Prints the patients who were left out, each with the remedy.
fn print_not_polled(summary: &PollSummary, is_for_one: bool) {
    if summary.not_polled.len() > MAX_LISTED && !is_for_one {
        eprintln!("left out, without a link or a consent: {}", counted(summary.not_polled.len(), "patient"));
        return;
    }
    for (patient, reason) in &summary.not_polled {
        let reason = match reason {
            NotPolled::NoLink => format!("no link; jhe-ow patient link {patient} --ow-user UUID"),
            NotPolled::NeedsRelink => format!(
                "OW does not know the linked user; link again: jhe-ow patient link {patient} --ow-user UUID"
            ),
            NotPolled::NoConsent(ConsentStanding::Withdrawn)
            | NotPolled::NoConsentAtJhe(ConsentStanding::Withdrawn) => {
                "the patient has withdrawn or declined every consent; invite again only if the patient asks for it"
                    .to_owned()
            }
            NotPolled::NoConsent(ConsentStanding::Completed)
            | NotPolled::NoConsentAtJhe(ConsentStanding::Completed) => {
                "the collection window of every study is over; to extend it: jhe-ow study edit".to_owned()
            }
            NotPolled::NotBegun => "the collection window of the study has not begun".to_owned(),
            NotPolled::NoConsent(ConsentStanding::Suspended) => "a restore has suspended the consents; confirm them: \
                jhe-ow restore --confirm-consents, or the page /admin/restored"
                .to_owned(),
            NotPolled::NoConsent(_) => format!(
                "no consent to {HEART_RATE}, and no answer yet; invite the patient: jhe-ow invite --patient-id {patient}"
            ),
            NotPolled::NoConsentAtJhe(_) => format!(
                "no consent to {HEART_RATE} at JHE; invite the patient: jhe-ow invite --patient-id {patient}"
            ),
        };
        eprintln!("patient {patient} was left out: {reason}");
    }
}

/// Parses the range of a backfill. A bare date is midnight where the patient lives; without a patient, in
/// UTC.
async fn backfill(
    store: &Store,
    arguments: &Arguments,
    now: Timestamp,
) -> Result<Option<BackfillRequest>, Failure> {
    let usage = |why: String| Failure::usage(why, "");
    if let Some(window) = &arguments.window {
        let length = parse_duration(window).map_err(usage)?;
        if length.is_zero() {
            return Err(usage(format!("--window {window} is empty; give a length such as 90d")));
        }
        if length > LONGEST_BACKFILL {
            return Err(usage(format!(
                "--window {window} is longer than the {LONGEST_IN_WORDS} for which samples can exist"
            )));
        }
        let range = Interval { from: now.minus(length), until: now };
        return Ok(Some(BackfillRequest { name: format!("window {}", format_duration(length)), range }));
    }
    let Some(since) = &arguments.since else { return Ok(None) };
    let patient = find_optional(store, arguments.patient_id).await?;
    let zone = patient.map_or(TimeZone::UTC, |patient| time_zone_or_utc(&patient.time_zone));
    let from = parse_instant(since, &zone).map_err(usage)?;
    if from < now.minus(LONGEST_BACKFILL) {
        return Err(usage(format!(
            "--since {from} is further back than the {LONGEST_IN_WORDS} for which samples can exist"
        )));
    }
    let until =
        arguments.until.as_ref().map_or(Ok(now), |until| parse_instant(until, &zone).map_err(usage))?;
    if from >= until {
        return Err(usage(format!("--since {from} is not before {until}; the range is empty")));
    }
    let end = arguments.until.as_ref().map_or_else(String::new, |_| format!(" until {until}"));
    Ok(Some(BackfillRequest { name: format!("since {from}{end}"), range: Interval { from, until } }))
}

fn show_progress(progress: &Arc<PollProgress>) -> ProgressDisplay {
    let progress = Arc::clone(progress);
    ProgressDisplay::start(
        ProgressBar::new(0),
        "{bar:30} {pos}/{len} slices  {msg}  {eta} left",
        move |bar| {
            bar.set_length(progress.slices.get());
            bar.set_position(progress.slices_done.get());
            bar.set_message(format!(
                "{}  {}",
                counted(progress.patients.get(), "patient"),
                counted(progress.samples.get(), "sample")
            ));
        },
    )
}
