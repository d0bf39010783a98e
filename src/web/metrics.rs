//! `/metrics`, on a listener of its own: what it shows is for whoever runs the place, and no page of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use warp::reply::Response;

use crate::app::readiness;
use crate::app::state::App;
use crate::common::failure::Failure;
use crate::store::engine::setting;
use crate::store::operations::metric_values;
use crate::telemetry::metrics;
use crate::telemetry::metrics::{CONTENT_TYPE, Facts};
use crate::web::response::{with_status, with_type};
use crate::web::server;

/// For how long what the store says is not asked again: several may scrape, and a person may press reload.
const FRESH: Duration = Duration::from_secs(5);

/// What the last scrape found, and when.
type Last = Arc<Mutex<Option<(Instant, Facts)>>>;

/// Serves the metrics until the daemon ends, where the configuration says so. That their address cannot be listened on
/// is told, and stops nothing else.
pub async fn serve_metrics(app: App) {
    let Some(bind) = app.live.config().metrics_bind else { return };
    let listener = match TcpListener::bind(bind).await {
        Ok(listener) => listener,
        Err(error) => {
            let next = "end the program that has it, or set metrics.bind (JHE_OW_METRICS_BIND) to another, or to off";
            tracing::warn!(next, "no metrics: {bind} cannot be listened on: {error}");
            return;
        }
    };
    tracing::info!("metrics at http://{bind}/metrics");
    let (last, cancel) = (Last::default(), app.cancel.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, last) = (app.clone(), Arc::clone(&last));
        async move { Ok::<_, Infallible>(answer(&app, &last, &request).await) }
    });
    server::run(listener, service, |_| false, cancel).await;
}

async fn answer(app: &App, last: &Last, request: &Request<Incoming>) -> Response {
    let text = |status, text: &str| with_status(status, with_type("text/plain; charset=utf-8", text));
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match facts(app, last).await {
            Ok(facts) => with_type(CONTENT_TYPE, metrics::expose(&facts)),
            Err(failure) => {
                tracing::warn!(next = failure.next, "no metrics: {}", failure.what);
                text(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read\n")
            }
        },
        (_, "/metrics") => text(StatusCode::METHOD_NOT_ALLOWED, "metrics are read with GET\n"),
        _ => text(StatusCode::NOT_FOUND, "metrics are at /metrics\n"),
    }
}

async fn facts(app: &App, last: &Last) -> Result<Facts, Failure> {
    let known = last.lock().clone();
    if let Some((_, facts)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
        return Ok(facts);
    }
    let (at, now) = (Instant::now(), app.clock.now());
    let read = move |db: &_| {
        let settings = setting::all(db)?;
        Ok((metric_values::figures(db, now, settings.silence_after())?, settings))
    };
    let (figures, settings) = app.store.read(read).await?;
    let ticks = app.ticks.get();
    let facts = Facts {
        now,
        figures,
        bytes: app.store.bytes(),
        backup: app.backups.get().newest,
        backup_interval: settings.backup_interval(),
        last_tick: ticks.last,
        tick_interval: ticks.interval,
        is_ticking: readiness::is_at_work(app).await,
        is_ready: readiness::unready(app).await.is_empty(),
        resident: resident(),
    };
    *last.lock() = Some((at, facts.clone()));
    Ok(facts)
}

/// Bytes of memory that this process has, as Linux tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}
