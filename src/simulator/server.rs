//! The HTTP side: connections, the key, and faults.

use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use crate::simulator::fault::Fault;
use crate::simulator::query::{Pairs, write_cursor};
use crate::simulator::requests_seen::{Route, Seen};
use crate::simulator::responses::{Answer, Body, detail, full, internal_error, json_answer, with_body};
use crate::simulator::routes::answer;
use crate::simulator::shared::Shared;
use crate::simulator::{activity, events, oauth, sleep_summaries, timeseries};

/// Where the simulated provider asks its wearers.
const PROVIDER_PAGE: &str = "/cloud.ouraring.com/oauth/authorize";
const KEY_HEADER: &str = "x-open-wearables-api-key";
/// What a page of 200 MB is made of.
const HUGE_CHUNK: usize = 64 * 1024;
const HUGE_CHUNKS: usize = 200 * 1024 * 1024 / HUGE_CHUNK;

pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        // Without it small answers wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { Ok::<_, Infallible>(handle(&shared, request).await) }
            });
            // A client that goes away is none of our trouble.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn handle(shared: &Shared, request: Request<Incoming>) -> Answer {
    let (request, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let (method, path) = (request.method.as_str(), request.uri.path());
    let query = request.uri.query().unwrap_or_default();
    let key = {
        let mut state = shared.state.lock();
        let (method, path) = (method.to_owned(), path.to_owned());
        state.seen.push(Seen { method, path, query: query.to_owned(), body: body.clone() });
        state.key.clone()
    };
    if path == "/" {
        return json_answer(StatusCode::OK, r#"{"message":"Server is running!"}"#);
    }
    let pairs = pairs(query);
    if path == PROVIDER_PAGE {
        return oauth::provider_page(&pairs);
    }
    let Some(rest) = path.strip_prefix("/api/v1/") else {
        return detail(StatusCode::NOT_FOUND, "Not Found");
    };
    let parts: Vec<&str> = rest.split('/').collect();
    if let ["oauth", rest @ ..] = parts.as_slice() {
        let (own, now) = (shared.url(), shared.clock.now());
        return oauth::answer(&mut shared.state.lock(), method, rest, &pairs, &own, now);
    }
    if let Some(refusal) = refuse(&request.headers, &key) {
        return refusal;
    }
    match (Route::paged(method, &parts), parts.get(1)) {
        (Some(route), Some(user)) => page(shared, route, user, &pairs).await,
        _ => answer(&mut shared.state.lock(), method, &parts, &pairs, &body, shared.clock.now()),
    }
}

fn refuse(headers: &HeaderMap, key: &str) -> Option<Answer> {
    let text = match headers.get(KEY_HEADER) {
        Some(given) if given.as_bytes() == key.as_bytes() => return None,
        Some(_) => "Invalid or missing API key",
        None if headers.contains_key(http::header::AUTHORIZATION) => "Could not validate credentials",
        None => "Authentication required: provide JWT token or API key",
    };
    Some(detail(StatusCode::UNAUTHORIZED, text))
}

/// A `+` in a query is a space, as it is for OW.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    match reqwest::Url::parse(&format!("http://localhost/?{query}")) {
        Ok(url) => url.query_pairs().into_owned().collect(),
        Err(_) => Vec::new(),
    }
}

async fn page(shared: &Shared, route: Route, user: &str, pairs: &Pairs) -> Answer {
    let (fault, number) = enter(shared, route, user);
    let hook = shared.hook.lock().clone();
    if let Some(hook) = hook {
        let user = user.to_owned();
        // A hook may run a program and wait for it: not on the thread that serves.
        let _ = tokio::task::spawn_blocking(move || hook(&user, number)).await;
    }
    let latency = shared.state.lock().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let page = {
        let mut state = shared.state.lock();
        let cap = state.page_cap;
        let user = state.user(user);
        match route {
            Route::Timeseries => timeseries::Query::parse(pairs, cap).map(|query| query.answer(user)),
            Route::Sleep => events::Query::parse(pairs, true).map(|query| query.answer(user)),
            Route::Workouts => events::Query::parse(pairs, false).map(|query| query.answer(user)),
            Route::Activity => activity::Query::parse(pairs).map(|query| query.answer(user)),
            Route::SleepSummary => sleep_summaries::Query::parse(pairs).map(|query| query.answer(user)),
            Route::Counts | Route::Other => Err("Not a page".to_owned()),
        }
    };
    let answer = match (page, fault) {
        (Err(text), _) => detail(StatusCode::BAD_REQUEST, &text),
        (Ok(page), None) => json_answer(StatusCode::OK, page),
        (Ok(page), Some((fault, nth))) => fail(&fault, nth, route, page).await,
    };
    shared.state.lock().in_flight -= 1;
    answer
}

/// Counts a page request; answers with the fault that meets it and how many pages came since it was set.
fn enter(shared: &Shared, route: Route, user: &str) -> (Option<(Fault, u32)>, usize) {
    let mut state = shared.state.lock();
    state.pages += 1;
    state.in_flight += 1;
    state.most_in_flight = state.most_in_flight.max(state.in_flight);
    let number = state.pages;
    (state.user(user).trouble(route), number)
}

async fn fail(fault: &Fault, nth: u32, route: Route, page: String) -> Answer {
    match fault {
        Fault::Hang => std::future::pending().await,
        Fault::Status(status) => status_answer(*status),
        Fault::FailFirst { times, status } if nth <= *times => status_answer(*status),
        Fault::FailAfterPages { pages, status } if nth > *pages => status_answer(*status),
        Fault::FailFirst { .. } | Fault::FailAfterPages { .. } => json_answer(StatusCode::OK, page),
        Fault::TooManyRequests { retry_after } => {
            let mut answer = detail(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
            answer
                .headers_mut()
                .extend(retry_after.parse().ok().map(|value| (http::header::RETRY_AFTER, value)));
            answer
        }
        Fault::Garbage => with_body(StatusCode::OK, "text/html", full("<html>Bad Gateway</html>")),
        Fault::Truncated => json_answer(StatusCode::OK, page[..page.len() / 2].to_owned()),
        Fault::WrongType => json_answer(StatusCode::OK, r#"{"data":{"heart_rate":"none"},"pagination":[]}"#),
        Fault::RepeatCursor => json_answer(StatusCode::OK, repeat(route, &page)),
        Fault::Doubled => json_answer(StatusCode::OK, double(&page)),
        Fault::RedirectTo(target) => {
            let mut answer = with_body(StatusCode::TEMPORARY_REDIRECT, "text/plain", full(""));
            if let Ok(target) = target.parse() {
                answer.headers_mut().insert(http::header::LOCATION, target);
            }
            answer
        }
        Fault::Cut => with_body(StatusCode::OK, "application/json", cut(page)),
        Fault::Huge => with_body(StatusCode::OK, "application/json", huge()),
        Fault::SlowDrip => with_body(StatusCode::OK, "application/json", slow_drip(page)),
    }
}

fn status_answer(status: u16) -> Answer {
    match StatusCode::from_u16(status) {
        Ok(StatusCode::INTERNAL_SERVER_ERROR) | Err(_) => internal_error(),
        Ok(status) => detail(status, status.canonical_reason().unwrap_or("Error")),
    }
}

/// The page with all of its records once more at its end.
fn double(page: &str) -> String {
    let Ok(mut page) = serde_json::from_str::<serde_json::Value>(page) else { return page.to_owned() };
    if let Some(records) = page["data"].as_array_mut() {
        records.extend_from_within(..);
    }
    page.to_string()
}

/// The page with a next cursor that is always the same one, and a good one.
fn repeat(route: Route, page: &str) -> String {
    let Ok(mut page) = serde_json::from_str::<serde_json::Value>(page) else { return page.to_owned() };
    let place = match route {
        Route::Activity => "2000-01-01|oura|",
        Route::SleepSummary => "2000-01-01T00:00:00+00:00|00000000-0000-4000-8000-000000000000",
        Route::Sleep | Route::Workouts => "2100-01-01T00:00:00+00:00|00000000-0000-4000-8000-000000000000",
        _ => "2026-11-21T00:00:00+00:00|00000000-0000-4000-8000-000000000000",
    };
    page["pagination"]["has_more"] = true.into();
    page["pagination"]["next_cursor"] = write_cursor(place, "").into();
    page.to_string()
}

fn stream_body(chunks: impl futures_util::Stream<Item = std::io::Result<Bytes>> + Send + 'static) -> Body {
    StreamBody::new(chunks.map(|chunk| chunk.map(Frame::data))).boxed_unsync()
}

fn cut(page: String) -> Body {
    let half = Bytes::from(page.into_bytes()).slice(..20);
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    stream_body(stream::iter([Ok(half), Err(broken)]))
}

fn huge() -> Body {
    let start = stream::iter([Ok(Bytes::from_static(b"{\"data\":["))]);
    let record = br#"{"timestamp":"2026-11-21T00:00:00Z","value":46.0},"#;
    let chunk = Bytes::from(record.repeat(HUGE_CHUNK / record.len()));
    stream_body(start.chain(stream::iter((0..HUGE_CHUNKS).map(move |_| Ok(chunk.clone())))))
}

fn slow_drip(page: String) -> Body {
    let page = Bytes::from(page);
    stream_body(stream::unfold(0, move |at| {
        let page = page.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            (at < page.len()).then(|| (Ok(page.slice(at..=at)), at + 1))
        }
    }))
}
