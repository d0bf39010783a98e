//! Checks the work itself: the module switch, the lock, the last tick, patients, the outbox, alerts, and the
//! audit.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::app::readiness;
use crate::common::counted::counted;
use crate::common::time::{Timestamp, format_duration};
use crate::config::{alerts::Alerts, settings::Settings};
use crate::doctor::finding::{Finding, is_raw_mode, render_length};
use crate::doctor::store::OpenStore;
use crate::model::consent_standing::ConsentStanding;
use crate::model::silence::{Silence, SilenceCause};
use crate::model::{account::VisibleTo, alert::Channel, catalog::code::HEART_RATE};
use crate::model::{export_health::ProblemStatus, patient::PatientId};
use crate::store::operations::patient_status::{self, Freshness};
use crate::store::operations::poll_plan::{self, NotPolled};
use crate::store::operations::tick_lock::{self, LockStatus};
use crate::store::operations::{alert_queue, run_history, silence};
use crate::store::people::{mail, reminder};
use crate::store::privacy::restored;
use crate::store::samples::{code, sample_offsets};
use crate::store::{error::StoreError, outbox::outbox, privacy::audit_chain};

/// The remedy for patients in error.
const ERRORS_REMEDY: &str = "jhe-ow poll says which and why, and so do their pages";
/// A correction of the clock between the last tick and this check may be this large.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);
/// A mail that waits for longer has met several refusals.
const MAILS_WAIT: Duration = Duration::from_hours(1);
/// At most this many patients are listed by number.
const MAX_LISTED: usize = 10;

pub(crate) fn check(opened: &OpenStore, directory: &Path, alerts: &Alerts, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![check_module(&opened.settings), check_mode(&opened.settings)];
    if !opened.is_current {
        findings.push(Finding::skipped("data.schema", "the rest is not checked until the schema is current"));
        return findings;
    }
    let lock = tick_lock::inspect(&opened.db, directory, now);
    // A running tick is visible by its lock only, and delays the next one for as long as it runs.
    let is_ticking = matches!(lock, Ok(LockStatus::Held { by_tick: true, .. }));
    let checks: [(&'static str, Result<Vec<Finding>, StoreError>); 10] = [
        ("data.restored", check_restored(opened)),
        ("data.code", check_code(opened).map(|finding| vec![finding])),
        ("data.lock", lock.map(|status| vec![report_lock(&status)])),
        ("data.tick", check_last_tick(opened, is_ticking, now)),
        ("data.samples", check_samples(opened, now)),
        ("data.export", check_export(opened, now)),
        ("data.alerts", check_alerts(opened, alerts, now)),
        ("data.mails", check_mails(opened, alerts, now)),
        ("data.audit", check_audit(opened).map(|finding| vec![finding])),
        ("data.rejected", check_rejected(opened).map(|finding| vec![finding])),
    ];
    for (check, result) in checks {
        findings.extend(result.unwrap_or_else(|error| {
            vec![Finding::stops(
                check,
                format!("it could not be read: {error}"),
                "see the findings about the store",
            )]
        }));
    }
    findings
}

/// Reports consents that a restore has suspended.
fn check_restored(opened: &OpenStore) -> Result<Vec<Finding>, StoreError> {
    Ok(match restored::count_suspended(&opened.db)? {
        0 => Vec::new(),
        patients => vec![Finding::warning(
            "data.restored",
            format!(
                "a backup was restored, and the consents of {} are suspended: a withdrawal since the \
                 backup may be lost",
                counted(patients, "patient")
            ),
            "confirm them on the page /admin/restored, or jhe-ow restore --confirm-consents",
        )],
    })
}

fn check_module(settings: &Settings) -> Finding {
    if settings.is_on() {
        return Finding::ok("data.module", "polls are switched on (module.ow=true)");
    }
    Finding::stops(
        "data.module",
        "polls are switched off (module.ow=false)",
        "jhe-ow settings set module.ow true",
    )
}

fn check_mode(settings: &Settings) -> Finding {
    match settings.ingest_mode() {
        Ok(mode) => {
            let source = if is_raw_mode(settings) { "the bucket of raw payloads" } else { "OW's API" };
            let message = format!("samples come in from {source} (ow.ingest_mode={})", mode.as_str());
            Finding::ok("data.mode", message)
        }
        Err(unknown) => Finding::stops(
            "data.mode",
            format!("unknown ow.ingest_mode '{unknown}'"),
            "jhe-ow settings set ow.ingest_mode normalized",
        ),
    }
}

fn check_code(opened: &OpenStore) -> Result<Finding, StoreError> {
    if code::find(&opened.db, HEART_RATE)?.is_some() {
        return Ok(Finding::ok("data.code", "codes and data sources are seeded"));
    }
    let message = format!("CodeableConcept '{HEART_RATE}' not found. Run seed first.");
    Ok(Finding::stops("data.code", message, "jhe-ow seed"))
}

fn report_lock(status: &LockStatus) -> Finding {
    let clear = format!("jhe-ow settings set {} \"\"", tick_lock::KEY);
    match status {
        LockStatus::Free => Finding::ok("data.lock", "no tick is under way"),
        LockStatus::Held { since, by_tick } => {
            let run = if *by_tick { "tick" } else { "backfill" };
            let message =
                format!("a {run} is under way in a live process, which renewed the lock at {since}");
            Finding::ok("data.lock", message)
        }
        LockStatus::SetByHand(since) => Finding::warning(
            "data.lock",
            format!(
                "{} since {since}, but no process holds it: ticks are skipped until it is {} old",
                tick_lock::KEY,
                render_length(tick_lock::STALE_AFTER)
            ),
            clear,
        ),
        LockStatus::Abandoned(reason) => {
            Finding::warning("data.lock", reason, format!("the next tick reclaims it; or at once: {clear}"))
        }
    }
}

fn check_last_tick(opened: &OpenStore, is_ticking: bool, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let Some(last) = run_history::find_last_tick(&opened.db)? else {
        return Ok(vec![if is_ticking {
            Finding::ok("data.tick", "the first tick is under way")
        } else {
            let remedy = "jhe-ow serve polls, and so does jhe-ow poll";
            Finding::warning("data.tick", "no tick has ended yet", remedy)
        }]);
    };
    let ended = last.ended.unwrap_or(last.started);
    let mut findings = vec![report_age(ended, &opened.settings, is_ticking, now)];
    let outcome = last.outcome.unwrap_or_default();
    if !outcome.starts_with("OW poll complete") {
        findings.push(Finding::warning(
            "data.outcome",
            format!("the last tick was stopped: {outcome}"),
            "fix the findings above, then try: jhe-ow poll",
        ));
    } else if last.failed > 0 {
        // A patient whose consent JHE did not confirm has failed without being among the patients polled.
        let patients = counted(last.patients.max(last.failed), "patient");
        findings.push(Finding::warning(
            "data.outcome",
            format!("in error in the last tick: {} of {patients}", last.failed),
            ERRORS_REMEDY,
        ));
    }
    Ok(findings)
}

/// Reports when the last tick ended, and whether the next one is overdue.
fn report_age(ended: Timestamp, settings: &Settings, is_ticking: bool, now: Timestamp) -> Finding {
    let (age, interval) = (now.since(ended), settings.poll_interval());
    let every = format_duration(interval);
    if ended.since(now) > CLOCK_TOLERANCE {
        return Finding::warning(
            "data.tick",
            format!(
                "the last tick ended in the future, at {ended}: this machine's clock was ahead then, or is \
                 behind now"
            ),
            "check the clock (timedatectl), and that a tick ends: jhe-ow poll",
        );
    }
    let message = format!("the last tick ended {} ago", render_length(age));
    let is_overdue = settings.is_on() && readiness::is_overdue(age, interval);
    match (is_overdue, is_ticking) {
        (true, false) => Finding::stops(
            "data.tick",
            format!("{message}, at {ended}; one is due every {every}"),
            "check that the daemon runs (systemctl status jhe-ow, jhe-ow ready), and see its log",
        ),
        (true, true) => Finding::ok("data.tick", format!("{message}, and the next one is under way")),
        (false, _) => Finding::ok("data.tick", format!("{message}; one is due every {every}")),
    }
}

fn check_samples(opened: &OpenStore, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let freshness = patient_status::find_freshness(&opened.db, now)?;
    let without = describe_without_consent(&poll_plan::list_not_polled(&opened.db, None, now)?);
    let mut findings = vec![report_freshness(&freshness, &without, now)];
    // In raw mode an error may concern one payload among many that were read.
    if freshness.polled > 0 && freshness.in_error == freshness.polled && !is_raw_mode(&opened.settings) {
        let patients = counted(freshness.in_error, "patient");
        let message = format!("all patients that are polled were in error the last time: {patients}");
        findings.push(Finding::stops("data.errors", message, ERRORS_REMEDY));
    }
    let after = opened.settings.silence_after();
    findings.extend(report_silent(&silence::list(&opened.db, VisibleTo::Everybody, after, now)?, after));
    let contradicting = sample_offsets::list_contradicting(&opened.db)?;
    if !contradicting.is_empty() {
        findings.push(Finding::warning(
            "data.time_zones",
            format!(
                "the samples of three days carry another local time than the time zone of {}",
                render_patients(&contradicting)
            ),
            "correct the time zone on the patient's page, or jhe-ow patient set N --tz ZONE",
        ));
    }
    let unknown = patient_status::list_needing_relink(&opened.db)?;
    if !unknown.is_empty() {
        findings.push(Finding::warning(
            "data.links",
            format!("OW no longer knows the users who are linked to: {}", render_patients(&unknown)),
            "link them again: jhe-ow patient link N --ow-user UUID, or let them connect again: jhe-ow invite",
        ));
    }
    Ok(findings)
}

/// Counts the linked patients who are not polled: those who withdrew, have not answered, or have completed their studies.
fn describe_without_consent(not_polled: &[(PatientId, NotPolled)]) -> String {
    let count = |wanted: ConsentStanding| {
        let standing = |reason: &NotPolled| match *reason {
            NotPolled::NoConsent(standing) | NotPolled::NoConsentAtJhe(standing) => Some(standing),
            NotPolled::NoLink | NotPolled::NeedsRelink | NotPolled::NotBegun => None,
        };
        not_polled.iter().filter(|(_, reason)| standing(reason) == Some(wanted)).count()
    };
    [
        ("; withdrew or declined", count(ConsentStanding::Withdrawn)),
        ("; linked and not answered yet", count(ConsentStanding::NeverGiven)),
        ("; completed", count(ConsentStanding::Completed)),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(label, count)| format!("{label}: {count}"))
    .collect::<Vec<_>>()
    .concat()
}

fn report_freshness(freshness: &Freshness, without_consent: &str, now: Timestamp) -> Finding {
    if freshness.patients == 0 {
        let remedy = "invite the first one: jhe-ow invite, or the page of patients";
        let message = format!("no patient is linked and has consented{without_consent}");
        return Finding::warning("data.samples", message, remedy);
    }
    let patients = counted(freshness.patients, "patient");
    let newest = freshness.newest.map_or_else(String::new, |at| {
        format!("; the newest sample is {} old", render_length(now.since(at)))
    });
    Finding::ok("data.samples", format!("linked and with consent: {patients}{newest}{without_consent}"))
}

/// Checks for mails to patients that wait. Nothing is said where no study needs mail.
fn check_mails(opened: &OpenStore, alerts: &Alerts, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let (waiting, oldest) = mail::count_waiting(&opened.db)?;
    let needs_mail = waiting > 0 || !reminder::list_rules(&opened.db)?.is_empty();
    let mails = counted(waiting, "mail");
    let late = oldest.filter(|oldest| now.since(*oldest) > MAILS_WAIT);
    Ok(match (needs_mail, &alerts.mail, late) {
        (false, ..) => Vec::new(),
        (true, None, _) => vec![Finding::warning(
            "data.mails",
            format!("studies need mail, and no mail server is configured; {mails} to patients wait"),
            "set alerts.smtp_url and alerts.mail_from in jhe-ow.toml",
        )],
        (true, Some(server), Some(oldest)) => vec![Finding::warning(
            "data.mails",
            format!(
                "{mails} to patients wait for {}, the first for {}",
                server.host,
                render_length(now.since(oldest))
            ),
            "the pages of the patients show the mail server's answer; jhe-ow alerts test tries the server",
        )],
        (true, Some(server), None) => {
            vec![Finding::ok("data.mails", format!("mails to patients go out through {}", server.host))]
        }
    })
}

/// Checks for alerts that could not be sent, on each configured channel.
fn check_alerts(opened: &OpenStore, alerts: &Alerts, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let to: Vec<String> = alerts.mail.iter().flat_map(|mail| &mail.to).map(ToString::to_string).collect();
    let webhook = alerts.webhook.is_some().then(|| (Channel::Webhook, "the webhook".to_owned()));
    let mail = (!to.is_empty()).then(|| (Channel::Mail, format!("mail to {}", to.join(", "))));
    let failed = alert_queue::list_failed(&opened.db)?;
    let mut findings = Vec::new();
    for (channel, name) in webhook.into_iter().chain(mail) {
        findings.push(match failed.iter().find(|failed| failed.channel == channel.as_str()) {
            None => Finding::ok("data.alerts", format!("alerts go out by {name}")),
            Some(failed) => Finding::warning(
                "data.alerts",
                format!(
                    "{} could not be sent by {name} since {}, {} ago: {}",
                    counted(failed.alerts, "alert"),
                    failed.since,
                    render_length(now.since(failed.since)),
                    failed.error
                ),
                "fix that, then try: jhe-ow alerts test",
            ),
        });
    }
    if findings.is_empty() {
        let message = "no alerts are sent: neither alerts.webhook nor alerts.smtp_url is set";
        findings.push(Finding::skipped("data.alerts", message));
    }
    Ok(findings)
}

/// Reports silent patients, grouped by the likely cause.
fn report_silent(silent: &BTreeMap<PatientId, Silence>, after: Duration) -> Vec<Finding> {
    let report = |cause: SilenceCause| {
        let with_cause = silent.iter().filter(|(_, silence)| silence.cause == cause);
        let patients: Vec<PatientId> = with_cause.map(|(patient, _)| *patient).collect();
        let (after, patients) = (render_length(after), render_patients(&patients));
        let message = format!("no data for more than {after} from {patients} ({})", cause.label());
        Finding::warning("data.silent", message, cause.remedy())
    };
    silence::count_by_cause(silent).into_keys().map(report).collect()
}

/// Renders patients by their numbers.
fn render_patients(patients: &[PatientId]) -> String {
    let numbers: Vec<String> = patients.iter().take(MAX_LISTED).map(ToString::to_string).collect();
    let more = match patients.len().saturating_sub(MAX_LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("patient {}{more}", numbers.join(", "))
}

fn check_export(opened: &OpenStore, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let counts = outbox::count_by_state(&opened.db, VisibleTo::Everybody, None)?;
    let mut findings = Vec::new();
    if counts.configuration > 0 {
        let observations = counted(counts.configuration, "observation");
        findings.push(Finding::stops(
            "data.held",
            format!("parked until something is fixed at JHE: {observations}"),
            "fix the findings about JHE above; the patients' pages show JHE's answers; delivery is tried \
             again hourly",
        ));
    }
    if counts.suspect > 0 {
        findings.push(Finding::warning(
            "data.suspect",
            format!(
                "refused by JHE for a day, for a reason that this program does not know: {}",
                counted(counts.suspect, "observation")
            ),
            "read JHE's answers on the patients' pages, and its log; then: jhe-ow export --retry-dead",
        ));
    }
    if counts.dead > 0 {
        findings.push(Finding::warning(
            "data.dead",
            format!("rejected by JHE: {}", counted(counts.dead, "observation")),
            "read JHE's answers on the patients' pages, fix the cause, then: jhe-ow export --retry-dead",
        ));
    }
    if counts.consent > 0 {
        let observations = counted(counts.consent, "observation");
        findings.push(Finding::ok("data.parked", format!("parked without consent: {observations}")));
    }
    let held_back = outbox::count_held_back(&opened.db, None, now)?;
    if let Some(held_back) = held_back {
        findings.push(Finding::ok("data.still", held_back.to_string()));
    }
    let health = outbox::find_health(&opened.db, now)?;
    let Some(oldest) = health.oldest_due else {
        let what = if held_back.is_some() { "nothing else" } else { "nothing" };
        findings.push(Finding::ok("data.export", format!("{what} waits to be sent to JHE")));
        return Ok(findings);
    };
    let due = counts.pending - held_back.map_or(0, |held_back| held_back.count);
    let message = format!("waiting to be sent to JHE: {}", counted(due, "observation"));
    findings.push(if matches!(health.overdue(now), ProblemStatus::Active(_)) {
        Finding::stops(
            "data.export",
            format!("{message}, overdue for {}", render_length(now.since(oldest))),
            "check that the daemon runs, and see the findings about JHE above; or send now: jhe-ow export",
        )
    } else {
        Finding::ok("data.export", message)
    });
    Ok(findings)
}

fn check_audit(opened: &OpenStore) -> Result<Finding, StoreError> {
    let verdict = audit_chain::verify(&opened.db, None)?;
    Ok(match verdict.broken {
        None => {
            let entries = if verdict.entries == 1 { "entry" } else { "entries" };
            Finding::ok("data.audit", format!("the audit is unbroken ({} {entries})", verdict.entries))
        }
        Some(broken) => Finding::warning(
            "data.audit",
            format!("the audit is broken: {broken}"),
            "another program changed the database: find out which, and compare with a backup (jhe-ow audit \
             verify)",
        ),
    })
}

fn check_rejected(opened: &OpenStore) -> Result<Finding, StoreError> {
    Ok(match patient_status::count_rejected(&opened.db)? {
        (0, _) => Finding::ok("data.rejected", "no sample was rejected"),
        (samples, patients) => Finding::warning(
            "data.rejected",
            format!("not converted: {} of {}", counted(samples, "sample"), counted(patients, "patient")),
            "jhe-ow rejected list shows the reason for each",
        ),
    })
}
