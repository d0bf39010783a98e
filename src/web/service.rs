//! The frame around every request: request id, log span, metrics, security headers. It answers requests that
//! warp cannot represent.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Instant;

use http::header;
use hyper::body::Incoming;
use hyper::service::Service;
use tracing::Instrument;
use warp::reply::Response;

use crate::app::rate_limit::TooManyRequests;
use crate::telemetry::metrics;
use crate::web::response::{Refusal, with_security_headers};
use crate::web::{gate::Gate, line_ends::LineEnds, request::Request, request_id::RequestId};

/// Answers a client's request by the routes, unless the client has too many in progress. The filters of the routes read
/// the gate and the request's head from the extensions.
pub(crate) async fn answer<S>(
    gate: Gate,
    routes: S,
    mut request: http::Request<Incoming>,
    client: IpAddr,
    is_admitted: bool,
) -> Result<Response, Infallible>
where
    S: Service<http::Request<Incoming>, Response = Response, Error = Infallible>,
{
    let (id, started, method) = (RequestId::of(request.headers()), Instant::now(), request.method().clone());
    // Neither the path nor the query is in the span: they may hold what a person typed.
    let span = tracing::error_span!("request", id = id.as_str());
    let head = Request::new(&request, client);
    let reader = head.reader.clone();
    request.extensions_mut().insert(head);
    request.extensions_mut().insert(gate.clone());
    let work = async {
        // CONNECT names a host and `OPTIONS *` nothing: warp panics on a target without a path.
        let response = if !is_admitted {
            Refusal::from(TooManyRequests(1)).into_page(&reader)
        } else if let Some(fault) = find_fault(&request) {
            Refusal::bad(fault).into_page(&reader)
        } else if request.uri().path().starts_with('/') {
            routes.call(request).await?
        } else {
            Refusal::bad("This address is not understood.").into_page(&reader)
        };
        let millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(%method, status = response.status().as_u16(), millis, "answered");
        Ok::<_, Infallible>(response)
    };
    let mut response = with_security_headers(id.scope(work).instrument(span).await?, gate.is_https());
    metrics::count_page(response.status());
    id.write(response.headers_mut());
    Ok(response)
}

/// Returns what a proxy in front of the daemon may have read in another way: then the two disagree about whose request
/// this is, or where it ends.
fn find_fault(request: &http::Request<Incoming>) -> Option<&'static str> {
    if request.headers().get_all(header::HOST).iter().count() > 1 {
        return Some("This request names its host more than once. Name it once.");
    }
    let line_ends = request.extensions().get::<LineEnds>();
    line_ends.is_some_and(LineEnds::is_broken).then_some(
        "The lines of this request do not end as HTTP wants it. End them with carriage return and line feed.",
    )
}
