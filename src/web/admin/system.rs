//! The page of operators: ticks, delay, errors, delivery, backups, and redirect URLs.

use maud::{Markup, html};
use rusqlite::Connection;

use crate::app::daemon_status::{BackupState, TickerState};
use crate::app::device_offers;
use crate::app::{offer_cache::Offer, state::App};
use crate::common::time::Timestamp;
use crate::config::settings::Settings;
use crate::store::operations::alert_queue::{self, FailedAlerts};
use crate::store::operations::run_history::{self, PollRun};
use crate::store::operations::tick_lock;
use crate::store::{engine::setting, error::StoreError, privacy::restored as restored_store};
use crate::web::access::{OPERATOR, Operator};
use crate::web::admin::staff::{record_view, render_staff_page};
use crate::web::admin::{export::ExportSummary, payloads::PayloadSummary, restored};
use crate::web::chart::study_totals::{Activity, ActivityPeriod};
use crate::web::layout::{ago, badge, count, foreign, notice};
use crate::web::route::{Route, get};
use crate::web::{request::Request, response::HandlerResult};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/system", OPERATOR, show)]
}

async fn show(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let (staff, now) = (operator.staff(), app.clock.now());
    let period = ActivityPeriod::parse(request.query.get("period"));
    let data = app.store.read(move |db| SystemData::load(db, period, now)).await?;
    record_view(app, staff, "system.view", None).await?;
    let offers = device_offers::list_quickly(app).await;
    let body = html! {
        h1 { "System" }
        (notice(if request.query.get("done") == "retried" { "They are sent again." } else { "" }))
        (render_sync_state(app, &data.settings, &app.ticker.state(), data.last_run.as_ref()))
        @if let Some(progress) = TickProgress::current(app) { (progress.render(period)) }
        (render_warnings(app))
        (restored::render_warning(data.suspended))
        (render_failed_alerts(now, &data.failed_alerts))
        (data.activity.render(app.live.jhe().is_some()))
        (data.export.render(app, staff))
        (data.payloads.render(app, &data.settings))
        (render_redirect_urls(app, offers.as_deref()))
    };
    Ok(render_staff_page(app, staff, "/admin/system", "System", &body))
}

/// The stored data of the page. It reads maintained counters and counts no rows, so that the page stays fast.
struct SystemData {
    failed_alerts: Vec<FailedAlerts>,
    settings: Settings,
    last_run: Option<PollRun>,
    export: ExportSummary,
    payloads: PayloadSummary,
    activity: Activity,
    /// Patients whose consents a restore has suspended.
    suspended: i64,
}

impl SystemData {
    fn load(db: &Connection, period: ActivityPeriod, now: Timestamp) -> Result<Self, StoreError> {
        Ok(Self {
            failed_alerts: alert_queue::list_failed(db)?,
            settings: setting::read_all(db)?,
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
}

impl TickProgress {
    /// Returns `None` if no tick runs.
    fn current(app: &App) -> Option<Self> {
        let progress = app.ticker.running()?;
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (done, all) = (number(progress.patients_done.get()), number(progress.patients.get()));
        Some(Self { done, all, samples: number(progress.samples.get()) })
    }

    fn render(&self, period: ActivityPeriod) -> Markup {
        let Self { done, all, samples } = self;
        let (here, most) = (format!("/admin/system?period={}", period.as_str()), (*all).max(1));
        html! {
            div.card #tick {
                label for="tick-progress" {
                    "A sync is running: " (count(*done)) " of " (count(*all)) " patients, " (count(*samples)) " samples read"
                }
                progress id="tick-progress" value=(done) max=(most) { (done) " of " (all) }
                p.fine { a href=(here) { "Refresh" } }
            }
        }
    }
}

fn render_sync_state(
    app: &App,
    settings: &Settings,
    ticks: &TickerState,
    last_run: Option<&PollRun>,
) -> Markup {
    let now = app.clock.now();
    html! {
        dl.summary {
            div { dt { "Sync" } dd {
                @if settings.is_on() { (badge("good", "on")) } @else {
                    (badge("bad", "off"))
                    " " a href="/admin/settings#module.ow" { "switch it on" }
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

fn render_failed_alerts(now: Timestamp, failed_alerts: &[FailedAlerts]) -> Markup {
    html! {
        @for one in failed_alerts {
            p.warning {
                (one.alerts) " alerts could not be sent yet (" (one.channel) "): " (foreign(&one.error)) ". Next attempt "
                (ago(now, Some(one.due))) "."
            }
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
    fn the_page_never_reads_what_grows_with_the_observations() {
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
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        SystemData::load(&db, ActivityPeriod::Week, now).unwrap();
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
