//! The frame around every request: request id, log span, metrics, security headers. It answers requests that
//! warp cannot represent.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Instant;

use hyper::body::Incoming;
use hyper::service::Service;
use tracing::Instrument;
use warp::reply::Response;

use crate::app::rate_limit::TooManyRequests;
use crate::i18n::phrase::Phrase;
use crate::telemetry::metrics;
use crate::web::response::{Refusal, with_security_headers};
use crate::web::{framing, gate::Gate, request::Request, request_id::RequestId};

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
        } else if let Some(fault) = framing::find_fault(&request) {
            Refusal::bad(Phrase::key(fault)).into_page(&reader)
        } else if request.uri().path().starts_with('/') {
            routes.call(request).await?
        } else {
            Refusal::bad(Phrase::key("error-address")).into_page(&reader)
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
