//! The pages, in Maud: usable without a script, on a phone as on a desk.

use maud::{DOCTYPE, Markup, html};

use super::status::Status;
use crate::store::status::Line;
use crate::time::Timestamp;

/// How often a page that is open asks again.
const REFRESH_SECONDS: u32 = 15;

fn frame(title: &str, refresh: bool, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if refresh { meta http-equiv="refresh" content=(REFRESH_SECONDS); }
                title { (title) }
                link rel="stylesheet" href="/style.css";
            }
            body { main { (body) } }
        }
    }
}

/// For whoever is not at this machine: what this is, and nothing about anyone.
pub(super) fn stranger() -> Markup {
    frame(
        "jhe-ow",
        false,
        &html! {
            h1 { "jhe-ow" }
            p { "This service brings patients' wearable data to research, with their consent." }
            p { "If you were sent here by a study, use the link in your invitation." }
        },
    )
}

/// Something went wrong.
pub(super) fn trouble(what: &str) -> Markup {
    frame(
        "jhe-ow",
        false,
        &html! {
            h1 { "jhe-ow" }
            p.bad { (what) }
            p { a href="/" { "To the start page" } }
        },
    )
}

pub(super) fn status(status: &Status) -> Markup {
    frame(
        "jhe-ow status",
        true,
        &html! {
            header {
                h1 { "jhe-ow" }
                @if status.simulated {
                    p.note { "Demonstration: a simulated Open Wearables, simulated patients. Nothing here is real." }
                }
            }
            (summary(status))
            h2 { "Patients" }
            @if status.lines.is_empty() { (nobody()) } @else { (patients(status)) }
            @if let Some(next) = status.next {
                p { a href={ "/?after=" (next) } { "More patients" } }
            }
            footer { "Times are UTC. This page asks again every " (REFRESH_SECONDS) " seconds." }
        },
    )
}

fn summary(status: &Status) -> Markup {
    let on = status.settings.is_on();
    html! {
        dl.summary {
            div {
                dt { "Polling" }
                @if on {
                    dd.good { "on" }
                } @else {
                    dd.bad { "off: " code { "jhe-ow settings set module.ow true" } }
                }
            }
            div { dt { "Mode" } dd { (status.settings.text("ow.ingest_mode")) } }
            div { dt { "Interval" } dd { (status.settings.text("ow.poll_interval")) } }
            div {
                dt { "Tick" }
                dd { (lock(status)) }
            }
            div.wide {
                dt { "Last tick" }
                dd {
                    @match (&status.ticks.outcome, &status.last_run) {
                        (Some(outcome), _) => { (outcome) " " (ago(status.now, Some(status.ticks.last))) }
                        (None, Some(run)) => { (run.outcome.as_deref().unwrap_or("-")) " " (ago(status.now, run.ended)) }
                        (None, None) => { "no tick yet" }
                    }
                }
            }
        }
    }
}

fn lock(status: &Status) -> Markup {
    html! {
        @match (status.lock(), Timestamp::parse(status.lock())) {
            ("", _) => { "none running" }
            (_, Ok(since)) => { "running, sign of life " (ago(status.now, Some(since))) }
            (unreadable, Err(_)) => { "lock holds “" (unreadable) "”; the next tick reclaims it" }
        }
    }
}

fn nobody() -> Markup {
    html! {
        p { "There are no patients yet. Add one:" }
        pre { "jhe-ow patient add --name NAME --ow-user UUID --consent omh:heart-rate:2.0" }
    }
}

fn patients(status: &Status) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th scope="col" { "Patient" }
                    th scope="col" { "Link" }
                    th scope="col" { "Consents" }
                    th scope="col" { "Newest sample" }
                    th scope="col" { "Last tick" }
                    th scope="col" { "Samples in 24\u{a0}h" }
                    th scope="col" { "State" }
                }
            }
            tbody {
                @for line in &status.lines { (patient(status.now, line)) }
            }
        }
    }
}

fn patient(now: Timestamp, line: &Line) -> Markup {
    html! {
        tr {
            th scope="row" data-label="Patient" { (line.patient) }
            td.id data-label="Link" { (line.link.as_deref().unwrap_or("none")) }
            td data-label="Consents" { (scopes(line)) }
            td data-label="Newest sample" { (ago(now, line.newest)) }
            td data-label="Last tick" { (ago(now, line.polled)) }
            td.number data-label="Samples in 24 h" { (line.last_day) }
            td data-label="State" { (state(line)) }
        }
    }
}

fn scopes(line: &Line) -> Markup {
    html! {
        @if line.scopes.is_empty() { "none" }
        @for (code, grants) in &line.scopes {
            @let stands = grants.iter().any(|grant| grant.withdrawn.is_none());
            span.scope { (code) @if !stands { " (withdrawn)" } }
        }
    }
}

fn state(line: &Line) -> Markup {
    let consents = line.scopes.iter().any(|(_, grants)| grants.iter().any(|grant| grant.withdrawn.is_none()));
    html! {
        @if line.needs_relink {
            span.bad { "OW no longer knows this user; link the patient anew" }
        } @else if let Some(error) = &line.error {
            span.bad { (error) }
        } @else if line.link.is_none() {
            span.idle { "not polled: no link" }
        } @else if !consents {
            span.idle { "not polled: no consent" }
        } @else if line.missing > 0 {
            span.bad { "OW counts " (line.missing) " more than are kept here; see jhe-ow rejected list" }
        } @else if line.polled.is_none() {
            span.idle { "waiting for the first tick" }
        } @else {
            span.good { "well" }
        }
    }
}

/// How long ago something was, with the time itself for whoever points at it.
fn ago(now: Timestamp, at: Option<Timestamp>) -> Markup {
    let Some(at) = at else { return html! { "never" } };
    let seconds = now.since(at).as_secs();
    let text = match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    };
    html! { time datetime=(at) title=(at) { (text) } }
}
