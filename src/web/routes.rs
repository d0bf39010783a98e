//! Which path is answered by what, and the headers that every answer carries.

use std::convert::Infallible;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use maud::Markup;
use serde::Deserialize;
use serde_json::json;
use warp::reply::{Reply, Response};
use warp::{Filter, Rejection};

use super::{App, page, status};
use crate::store::StoreError;
use crate::store::status as state;

/// The style sheet, embedded.
const STYLE: &str = include_str!("../../assets/style.css");
/// Nothing comes from anywhere but here, and there are no scripts at all.
const SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// A tick that ended longer ago than this many intervals is overdue.
const OVERDUE: u32 = 3;

#[derive(Debug, Deserialize)]
struct Paging {
    /// Patients with a higher number only.
    #[serde(default)]
    after: i64,
}

pub(super) fn routes(
    app: App,
) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone + Send + Sync + 'static {
    let app = warp::any().map(move || app.clone());
    let read = || warp::get().or(warp::head()).unify();
    let health = warp::path!("healthz").and(read()).map(|| text(StatusCode::OK, "ok\n"));
    let ready = warp::path!("readyz").and(read()).and(app.clone()).then(readiness);
    let style = warp::path!("style.css").and(read()).map(|| with_type("text/css; charset=utf-8", STYLE));
    let start = warp::path::end()
        .and(read())
        .and(app)
        .and(warp::header::headers_cloned())
        .and(warp::query::<Paging>())
        .then(start);
    health.or(ready).unify().or(style).unify().or(start).unify().recover(refused).unify().map(secured)
}

/// What each answer carries, whatever it is.
fn secured(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

async fn readiness(app: App) -> Response {
    let reasons = unready(&app).await;
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": reasons.is_empty(), "reasons": reasons }).to_string() + "\n";
    let mut answer = with_type("application/json", body);
    *answer.status_mut() = status;
    answer
}

/// Why the daemon does not do its work. That it runs at all means that the schema is up to date.
async fn unready(app: &App) -> Vec<String> {
    let mut reasons = Vec::new();
    if let Err(error) = app.store.write(state::prove_writable).await {
        reasons.push(format!("the database cannot be written: {error}"));
    }
    let ticks = app.ticks.get();
    let age = app.clock.now().since(ticks.last);
    if age > ticks.interval * OVERDUE {
        reasons.push(format!(
            "the last tick ended {} s ago, at {}; one is due every {} s",
            age.as_secs(),
            ticks.last,
            ticks.interval.as_secs()
        ));
    }
    reasons
}

async fn start(app: App, headers: HeaderMap, paging: Paging) -> Response {
    if !is_at_home(&app, &headers) {
        return html(StatusCode::OK, &page::stranger());
    }
    match status::load(&app, paging.after).await {
        Ok(status) => html(StatusCode::OK, &page::status(&status)),
        Err(error) => html(StatusCode::SERVICE_UNAVAILABLE, &page::trouble(&why(&error))),
    }
}

fn why(error: &StoreError) -> String {
    crate::failure::Failure::from(error.clone()).to_string()
}

/// Whether whoever asks sits at this machine: there is no sign-in yet. A name other than this machine's own
/// would be a page elsewhere that points its own name here; a proxy passes on strangers.
fn is_at_home(app: &App, headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let local = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    let passed_on = ["forwarded", "x-forwarded-for", "x-real-ip", "via"];
    app.bind.ip().is_loopback() && local && !passed_on.iter().any(|name| headers.contains_key(*name))
}

async fn refused(rejection: Rejection) -> Result<Response, Infallible> {
    let (status, what) = if rejection.is_not_found() {
        (StatusCode::NOT_FOUND, "There is no such page.")
    } else if rejection.find::<warp::reject::MethodNotAllowed>().is_some() {
        (StatusCode::METHOD_NOT_ALLOWED, "This page can only be read.")
    } else {
        (StatusCode::BAD_REQUEST, "This address is not understood.")
    };
    Ok(html(status, &page::trouble(what)))
}

fn html(status: StatusCode, page: &Markup) -> Response {
    let mut answer = with_type("text/html; charset=utf-8", page.0.clone());
    *answer.status_mut() = status;
    answer
}

fn text(status: StatusCode, body: &'static str) -> Response {
    let mut answer = with_type("text/plain; charset=utf-8", body);
    *answer.status_mut() = status;
    answer
}

fn with_type(kind: &'static str, body: impl Into<String>) -> Response {
    let mut answer = body.into().into_response();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
