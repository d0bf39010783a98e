//! `/metrics`, on a listener of its own: it is for operators, and no page of the pages' address.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use warp::reply::Response;

use crate::app::{readiness, state::App};
use crate::common::failure::Failure;
use crate::i18n::texts::Texts;
use crate::store::{engine::setting, operations::metric_values};
use crate::telemetry::metrics::{self, CONTENT_TYPE, ScrapeValues};
use crate::web::response::{with_status, with_type};
use crate::web::{framing, server};

/// The age up to which values are served again without reading the store: several programs may scrape.
const FRESH: Duration = Duration::from_secs(5);

/// The values of the last scrape, with its time.
type LastScrape = Arc<Mutex<Option<(Instant, ScrapeValues)>>>;

/// Serves the metrics until the daemon ends, if they are configured. An address that cannot be used is logged
/// and stops nothing else.
pub async fn serve_metrics(app: App) {
    let Some(bind) = app.live.config().metrics_bind else { return };
    let listener = match TcpListener::bind(bind).await {
        Ok(listener) => listener,
        Err(error) => {
            let next = "end the program that has it, or set metrics.bind (JHE_OW_METRICS_BIND) to another, \
                        or to off";
            tracing::warn!(next, "no metrics: cannot listen on {bind}: {error}");
            return;
        }
    };
    tracing::info!("metrics at http://{bind}/metrics");
    let (last, cancel) = (LastScrape::default(), app.cancel.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        let (app, last) = (app.clone(), Arc::clone(&last));
        async move { Ok::<_, Infallible>(answer(&app, &last, &request).await) }
    });
    server::run(listener, service, |_| false, cancel).await;
}

async fn answer(app: &App, last: &LastScrape, request: &Request<Incoming>) -> Response {
    let text = |status, text: &str| with_status(status, with_type("text/plain; charset=utf-8", text));
    if let Some(fault) = framing::find_fault(request) {
        return text(StatusCode::BAD_REQUEST, &format!("{}\n", Texts::ENGLISH.get(fault)));
    }
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => match collect(app, last).await {
            Ok(values) => with_type(CONTENT_TYPE, metrics::render(&values)),
            Err(failure) => {
                tracing::warn!(next = failure.remedy, "no metrics: {}", failure.message);
                text(StatusCode::SERVICE_UNAVAILABLE, "the store cannot be read\n")
            }
        },
        (_, "/metrics") => {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "metrics are read with GET\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        _ => text(StatusCode::NOT_FOUND, "metrics are at /metrics\n"),
    }
}

async fn collect(app: &App, last: &LastScrape) -> Result<ScrapeValues, Failure> {
    let known = last.lock().clone();
    if let Some((_, values)) = known.filter(|(at, _)| at.elapsed() < FRESH) {
        return Ok(values);
    }
    let (at, now) = (Instant::now(), app.clock.now());
    let read = move |db: &_| {
        let settings = setting::read_all(db)?;
        Ok((metric_values::collect(db, now, settings.silence_after())?, settings))
    };
    let (store, settings) = app.store.read(read).await?;
    let ticks = app.ticker.state();
    let values = ScrapeValues {
        now,
        store,
        bytes: app.store.bytes(),
        backup: app.backup_status.state().newest,
        backup_interval: settings.backup_interval(),
        last_tick: ticks.last,
        tick_interval: ticks.interval,
        is_ticking: readiness::is_tick_in_progress(app).await,
        is_ready: readiness::check(app).await.reasons.is_empty(),
        resident: resident_bytes(),
    };
    *last.lock() = Some((at, values.clone()));
    Ok(values)
}

/// Returns the resident memory of this process in bytes, as Linux reports it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}
