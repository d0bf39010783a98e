//! The work itself: whether it is switched on, goes on, and what of it waits for somebody.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::app::readiness::OVERDUE;
use crate::common::time::{Timestamp, show_duration};
use crate::config::alerts::Alerts;
use crate::config::settings::Snapshot;
use crate::doctor::finding::{Finding, is_raw, length, many};
use crate::doctor::store::Opened;
use crate::model::account::Reach;
use crate::model::alert::Channel;
use crate::model::catalog::code::HEART_RATE;
use crate::model::patient::PatientId;
use crate::model::silence::Silence;
use crate::store::engine::integrity;
use crate::store::engine::integrity::Freshness;
use crate::store::error::StoreError;
use crate::store::operations::tick_lock::Standing;
use crate::store::operations::{run_history, silence, tick_lock};
use crate::store::outbox::outbox;
use crate::store::privacy::audit_chain;

/// Where somebody reads of each patient what went wrong.
const WHO_AND_WHY: &str = "jhe-ow poll says which and why, and so do their pages";
/// What waits for JHE this much longer than it had to is held up: the outbox is looked at twice a minute.
const HELD_UP: Duration = Duration::from_hours(1);
/// A clock may be put right by so much between a tick and this look.
const AHEAD: Duration = Duration::from_mins(1);
/// Patients are named one by one up to this many.
const NAMED: usize = 10;

pub(crate) fn look(opened: &Opened, directory: &Path, alerts: &Alerts, now: Timestamp) -> Vec<Finding> {
    let mut findings = vec![switch(&opened.settings), mode(&opened.settings)];
    if !opened.is_current {
        let what = "the rest is not looked at before the schema is up to date";
        findings.push(Finding::skipped("data.schema", what));
        return findings;
    }
    let standing = tick_lock::look(&opened.db, directory, now);
    // A tick that works is seen by its lock: the next one may be due for as long as it goes on.
    let is_at_work = matches!(standing, Ok(Standing::Held { by_tick: true, .. }));
    let checks: [(&'static str, Result<Vec<Finding>, StoreError>); 8] = [
        ("data.code", code(opened)),
        ("data.lock", standing.map(|standing| vec![locked(&standing)])),
        ("data.tick", tick(opened, is_at_work, now)),
        ("data.samples", samples(opened, now)),
        ("data.export", export(opened, now)),
        ("data.alerts", told(opened, alerts, now)),
        ("data.audit", audit(opened)),
        ("data.rejected", rejected(opened)),
    ];
    for (check, found) in checks {
        match found {
            Ok(found) => findings.extend(found),
            Err(error) => {
                let what = format!("it could not be read: {error}");
                findings.push(Finding::stops(check, what, "see what is said of the store"));
            }
        }
    }
    findings
}

fn switch(settings: &Snapshot) -> Finding {
    if settings.is_on() {
        return Finding::ok("data.module", "polls are switched on (module.ow=true)");
    }
    Finding::stops(
        "data.module",
        "polls are switched off (module.ow=false)",
        "jhe-ow settings set module.ow true",
    )
}

fn mode(settings: &Snapshot) -> Finding {
    match settings.ingest_mode() {
        Ok(mode) => {
            Finding::ok("data.mode", format!("samples come in from {}", mode_said(settings, mode.as_str())))
        }
        Err(unknown) => Finding::stops(
            "data.mode",
            format!("unknown ow.ingest_mode '{unknown}'"),
            "jhe-ow settings set ow.ingest_mode normalized",
        ),
    }
}

fn mode_said(settings: &Snapshot, mode: &str) -> String {
    let from = if is_raw(settings) { "the bucket of raw payloads" } else { "OW's API" };
    format!("{from} (ow.ingest_mode={mode})")
}

fn code(opened: &Opened) -> Result<Vec<Finding>, StoreError> {
    if integrity::has_code(&opened.db, HEART_RATE)? {
        return Ok(vec![Finding::ok("data.code", "codes and data sources are seeded")]);
    }
    let what = format!("CodeableConcept '{HEART_RATE}' not found. Run seed first.");
    Ok(vec![Finding::stops("data.code", what, "jhe-ow seed")])
}

fn locked(standing: &Standing) -> Finding {
    match standing {
        Standing::Free => Finding::ok("data.lock", "no tick is under way"),
        Standing::Held { since, by_tick } => {
            let who = if *by_tick { "tick" } else { "backfill" };
            Finding::ok(
                "data.lock",
                format!("a {who} is under way, by a process that lives; it gave a sign at {since}"),
            )
        }
        Standing::ByHand(since) => Finding::warning(
            "data.lock",
            format!(
                "{} since {since}, and no process of ours holds it: ticks step aside until it is {} old",
                tick_lock::KEY,
                length(tick_lock::STALE)
            ),
            format!("jhe-ow settings set {} \"\"", tick_lock::KEY),
        ),
        Standing::LeftBehind(why) => Finding::warning(
            "data.lock",
            why,
            format!("the next tick reclaims it; or at once: jhe-ow settings set {} \"\"", tick_lock::KEY),
        ),
    }
}

fn tick(opened: &Opened, is_at_work: bool, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let Some(last) = run_history::last(&opened.db)? else {
        let next = "jhe-ow serve polls, and so does jhe-ow poll";
        return Ok(vec![if is_at_work {
            Finding::ok("data.tick", "the first tick is under way")
        } else {
            Finding::warning("data.tick", "no tick has ended yet", next)
        }]);
    };
    let mut findings = vec![ended(last.ended.unwrap_or(last.started), &opened.settings, is_at_work, now)];
    let outcome = last.outcome.unwrap_or_default();
    if !outcome.starts_with("OW poll complete") {
        findings.push(Finding::warning(
            "data.outcome",
            format!("the last tick was stopped: {outcome}"),
            "mend what is said above, and see it go through: jhe-ow poll",
        ));
    } else if last.failed > 0 {
        findings.push(Finding::warning(
            "data.outcome",
            // Those of whom JHE did not say whether they consent were not even read.
            format!(
                "in error in the last tick: {} of {}",
                last.failed,
                many(last.patients.max(last.failed), "patient")
            ),
            WHO_AND_WHY,
        ));
    }
    Ok(findings)
}

/// When a tick ended last, and whether another one is due.
fn ended(ended: Timestamp, settings: &Snapshot, is_at_work: bool, now: Timestamp) -> Finding {
    let (age, interval) = (now.since(ended), settings.poll_interval());
    let every = show_duration(interval);
    if ended.since(now) > AHEAD {
        return Finding::warning(
            "data.tick",
            format!(
                "the last tick ended in the future, at {ended}: this machine's clock was ahead then, or is behind now"
            ),
            "see that the clock is right (timedatectl), and that a tick ends: jhe-ow poll",
        );
    }
    let what = format!("the last tick ended {} ago", length(age));
    let is_overdue = settings.is_on() && age > interval * OVERDUE;
    match (is_overdue, is_at_work) {
        (true, false) => Finding::stops(
            "data.tick",
            format!("{what}, at {ended}; one is due every {every}"),
            "see that the daemon runs (systemctl status jhe-ow, jhe-ow ready), and its log",
        ),
        (true, true) => Finding::ok("data.tick", format!("{what}, and the next one is under way")),
        (false, _) => Finding::ok("data.tick", format!("{what}; one is due every {every}")),
    }
}

fn samples(opened: &Opened, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let found = integrity::freshness(&opened.db)?;
    let mut findings = vec![fresh(&found, now)];
    // In raw mode an error may be about one payload among many that were read.
    if found.read > 0 && found.in_error == found.read && !is_raw(&opened.settings) {
        findings.push(Finding::stops(
            "data.errors",
            format!("all who are read were in error the last time: {}", many(found.in_error, "patient")),
            WHO_AND_WHY,
        ));
    }
    let after = opened.settings.silence_after();
    findings.extend(silent(&silence::all(&opened.db, Reach::Everybody, after, now)?, after));
    let gone = integrity::to_be_relinked(&opened.db)?;
    if !gone.is_empty() {
        findings.push(Finding::warning(
            "data.links",
            format!("OW no longer knows the users who are linked to: {}", named(&gone)),
            "link them anew: jhe-ow patient link N --ow-user UUID, or have them connect again: jhe-ow invite",
        ));
    }
    Ok(findings)
}

fn fresh(found: &Freshness, now: Timestamp) -> Finding {
    let newest = found.newest.map(|at| format!("; the newest sample is {} old", length(now.since(at))));
    let what = format!(
        "linked and with a consent: {}{}",
        many(found.patients, "patient"),
        newest.unwrap_or_default()
    );
    if found.patients == 0 {
        let next = "invite the first one: jhe-ow invite, or the page of patients";
        return Finding::warning("data.samples", "no patient is linked and consents", next);
    }
    Finding::ok("data.samples", what)
}

/// Where alerts go, and what could not be told there.
fn told(opened: &Opened, alerts: &Alerts, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let to: Vec<String> = alerts.mail.iter().flat_map(|mail| &mail.to).map(ToString::to_string).collect();
    let webhook = alerts.webhook.is_some().then(|| (Channel::Webhook, "the webhook".to_owned()));
    let mail = alerts.mail.is_some().then(|| (Channel::Mail, format!("mail to {}", to.join(", "))));
    let channels: Vec<(Channel, String)> = webhook.into_iter().chain(mail).collect();
    if channels.is_empty() {
        let what = "no alerts are sent: neither alerts.webhook nor alerts.smtp_url is set";
        return Ok(vec![Finding::skipped("data.alerts", what)]);
    }
    let mut findings = Vec::new();
    for (channel, name) in channels {
        findings.push(match integrity::untold(&opened.db, channel)? {
            None => Finding::ok("data.alerts", format!("alerts go out by {name}")),
            Some(untold) => Finding::warning(
                "data.alerts",
                format!(
                    "to be told by {name} {} {}, since {}, {} ago: {}",
                    if untold.alerts == 1 { "waits" } else { "wait" },
                    many(untold.alerts, "alert"),
                    untold.since,
                    length(now.since(untold.since)),
                    untold.error
                ),
                "mend that, then try it: jhe-ow alerts test",
            ),
        });
    }
    Ok(findings)
}

/// Who is silent, by the likely cause.
fn silent(silent: &BTreeMap<PatientId, Silence>, after: Duration) -> Vec<Finding> {
    let causes = silence::by_cause(silent).into_keys();
    let told = causes.map(|cause| {
        let whose = silent.iter().filter(|(_, silence)| silence.cause == cause);
        let whose: Vec<PatientId> = whose.map(|(patient, _)| *patient).collect();
        let what =
            format!("nothing for more than {} of: {} ({})", length(after), named(&whose), cause.words());
        Finding::warning("data.silent", what, cause.next())
    });
    told.collect()
}

/// Patients by their numbers.
fn named(patients: &[PatientId]) -> String {
    let numbers: Vec<String> = patients.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match patients.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("patient {}{more}", numbers.join(", "))
}

fn export(opened: &Opened, now: Timestamp) -> Result<Vec<Finding>, StoreError> {
    let counts = outbox::counts(&opened.db, None)?;
    let mut findings = Vec::new();
    if counts.configuration > 0 {
        findings.push(Finding::stops(
            "data.held",
            format!("until something is mended at JHE wait {}", many(counts.configuration, "observation")),
            "mend what is said of JHE above; their patients' pages have its words; it is tried again hourly",
        ));
    }
    if counts.dead > 0 {
        findings.push(Finding::warning(
            "data.dead",
            format!("JHE refuses {} for good", many(counts.dead, "observation")),
            "read its words on their patients' pages, mend it, then: jhe-ow export --retry-dead",
        ));
    }
    if counts.consent > 0 {
        let what = format!("for consent to return wait {}", many(counts.consent, "observation"));
        findings.push(Finding::ok("data.parked", what));
    }
    let still = outbox::still(&opened.db, None, now)?;
    if let Some(still) = still {
        findings.push(Finding::ok("data.still", still.to_string()));
    }
    let Some(since) = outbox::oldest(&opened.db, now)? else {
        let what = if still.is_some() {
            "nothing else waits to be sent to JHE"
        } else {
            "nothing waits to be sent to JHE"
        };
        findings.push(Finding::ok("data.export", what));
        return Ok(findings);
    };
    let late = now.since(since);
    let due = counts.pending - still.map_or(0, |still| still.count);
    let what = format!("to be sent to JHE wait {}", many(due, "observation"));
    findings.push(if late > HELD_UP {
        let next = "see that the daemon runs and what is said of JHE above; or send it now: jhe-ow export";
        Finding::stops("data.export", format!("{what}, overdue for {}", length(late)), next)
    } else {
        Finding::ok("data.export", what)
    });
    Ok(findings)
}

fn audit(opened: &Opened) -> Result<Vec<Finding>, StoreError> {
    let verdict = audit_chain::verify(&opened.db, None)?;
    Ok(vec![match verdict.broken {
        None => Finding::ok(
            "data.audit",
            format!(
                "the audit is whole ({})",
                if verdict.entries == 1 {
                    "1 entry".to_owned()
                } else {
                    format!("{} entries", verdict.entries)
                }
            ),
        ),
        Some(broken) => Finding::warning(
            "data.audit",
            format!("the audit is broken: {broken}"),
            "somebody changed the database by other means: find out who, and compare with a backup (jhe-ow audit verify)",
        ),
    }])
}

fn rejected(opened: &Opened) -> Result<Vec<Finding>, StoreError> {
    Ok(vec![match integrity::rejected(&opened.db)? {
        (0, _) => Finding::ok("data.rejected", "every sample that came could be converted"),
        (samples, patients) => Finding::warning(
            "data.rejected",
            format!("not converted: {} of {}", many(samples, "sample"), many(patients, "patient")),
            "jhe-ow rejected list says why of each",
        ),
    }])
}
