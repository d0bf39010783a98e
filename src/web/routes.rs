//! Which path is answered by what.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, Method, StatusCode};
use maud::html;
use serde_json::json;
use tracing::Instrument;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

use crate::app::readiness::unready;
use crate::app::state::App;
use crate::telemetry::metrics;
use crate::web::admin::admin_dispatch;
use crate::web::body::read_form;
use crate::web::gate::Door;
use crate::web::layout::{ICON, Shell};
use crate::web::patient::patient_dispatch;
use crate::web::request::{Fields, Visit, client_address};
use crate::web::request_id::Name;
use crate::web::response::{Refusal, html as html_answer, json as json_answer, secured, with_type};
use crate::web::{api, gate, instance, layout, ow_webhook};

/// The style sheet, embedded.
const STYLE: &str = include_str!("../../assets/style.css");

pub(crate) fn routes(
    door: Door,
) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone + Send + Sync + 'static {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let for_refused = door.clone();
    warp::any()
        .map(move || door.clone())
        .and(warp::method())
        .and(warp::path::full())
        .and(query)
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional::<SocketAddr>())
        .and(warp::body::stream())
        .then(answer)
        .recover(move |_: Rejection| std::future::ready(Ok::<_, Infallible>(refused(&for_refused))))
        .unify()
}

async fn answer(
    door: Door,
    method: Method,
    path: FullPath,
    raw_query: String,
    headers: HeaderMap,
    peer: Option<SocketAddr>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    let (name, began) = (Name::of(&headers), Instant::now());
    // Whatever is logged, it says of which request. Neither the path nor the query is: they hold names of people.
    let span = tracing::error_span!("request", id = name.as_str());
    let work = async {
        let shown = method.clone();
        let answer = named(door, method, path, raw_query, headers, peer, body).await;
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let status = answer.status();
        tracing::debug!(method = %shown, status = status.as_u16(), millis, "answered");
        answer
    };
    let mut answer = name.clone().within(work).instrument(span).await;
    metrics::page(answer.status());
    name.write(answer.headers_mut());
    answer
}

async fn named(
    door: Door,
    method: Method,
    path: FullPath,
    raw_query: String,
    headers: HeaderMap,
    peer: Option<SocketAddr>,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Response {
    // What only asks for headers is answered like what asks for all; the server leaves the body out.
    let method = if method == Method::HEAD { Method::GET } else { method };
    if let Some(answer) = unchanging(&method, path.as_str()) {
        return secured(answer, door.is_https());
    }
    let app = match door.app() {
        Ok(app) => app,
        Err(why) => return secured(gate::without_store(path.as_str(), &why), door.is_https()),
    };
    let config = app.live.config();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let (proxies, header) = (&config.trusted_proxies, config.client_address_header.as_ref());
    let client = client_address(peer, &headers, proxies, header);
    if (&method, path.as_str()) == (&Method::POST, "/webhooks/ow") {
        let taken = ow_webhook::take(&app, &headers, body).await;
        return secured(taken.unwrap_or_else(Refusal::into_response), app.is_https());
    }
    let answered = match read_form(&method, body).await {
        Ok(form) => {
            let query = Fields::parse(raw_query.as_bytes());
            let path = path.as_str().to_owned();
            dispatch(&app, &Visit { method, path, raw_query, query, form, headers, client }).await
        }
        Err(refusal) => refusal.into_response(),
    };
    secured(answered, app.is_https())
}

/// What is the same whatever happens, also where there is no store.
fn unchanging(method: &Method, path: &str) -> Option<Response> {
    match path {
        _ if method != Method::GET => None,
        "/healthz" => Some(instance::named(with_type("text/plain; charset=utf-8", "ok\n"))),
        "/style.css" => Some(with_type("text/css; charset=utf-8", STYLE)),
        "/icon.svg" => Some(with_type("image/svg+xml", ICON)),
        _ => None,
    }
}

async fn dispatch(app: &App, visit: &Visit) -> Response {
    let segments = visit.segments();
    match segments.as_slice() {
        ["admin", rest @ ..] => admin_dispatch::answer(app, visit, rest).await,
        ["ow"] => patient_dispatch::answer(app, visit, &["launch"]).await,
        ["clients", "ow", rest @ ..] => patient_dispatch::answer(app, visit, rest).await,
        ["api", "v1", rest @ ..] => api::answer(app, visit, rest).await,
        _ if visit.method != Method::GET => Refusal::method().into_response(),
        [] => html_answer(stranger(app)),
        ["readyz"] => readiness(app).await,
        _ => Refusal::not_found().into_response(),
    }
}

/// What this is, and nothing about anyone.
fn stranger(app: &App) -> maud::Markup {
    let body = html! {
        h1 { "jhe-ow" }
        p.lead { "This service brings measurements from people’s wearables to the studies that they take part in: only \
                  what they agreed to, and only for as long as they do." }
        ul {
            li { "You take part in a study? Open the link that the study sent you. If you have used it in this \
                  browser before: " a href="/clients/ow/manage" { "your choices" } "." }
            li { "You work for a study? " a href="/admin" { "Sign in" } "." }
        }
    };
    layout::page("Wearables for research", &Shell::Plain { simulated: app.simulated, leads_to: None }, &body)
}

async fn readiness(app: &App) -> Response {
    let reasons = unready(app).await;
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json_answer(status, &json!({ "ready": reasons.is_empty(), "reasons": reasons }))
}

/// What does not even become a visit: an address that is none.
fn refused(door: &Door) -> Response {
    secured(Refusal::bad("This address is not understood.").into_response(), door.is_https())
}
