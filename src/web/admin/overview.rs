//! The start page of practitioners and operators: the state of the daemon, and a line per patient.

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
use crate::model::{patient::PatientId, silence::Silence, time_zones};
use crate::store::operations::alert_queue::{self, FailedAlerts};
use crate::store::operations::patient_status::{self, PatientFilter, PatientOverview};
use crate::store::operations::run_history::{self, PollRun};
use crate::store::operations::{silence, tick_lock};
use crate::store::{engine::setting, error::StoreError, privacy::restored as restored_store};
use crate::web::access::{STAFF, Staff};
use crate::web::admin::staff::{
    PAGE, no_patients_text, record_view, render_refreshing_page, split_page, view_event,
};
use crate::web::admin::{export::ExportSummary, payloads::PayloadSummary, restored};
use crate::web::chart::sparkline::render_sparkline;
use crate::web::chart::study_totals::{Activity, ActivityPeriod};
use crate::web::layout::Column::{Number, Text};
use crate::web::layout::{ago, badge, count, notice, table_head};
use crate::web::route::{Route, get};
use crate::web::{request::Request, response::HandlerResult};

type SilentPatients = BTreeMap<PatientId, Silence>;

/// Seconds between refreshes of the page while a tick runs.
const REFRESH_SECONDS: u32 = 5;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin", STAFF, show)]
}

async fn show(app: &App, request: &Request, staff: &Staff) -> HandlerResult {
    let now = app.clock.now();
    let visible_to = staff.visible_to();
    let shown = PatientFilter {
        visible_to,
        after: request.query.number("after").unwrap_or(0),
        search: request.query.get("search").to_owned(),
        until: None,
        among: None,
    };
    let (wanted, period) = (shown.clone(), ActivityPeriod::parse(request.query.get("period")));
    let data = app.store.read(move |db| OverviewData::load(db, &wanted, period, now)).await?;
    let OverviewData {
        lines,
        silent,
        failed_alerts,
        settings,
        last_run,
        export,
        payloads,
        activity,
        suspended,
    } = data;
    // Totals over all patients would reveal other organizations' data.
    let sees_everybody = visible_to == VisibleTo::Everybody;
    let progress = TickProgress::current(app, &shown, request).filter(|_| sees_everybody);
    let refresh = progress.as_ref().and_then(TickProgress::refresh_seconds);
    // A page that refreshes itself is one view for ten minutes.
    let is_refreshed =
        refresh.is_some() && app.repeated_events.is_recorded(&view_event(staff, "overview.view", None), now);
    if !is_refreshed {
        record_view(app, staff, "overview.view", None).await?;
    }
    let (lines, more) = split_page(lines);
    let next = lines.last().filter(|_| more).map(|line| line.patient);
    let done = match request.query.get("done") {
        "password" => "Your password is set.",
        "retried" => "They are sent again.",
        _ => "",
    };
    let offers = if sees_everybody { device_offers::list_quickly(app).await } else { None };
    let body = html! {
        h1 { "Overview" }
        (notice(done))
        @if sees_everybody {
            (render_sync_state(app, &settings, &app.ticker.state(), last_run.as_ref(), staff))
            @if let Some(progress) = &progress { (progress.render(period)) }
            (render_warnings(app))
            (restored::render_warning(suspended))
            (render_failed_alerts(now, &failed_alerts))
            (activity.render(app.live.jhe().is_some()))
            (export.render(app, staff))
            (payloads.render(app, &settings))
        } @else {
            (render_short_sync_state(now, &settings, &app.ticker.state()))
        }
        (render_silent_count(&silent, &settings))
        div.heading {
            h2 { @if sees_everybody { "Patients" } @else { "Your patients" } }
            form.search role="search" method="get" action="/admin" {
                label for="search" { "Name or number" }
                input id="search" name="search" type="search" value=(shown.search);
                button.quiet type="submit" { "Search" }
            }
        }
        @if lines.is_empty() { (render_empty_list(&shown, staff)) } @else { (render_table(now, &lines, &silent)) }
        @if let Some(next) = next { p { a.button href={ "/admin?after=" (next) "&search=" (encode_query(&shown.search)) } { "More patients" } } }
        @if sees_everybody { (render_redirect_urls(app, offers.as_deref())) }
    };
    Ok(render_refreshing_page(app, staff, "/admin", "Overview", &body, refresh))
}

/// The stored data of the page. It reads maintained counters and counts no rows, so that the page stays fast.
struct OverviewData {
    lines: Vec<PatientOverview>,
    silent: SilentPatients,
    failed_alerts: Vec<FailedAlerts>,
    settings: Settings,
    last_run: Option<PollRun>,
    export: ExportSummary,
    payloads: PayloadSummary,
    activity: Activity,
    /// Patients whose consents a restore has suspended.
    suspended: i64,
}

impl OverviewData {
    fn load(
        db: &Connection,
        shown: &PatientFilter,
        period: ActivityPeriod,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let settings = setting::read_all(db)?;
        Ok(Self {
            lines: patient_status::list(db, now, shown, PAGE + 1)?,
            silent: silence::list(db, shown.visible_to, settings.silence_after(), now)?,
            failed_alerts: alert_queue::list_failed(db)?,
            settings,
            last_run: run_history::find_last_tick(db)?,
            export: ExportSummary::load(db, now)?,
            payloads: PayloadSummary::load(db)?,
            activity: Activity::load(db, period, now)?,
            suspended: restored_store::count_suspended(db)?,
        })
    }
}

/// The progress of the running tick.
struct TickProgress {
    done: i64,
    all: i64,
    samples: i64,
    /// The page does not refresh while somebody searches, pages through the list, or turned refreshing off.
    is_still: bool,
}

impl TickProgress {
    /// Returns `None` if no tick runs.
    fn current(app: &App, shown: &PatientFilter, request: &Request) -> Option<Self> {
        let progress = app.ticker.running()?;
        let is_still = shown.after > 0 || !shown.search.is_empty() || request.query.get("live") == "off";
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (done, all) = (number(progress.patients_done.get()), number(progress.patients.get()));
        Some(Self { done, all, samples: number(progress.samples.get()), is_still })
    }

    fn refresh_seconds(&self) -> Option<u32> {
        (!self.is_still).then_some(REFRESH_SECONDS)
    }

    fn render(&self, period: ActivityPeriod) -> Markup {
        let Self { done, all, samples, is_still } = self;
        let (here, most) = (format!("/admin?period={}", period.as_str()), (*all).max(1));
        html! {
            div.card #tick {
                label for="tick-progress" {
                    "A sync is running: " (count(*done)) " of " (count(*all)) " patients, " (count(*samples)) " samples read"
                }
                progress id="tick-progress" value=(done) max=(most) { (done) " of " (all) }
                p.fine {
                    @if *is_still {
                        a href=(here) { "Refresh this page automatically" } "."
                    } @else {
                        "This page refreshes every " (REFRESH_SECONDS) " seconds until the sync is over. "
                        a href={ (here) "&live=off" } { "Stop refreshing" } "."
                    }
                }
            }
        }
    }
}

/// Renders the part that every account may see. The outcome of the last tick is left out, since it may name other
/// organizations' patients.
fn render_short_sync_state(now: Timestamp, settings: &Settings, ticks: &TickerState) -> Markup {
    html! {
        dl.summary {
            div { dt { "Sync" } dd {
                @if settings.is_on() { (badge("good", "on")) } @else {
                    (badge("bad", "off")) " Nothing arrives: an operator has switched it off."
                }
            } }
            div { dt { "Interval" } dd { (settings.text("ow.poll_interval")) } }
            div { dt { "Last sync" } dd {
                @if ticks.outcome.is_some() { (ago(now, Some(ticks.last))) } @else { "none since the start" }
            } }
        }
    }
}

fn render_sync_state(
    app: &App,
    settings: &Settings,
    ticks: &TickerState,
    last_run: Option<&PollRun>,
    staff: &Staff,
) -> Markup {
    let now = app.clock.now();
    html! {
        dl.summary {
            div { dt { "Sync" } dd {
                @if settings.is_on() { (badge("good", "on")) } @else {
                    (badge("bad", "off"))
                    @if staff.may(Role::Operator) { " " a href="/admin/settings#module.ow" { "switch it on" } }
                }
            } }
            div { dt { "Mode" } dd { (settings.text("ow.ingest_mode")) } }
            div { dt { "Interval" } dd { (settings.text("ow.poll_interval")) } }
            div { dt { "Now" } dd { (render_lock(now, settings.text(tick_lock::KEY))) } }
            div.wide { dt { "Last sync" } dd {
                @match (&ticks.outcome, last_run) {
                    (Some(outcome), _) => { (outcome) " " (ago(now, Some(ticks.last))) }
                    (None, Some(run)) => { (run.outcome.as_deref().unwrap_or("-")) " " (ago(now, run.ended)) }
                    (None, None) => "no sync yet",
                }
                @if let Some((at, why)) = &ticks.skipped { "; then " (why) " " (ago(now, Some(*at))) }
            } }
            (render_last_backup(app.backup_status.state(), settings, now))
        }
    }
}

fn render_lock(now: Timestamp, lock: &str) -> Markup {
    html! {
        @match (lock, Timestamp::parse(lock)) {
            ("", _) => "none running",
            (_, Ok(since)) => { "running, lock renewed " (ago(now, Some(since))) }
            (unreadable, Err(_)) => { "ow.sync_in_progress has the invalid value “" (unreadable) "”; the next sync replaces it" }
        }
    }
}

fn render_warnings(app: &App) -> Markup {
    let config = app.live.config();
    html! {
        @if config.ow_api_url.is_none() || config.ow_api_key.is_none() {
            p.warning { "OW_API_URL / OW_API_KEY not configured: set both and restart, or reload with SIGHUP." }
        }
        @if let Some(refusal) = app.ow_status.refusal() {
            p.warning { "OW refuses the key: " (refusal) ". Nothing is read. Make a new key in OW’s admin pages, set OW_API_KEY, and restart the daemon, or reload it with SIGHUP." }
        }
        @let unknown = app.ow_limits.unknown_types();
        @if !unknown.is_empty() {
            p.warning { "OW does not know the series types " (unknown.join(", ")) ", so they are not read. Update OW, if the study needs them." }
        }
        @if let Some(warning) = config.public_url_warning() { p.warning { "Invitations: " (warning) "." } }
    }
}

fn encode_query(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn render_empty_list(shown: &PatientFilter, staff: &Staff) -> Markup {
    html! {
        div.empty {
            @if shown.search.is_empty() {
                p { (no_patients_text(staff)) }
                @if staff.may_add_patients() {
                    ol {
                        @if staff.may(Role::Operator) {
                            li { a href="/admin/studies/new" { "Add a study" } ": what it asks for, and why" }
                        }
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

fn render_table(now: Timestamp, lines: &[PatientOverview], silent: &SilentPatients) -> Markup {
    html! {
        table {
            (table_head(&[
                Text("Patient"), Text("State"), Text("Newest sample"), Number("Samples in 24\u{a0}h"),
                Text("By hour"), Text("Last sync, and what to do"),
            ]))
            tbody { @for line in lines { (render_patient(now, line, silent.get(&line.patient))) } }
        }
    }
}

fn render_patient(now: Timestamp, line: &PatientOverview, silence: Option<&Silence>) -> Markup {
    let stage = EnrolmentStage::of(line);
    html! {
        tr {
            th scope="row" data-label="Patient" { a href={ "/admin/patients/" (line.patient) } {
                (line.patient) " " (line.name)
            } }
            td data-label="State" { (stage_badge(stage)) }
            td data-label="Newest sample" { (ago(now, line.newest)) @if let Some(silence) = silence { (silence_badge(silence)) } (time_zone_badge(line)) }
            td.number data-label="Samples in 24 h" { (count(line.last_day)) }
            td data-label="By hour" { (render_sparkline(&line.hours)) }
            td data-label="Last sync" { (render_last_poll(now, line, stage)) }
        }
    }
}

fn render_failed_alerts(now: Timestamp, failed_alerts: &[FailedAlerts]) -> Markup {
    html! {
        @for one in failed_alerts {
            p.warning {
                (one.alerts) " alerts could not be sent yet (" (one.channel) "): " (one.error) ". Next attempt "
                (ago(now, Some(one.due))) "."
            }
        }
    }
}

/// Renders the number of silent patients per cause, with a link to their list.
fn render_silent_count(silent: &SilentPatients, settings: &Settings) -> Markup {
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

pub(crate) fn silence_badge(silence: &Silence) -> Markup {
    html! { " " (badge("bad", "silent")) " " span.fine { (silence.cause.label()) } }
}

/// Renders the contradiction between a patient's samples and time zone, if there is one.
pub(crate) fn time_zone_badge(line: &PatientOverview) -> Markup {
    html! {
        @if let Some(offset) = line.contradicting_offset {
            " " (badge("bad", "time zone"))
            " " span.fine { (time_zones::describe_contradiction(&line.time_zone, offset)) }
        }
    }
}

/// Renders the stage in the colour of its urgency.
pub(crate) fn stage_badge(stage: EnrolmentStage) -> Markup {
    let kind = match stage {
        EnrolmentStage::Connected => "good",
        EnrolmentStage::NeedsRelink => "bad",
        _ => "idle",
    };
    badge(kind, stage.as_str())
}

/// Renders the time of the last poll, with its error or the next step.
pub(crate) fn render_last_poll(now: Timestamp, line: &PatientOverview, stage: EnrolmentStage) -> Markup {
    html! {
        @if let Some(polled) = line.polled { (ago(now, Some(polled))) } @else { "never" }
        @if let Some(error) = enrolment_stage::describe_problem(line) {
            p.bad { (error) }
        } @else if !stage.next_step(line).is_empty() {
            p.idle { (stage.next_step(line)) }
        }
    }
}

/// Lists the redirect URLs to copy; each must be registered at its provider byte for byte.
fn render_redirect_urls(app: &App, offers: Option<&[Offer]>) -> Markup {
    let ours = format!("{}/api/v1/oauth/", app.live.config().public_base());
    html! {
        section {
            h2 { "Redirect URLs to register at the providers" }
            @match offers {
                None => p.idle { "OW does not answer, so its redirect URLs cannot be shown." },
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

fn render_last_backup(
    BackupState { newest, error }: BackupState,
    settings: &Settings,
    now: Timestamp,
) -> Markup {
    html! {
        div.wide { dt { "Last backup" } dd {
            @match (newest, settings.backup_interval()) {
                (Some(newest), _) => (ago(now, Some(newest))),
                (None, Some(_)) => "none yet",
                (None, None) => "off (backup.interval = off)",
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

    /// The page stays fast with any number of observations: SQLite reports the tables that it reads.
    #[test]
    fn the_overview_never_reads_what_grows_with_the_observations() {
        let mut db = in_memory();
        let read: Arc<Mutex<Vec<String>>> = Arc::default();
        let tables = Arc::clone(&read);
        let record_table = move |context: AuthContext<'_>| {
            if let AuthAction::Read { table_name, .. } = context.action {
                tables.lock().push(table_name.to_owned());
            }
            Authorization::Allow
        };
        db.authorizer(Some(record_table)).unwrap();
        let shown = PatientFilter {
            visible_to: VisibleTo::Everybody,
            after: 0,
            search: String::new(),
            until: None,
            among: None,
        };
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        OverviewData::load(&db, &shown, ActivityPeriod::Week, now).unwrap();
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
