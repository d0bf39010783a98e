//! The overview: how polling goes, and how each patient is.

use std::collections::BTreeMap;

use maud::{Markup, html};
use rusqlite::Connection;

use crate::app::daemon_status::{BackupState, TickerState};
use crate::app::device_offers;
use crate::app::enrolment_stage::{self, EnrolmentStage};
use crate::app::{offer_cache::Offer, state::App};
use crate::common::time::Timestamp;
use crate::config::settings::Settings;
use crate::model::account::{Role, VisibleTo};
use crate::model::{patient::PatientId, silence::Silence};
use crate::store::operations::alert_queue::{self, FailedAlerts};
use crate::store::operations::patient_status::{self, PatientFilter, PatientOverview};
use crate::store::operations::run_history::{self, PollRun};
use crate::store::operations::{silence, tick_lock};
use crate::store::{engine::setting, error::StoreError};
use crate::web::access::{STAFF, Staff};
use crate::web::admin::staff::{PAGE, cut, nobody_yet, note_view, page_that_renews};
use crate::web::admin::{export::Overview, payloads::Overview as Payloads};
use crate::web::chart::sparkline::sparkline;
use crate::web::chart::study_totals::{Activity, Span};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{ago, badge, count, notice, table_head};
use crate::web::route::{Route, get};
use crate::web::{request::Request, response::HandlerResult};

/// Who is silent, and why.
type Silent = BTreeMap<PatientId, Silence>;

/// Seconds until the overview shows anew how far a tick is.
const RENEWED_EVERY: u32 = 5;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin", STAFF, show)]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let now = app.clock.now();
    let reach = staff.visible_to();
    let shown = PatientFilter {
        visible_to: reach,
        after: request.query.number("after").unwrap_or(0),
        search: request.query.get("search").to_owned(),
        until: None,
        among: None,
    };
    let (wanted, span) = (shown.clone(), Span::parse(request.query.get("period")));
    let kept = app.store.read(move |db| Kept::load(db, &wanted, span, now)).await?;
    let Kept { lines, silent, untold, settings, last_run, export, payloads, activity } = kept;
    // Figures about all would tell about others.
    let is_of_all = reach == VisibleTo::Everybody;
    let live = Live::of(app, &shown, request).filter(|_| is_of_all);
    let renews = live.as_ref().and_then(Live::renews);
    if renews.is_none() || app.page_views.should_record(staff.account().id, now) {
        note_view(app, staff, "overview.view", None).await?;
    }
    let (lines, more) = cut(lines);
    let next = lines.last().filter(|_| more).map(|line| line.patient);
    let done = if request.query.get("done") == "password" { "Your password is set." } else { "" };
    let offers = if is_of_all { device_offers::list_quickly(app).await } else { None };
    let body = html! {
        h1 { "Overview" }
        (notice(done))
        @if is_of_all {
            (polling(app, &settings, &app.ticker.state(), last_run.as_ref(), staff))
            @if let Some(live) = &live { (live.section(span)) }
            (warnings(app))
            (alerts(now, &untold))
            (activity.section(app.live.jhe().is_some()))
            (export.section(app))
            (payloads.section(app, &settings))
        } @else {
            (polling_at_all(now, &settings, &app.ticker.state()))
        }
        (silences(&silent, &settings))
        div.heading {
            h2 { @if is_of_all { "Patients" } @else { "Patients of your organizations" } }
            form.search role="search" method="get" action="/admin" {
                label for="search" { "Name or number" }
                input id="search" name="search" type="search" value=(shown.search);
                button.quiet type="submit" { "Search" }
            }
        }
        @if lines.is_empty() { (nobody(&shown, staff)) } @else { (table(now, &lines, &silent)) }
        @if let Some(next) = next { p { a.button href={ "/admin?after=" (next) "&search=" (encoded(&shown.search)) } { "More patients" } } }
        @if is_of_all { (redirects(app, offers.as_deref())) }
    };
    Ok(page_that_renews(app, staff, "/admin", "Overview", &body, renews))
}

/// What the overview shows of the store: rows that are kept up anyway. It counts nothing.
struct Kept {
    lines: Vec<PatientOverview>,
    silent: Silent,
    untold: Vec<FailedAlerts>,
    settings: Settings,
    last_run: Option<PollRun>,
    export: Overview,
    payloads: Payloads,
    activity: Activity,
}

impl Kept {
    fn load(db: &Connection, shown: &PatientFilter, span: Span, now: Timestamp) -> Result<Self, StoreError> {
        let settings = setting::read_all(db)?;
        Ok(Self {
            lines: patient_status::list(db, now, shown, PAGE + 1)?,
            silent: silence::list(db, shown.visible_to, settings.silence_after(), now)?,
            untold: alert_queue::list_failed(db)?,
            settings,
            last_run: run_history::find_last_tick(db)?,
            export: Overview::load(db, now)?,
            payloads: Payloads::load(db)?,
            activity: Activity::load(db, span, now)?,
        })
    }
}

/// How far the tick is that runs now.
struct Live {
    done: i64,
    all: i64,
    samples: i64,
    /// Whether somebody is at work on the page: searching, further down the list, or at rest.
    is_still: bool,
}

impl Live {
    /// None where no tick runs.
    fn of(app: &App, shown: &PatientFilter, request: &Request) -> Option<Self> {
        let progress = app.ticker.running()?;
        let is_still = shown.after > 0 || !shown.search.is_empty() || request.query.get("live") == "off";
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (done, all) = (number(progress.patients_done.get()), number(progress.patients.get()));
        Some(Self { done, all, samples: number(progress.samples.get()), is_still })
    }

    /// After how many seconds the page shows it anew.
    fn renews(&self) -> Option<u32> {
        (!self.is_still).then_some(RENEWED_EVERY)
    }

    fn section(&self, span: Span) -> Markup {
        let Self { done, all, samples, is_still } = self;
        let (here, most) = (format!("/admin?period={}", span.as_str()), (*all).max(1));
        html! {
            div.card #tick {
                label for="tick-progress" {
                    "A tick is running: " (count(*done)) " of " (count(*all)) " patients, " (count(*samples)) " samples read"
                }
                progress id="tick-progress" value=(done) max=(most) { (done) " of " (all) }
                p.fine {
                    @if *is_still {
                        a href=(here) { "Have this page show how far it is" } "."
                    } @else {
                        "This page renews itself every " (RENEWED_EVERY) " seconds until the tick is over. "
                        a href={ (here) "&live=off" } { "Leave it as it is" } "."
                    }
                }
            }
        }
    }
}

/// What everybody may know: whether data can arrive at all. How the last tick ended names other people's patients.
fn polling_at_all(now: Timestamp, settings: &Settings, ticks: &TickerState) -> Markup {
    html! {
        dl.summary {
            div { dt { "Polling" } dd {
                @if settings.is_on() { (badge("good", "on")) } @else {
                    (badge("bad", "off")) " Nothing arrives: an operator has switched it off."
                }
            } }
            div { dt { "Interval" } dd { (settings.text("ow.poll_interval")) } }
            div { dt { "Last tick" } dd {
                @if ticks.outcome.is_some() { (ago(now, Some(ticks.last))) } @else { "none since the start" }
            } }
        }
    }
}

fn polling(
    app: &App,
    settings: &Settings,
    ticks: &TickerState,
    last_run: Option<&PollRun>,
    staff: &Staff,
) -> Markup {
    let now = app.clock.now();
    html! {
        dl.summary {
            div { dt { "Polling" } dd {
                @if settings.is_on() { (badge("good", "on")) } @else {
                    (badge("bad", "off"))
                    @if staff.may(Role::Operator) { " " a href="/admin/settings#module.ow" { "switch it on" } }
                }
            } }
            div { dt { "Mode" } dd { (settings.text("ow.ingest_mode")) } }
            div { dt { "Interval" } dd { (settings.text("ow.poll_interval")) } }
            div { dt { "Tick" } dd { (tick(now, settings.text(tick_lock::KEY))) } }
            div.wide { dt { "Last tick" } dd {
                @match (&ticks.outcome, last_run) {
                    (Some(outcome), _) => { (outcome) " " (ago(now, Some(ticks.last))) }
                    (None, Some(run)) => { (run.outcome.as_deref().unwrap_or("-")) " " (ago(now, run.ended)) }
                    (None, None) => "no tick yet",
                }
                @if let Some((at, why)) = &ticks.skipped { "; then " (why) " " (ago(now, Some(*at))) }
            } }
            (last_backup(app.backup_status.state(), settings, now))
        }
    }
}

fn tick(now: Timestamp, lock: &str) -> Markup {
    html! {
        @match (lock, Timestamp::parse(lock)) {
            ("", _) => "none running",
            (_, Ok(since)) => { "running, sign of life " (ago(now, Some(since))) }
            (unreadable, Err(_)) => { "the lock holds “" (unreadable) "”; the next tick reclaims it" }
        }
    }
}

fn warnings(app: &App) -> Markup {
    let config = app.live.config();
    html! {
        @if config.ow_api_url.is_none() || config.ow_api_key.is_none() {
            p.warning { "OW_API_URL / OW_API_KEY not configured: set both and restart, or reload with SIGHUP." }
        }
        @if let Some(warning) = config.public_url_warning() { p.warning { "Invitations: " (warning) "." } }
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn nobody(shown: &PatientFilter, staff: &Staff) -> Markup {
    html! {
        div.empty {
            @if shown.search.is_empty() {
                p { (nobody_yet(staff)) }
                @if staff.may_create() {
                    ol {
                        li { a href="/admin/studies/new" { "Make a study" } ": what it asks for, and why" }
                        li { a href="/admin/patients/new" { "Add a patient" } " to it" }
                        li { "On the patient’s page, make the link that invites, and send it" }
                    }
                }
            } @else {
                p { "Nobody’s name or number has “" (shown.search) "” in it. " a href="/admin" { "Show all" } }
            }
        }
    }
}

fn table(now: Timestamp, lines: &[PatientOverview], silent: &Silent) -> Markup {
    html! {
        table {
            (table_head(&[
                Text("Patient"), Text("State"), Text("Newest sample"), Number("Samples in 24\u{a0}h"),
                Text("By hour"), Text("Last poll, and what to do"),
            ]))
            tbody { @for line in lines { (patient(now, line, silent.get(&line.patient))) } }
        }
    }
}

fn patient(now: Timestamp, line: &PatientOverview, silence: Option<&Silence>) -> Markup {
    let stage = EnrolmentStage::of(line);
    html! {
        tr {
            th scope="row" data-label="Patient" { a href={ "/admin/patients/" (line.patient) } {
                (line.patient) " " (line.name)
            } }
            td data-label="State" { (stage_badge(stage)) }
            td data-label="Newest sample" { (ago(now, line.newest)) @if let Some(silence) = silence { (flag(silence)) } }
            td.number data-label="Samples in 24 h" { (count(line.last_day)) }
            td data-label="By hour" { (sparkline(&line.hours)) }
            td data-label="Last poll" { (trouble(now, line, stage)) }
        }
    }
}

/// What could not be told.
fn alerts(now: Timestamp, untold: &[FailedAlerts]) -> Markup {
    html! {
        @for one in untold {
            p.warning {
                (one.alerts) " alerts could not be sent yet (" (one.channel) "): " (one.error) ". Tried again "
                (ago(now, Some(one.due))) "."
            }
        }
    }
}

/// How many are silent, by cause, and where they are listed.
fn silences(silent: &Silent, settings: &Settings) -> Markup {
    html! {
        @if !silent.is_empty() {
            p.warning {
                a href="/admin/patients?silent=1" { (silent.len()) " silent" }
                " for " (settings.text("silence.after")) " or longer: "
                @for (place, (cause, patients)) in silence::count_by_cause(silent).into_iter().enumerate() {
                    @if place > 0 { ", " }
                    (patients) " " (cause.label())
                }
                "."
            }
        }
    }
}

/// That a patient is silent, and the likely cause.
pub(crate) fn flag(silence: &Silence) -> Markup {
    html! { " " (badge("bad", "silent")) " " span.fine { (silence.cause.label()) } }
}

/// The stage, marked as well, in trouble, or neither.
pub(crate) fn stage_badge(stage: EnrolmentStage) -> Markup {
    let kind = match stage {
        EnrolmentStage::Connected => "good",
        EnrolmentStage::NeedsRelink => "bad",
        _ => "idle",
    };
    badge(kind, stage.as_str())
}

/// When a patient was last polled, what went wrong, and what to do.
pub(crate) fn trouble(now: Timestamp, line: &PatientOverview, stage: EnrolmentStage) -> Markup {
    html! {
        @if let Some(polled) = line.polled { (ago(now, Some(polled))) } @else { "never" }
        @if let Some(error) = enrolment_stage::describe_problem(line) {
            p.bad { (error) }
        } @else if !stage.next_step(line).is_empty() {
            p.idle { (stage.next_step(line)) }
        }
    }
}

/// What has to be registered at each provider, byte for byte, to copy.
fn redirects(app: &App, offers: Option<&[Offer]>) -> Markup {
    let ours = format!("{}/api/v1/oauth/", app.live.config().public_base());
    html! {
        section {
            h2 { "Redirect URLs to register at the providers" }
            @match offers {
                None => p.idle { "OW does not answer, so what it uses cannot be shown." },
                Some([]) => p.idle {
                    "OW has no provider with credentials yet. For Oura set OURA_CLIENT_ID and OURA_CLIENT_SECRET \
                     at OW; then either " code { (ours) "oura/callback" } " (this daemon as the proxy) or "
                    code { "<OW_PUBLIC_URL>/api/v1/oauth/oura/callback" } " is registered at Oura."
                },
                Some(offers) => dl.redirects { @for offer in offers {
                    @let uri = offer.redirect_uri.as_deref().unwrap_or("unknown");
                    dt { (offer.provider.name) }
                    dd {
                        code { (uri) }
                        p.fine { @if uri.starts_with(&ours) {
                            "This daemon is the proxy: OW itself need not be reachable from outside."
                        } @else {
                            "Browsers come back to OW itself, so this address has to be reachable for them. For \
                             this daemon as the proxy, have OW use " code { (ours) (offer.provider.provider) "/callback" }
                            "."
                        } }
                    }
                } },
            }
        }
    }
}

/// Renders the line about the newest backup.
fn last_backup(BackupState { newest, error }: BackupState, settings: &Settings, now: Timestamp) -> Markup {
    html! {
        div.wide { dt { "Last backup" } dd {
            @match (newest, settings.backup_interval()) {
                (Some(newest), _) => (ago(now, Some(newest))),
                (None, Some(_)) => "none yet",
                (None, None) => "none; the daemon makes none (backup.interval = off)",
            }
            @if let Some(error) = error { p.bad { (error) } }
        } }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;
    use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

    use super::*;
    use crate::store::engine::open::in_memory;

    /// However much is kept, the page is as quick: SQLite itself says which tables it reads.
    #[test]
    fn the_overview_never_reads_what_grows_with_the_observations() {
        let mut db = in_memory();
        let read: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&read);
        let note = move |context: AuthContext<'_>| {
            if let AuthAction::Read { table_name, .. } = context.action {
                noted.lock().push(table_name.to_owned());
            }
            Authorization::Allow
        };
        db.authorizer(Some(note)).unwrap();
        let shown = PatientFilter {
            visible_to: VisibleTo::Everybody,
            after: 0,
            search: String::new(),
            until: None,
            among: None,
        };
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        Kept::load(&db, &shown, Span::Week, now).unwrap();
        let read = read.lock().clone();
        assert!(read.iter().any(|table| table == "hourly_counters"), "{read:?}");
        for table in [
            "observations",
            "revisions",
            "export_exclusions",
            "rejected_samples",
            "raw_objects",
            "audit_entries",
            "event_ids",
        ] {
            assert!(!read.iter().any(|one| one == table), "{table} is read");
        }
        let oldest = "EXPLAIN QUERY PLAN SELECT min(first_due_at) FROM outbox WHERE state = 'pending'";
        let plan: String = db.query_row(oldest, [], |row| row.get(3)).unwrap();
        assert!(plan.contains("INDEX outbox_pending"), "of the outbox one row is: {plan}");
    }
}
