//! The HTTP server: connections, the API key, and faults.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Collected, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::simulator::endpoints::{activity_summaries::ActivityQuery, events::EventsQuery};
use crate::simulator::endpoints::{oauth, users};
use crate::simulator::endpoints::{sleep_summaries::SleepSummaryQuery, timeseries::SamplesQuery};
use crate::simulator::query::{QueryPairs, encode_cursor, parse_query};
use crate::simulator::request_log::{OwRoute, ReceivedRequest};
use crate::simulator::responses::{
    ResponseBody, SimulatedResponse, error_response, fault_response, full, json_response, redirect, response,
    with_header,
};
use crate::simulator::{fault::Fault, state::SharedState};

/// The path of the page on which the simulated provider asks the patient to agree.
const PROVIDER_PAGE: &str = "/cloud.ouraring.com/oauth/authorize";
const KEY_HEADER: &str = "x-open-wearables-api-key";
const HUGE_CHUNK: usize = 64 * 1024;
const HUGE_CHUNKS: usize = 200 * 1024 * 1024 / HUGE_CHUNK;

pub(crate) async fn run(listener: TcpListener, shared: Arc<SharedState>, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        // Nagle's algorithm would delay small answers until the client acknowledges.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(respond(&shared, request).await) }
            });
            // An error means that the client went away.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(shared: &SharedState, request: Request<Incoming>) -> SimulatedResponse {
    let (request, body) = request.into_parts();
    let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let (method, path) = (request.method.as_str(), request.uri.path());
    let query = request.uri.query().unwrap_or_default();
    let key = {
        let mut state = shared.state.lock();
        let (method, path) = (method.to_owned(), path.to_owned());
        state.requests.push(ReceivedRequest { method, path, query: query.to_owned(), body: body.clone() });
        state.key.clone()
    };
    if path == "/" {
        return json_response(StatusCode::OK, r#"{"message":"Server is running!"}"#);
    }
    let pairs = parse_query(query);
    if path == PROVIDER_PAGE {
        return oauth::provider_page(&pairs);
    }
    let Some(rest) = path.strip_prefix("/api/v1/") else {
        return error_response(StatusCode::NOT_FOUND, "Not Found");
    };
    let parts: Vec<&str> = rest.split('/').collect();
    let now = shared.clock.now();
    if let ["oauth", rest @ ..] = parts.as_slice() {
        if let [_, "callback"] = rest {
            run_hook(shared, "", 0).await;
        }
        return oauth::respond(&mut shared.state.lock(), method, rest, &pairs, &shared.url(), now);
    }
    if let Err(refusal) = check_key(&request.headers, &key) {
        return error_response(StatusCode::UNAUTHORIZED, refusal);
    }
    match (OwRoute::find_paged(method, &parts), parts.get(1)) {
        (Some(route), Some(user)) => respond_page(shared, route, user, &pairs).await,
        _ => users::respond(&mut shared.state.lock(), method, &parts, &pairs, &body, now),
    }
}

fn check_key(headers: &HeaderMap, key: &str) -> Result<(), &'static str> {
    match headers.get(KEY_HEADER) {
        Some(given) if given.as_bytes() == key.as_bytes() => Ok(()),
        Some(_) => Err("Invalid or missing API key"),
        None if headers.contains_key(AUTHORIZATION) => Err("Could not validate credentials"),
        None => Err("Authentication required: provide JWT token or API key"),
    }
}

async fn run_hook(shared: &SharedState, user: &str, count: usize) {
    let hook = shared.page_hook.lock().clone();
    if let Some(hook) = hook {
        let user = user.to_owned();
        // A hook may run a program and wait for it, which must not block the thread of the server.
        let _ = tokio::task::spawn_blocking(move || hook(&user, count)).await;
    }
}

async fn respond_page(
    shared: &SharedState,
    route: OwRoute,
    user: &str,
    pairs: &QueryPairs,
) -> SimulatedResponse {
    let (fault, count) = {
        let mut state = shared.state.lock();
        state.page_requests += 1;
        state.in_flight += 1;
        state.max_in_flight = state.max_in_flight.max(state.in_flight);
        (state.user(user).next_fault(route), state.page_requests)
    };
    run_hook(shared, user, count).await;
    let latency = shared.state.lock().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let page = {
        let mut state = shared.state.lock();
        let (cap, missing) = (state.page_cap, state.missing_types.clone());
        let user = state.user(user);
        match route {
            OwRoute::Timeseries => {
                SamplesQuery::parse(pairs, cap, &missing).map(|query| query.render_page(user))
            }
            OwRoute::Sleep => EventsQuery::parse(pairs, true).map(|query| query.render_page(user)),
            OwRoute::Workouts => EventsQuery::parse(pairs, false).map(|query| query.render_page(user)),
            OwRoute::Activity => ActivityQuery::parse(pairs).map(|query| query.render_page(user)),
            OwRoute::SleepSummary => SleepSummaryQuery::parse(pairs).map(|query| query.render_page(user)),
            OwRoute::Counts | OwRoute::Other => Err("Not a page".to_owned()),
        }
    };
    let answer = match (page, fault) {
        (Err(text), _) => error_response(StatusCode::BAD_REQUEST, &text),
        (Ok(page), None) => json_response(StatusCode::OK, page),
        (Ok(page), Some((fault, nth))) => apply_fault(&fault, nth, route, page).await,
    };
    shared.state.lock().in_flight -= 1;
    answer
}

/// Answers the `nth` page since the fault was set.
async fn apply_fault(fault: &Fault, nth: u32, route: OwRoute, page: String) -> SimulatedResponse {
    let stream_json = |body| response(StatusCode::OK, "application/json", body);
    match fault {
        Fault::Hang => std::future::pending().await,
        Fault::Status(status) => fault_response(*status),
        Fault::FailFirst { times, status } if nth <= *times => fault_response(*status),
        Fault::FailAfterPages { pages, status } if nth > *pages => fault_response(*status),
        Fault::FailFirst { .. } | Fault::FailAfterPages { .. } => json_response(StatusCode::OK, page),
        Fault::TooManyRequests { retry_after } => with_header(
            error_response(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests"),
            RETRY_AFTER,
            retry_after,
        ),
        Fault::Garbage => response(StatusCode::OK, "text/html", full("<html>Bad Gateway</html>")),
        Fault::Truncated => json_response(StatusCode::OK, page[..page.len() / 2].to_owned()),
        Fault::WrongType => {
            json_response(StatusCode::OK, r#"{"data":{"heart_rate":"none"},"pagination":[]}"#)
        }
        Fault::RepeatCursor => json_response(StatusCode::OK, repeat_cursor(route, &page)),
        Fault::Doubled => json_response(StatusCode::OK, double_records(&page)),
        Fault::RedirectTo(target) => redirect(StatusCode::TEMPORARY_REDIRECT, target),
        Fault::Cut => stream_json(cut(page)),
        Fault::Huge => stream_json(huge()),
        Fault::SlowDrip => stream_json(slow_drip(page)),
    }
}

fn double_records(page: &str) -> String {
    let Ok(mut page) = serde_json::from_str::<Value>(page) else { return page.to_owned() };
    if let Some(records) = page["data"].as_array_mut() {
        records.extend_from_within(..);
    }
    page.to_string()
}

/// Replaces the next cursor by a valid one that is always the same.
fn repeat_cursor(route: OwRoute, page: &str) -> String {
    let Ok(mut page) = serde_json::from_str::<Value>(page) else { return page.to_owned() };
    let fields = match route {
        OwRoute::Activity => "2000-01-01|oura|",
        OwRoute::SleepSummary => "2000-01-01T00:00:00+00:00|00000000-0000-4000-8000-000000000000",
        // Events come newest first.
        OwRoute::Sleep | OwRoute::Workouts => {
            "2100-01-01T00:00:00+00:00|00000000-0000-4000-8000-000000000000"
        }
        _ => "2026-11-21T00:00:00+00:00|00000000-0000-4000-8000-000000000000",
    };
    page["pagination"]["has_more"] = true.into();
    page["pagination"]["next_cursor"] = encode_cursor(fields, "").into();
    page.to_string()
}

fn stream_body(chunks: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> ResponseBody {
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

fn cut(page: String) -> ResponseBody {
    let half = Bytes::from(page.into_bytes()).slice(..20);
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    stream_body(stream::iter([Ok(half), Err(broken)]))
}

fn huge() -> ResponseBody {
    let start = stream::iter([Ok(Bytes::from_static(b"{\"data\":["))]);
    let record = br#"{"timestamp":"2026-11-21T00:00:00Z","value":46.0},"#;
    let chunk = Bytes::from(record.repeat(HUGE_CHUNK / record.len()));
    stream_body(start.chain(stream::iter((0..HUGE_CHUNKS).map(move |_| Ok(chunk.clone())))))
}

fn slow_drip(page: String) -> ResponseBody {
    let page = Bytes::from(page);
    stream_body(stream::unfold(0, move |at| {
        let page = page.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (at < page.len()).then(|| (Ok(page.slice(at..=at)), at + 1))
        }
    }))
}
