//! `/healthz` and `/readyz`.

use http::{HeaderValue, StatusCode};
use serde_json::json;
use warp::reply::Response;

use crate::app::readiness::{self, Readiness};
use crate::app::{instance::process_instance, state::App};
use crate::web::patient_access::{Anyone, OPEN};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, json as json_response, with_type};
use crate::web::route::{Route, fixed, get};

/// The header of `/healthz` that names the process: `jhe-ow doctor` sees whether its own daemon answers at
/// the public address. The name is random and drawn at each start.
pub(crate) const INSTANCE_HEADER: &str = "jhe-ow-instance";

pub(crate) fn routes() -> Vec<Route> {
    vec![fixed("/healthz", health), get("/readyz", OPEN, ready)]
}

fn health() -> Response {
    let mut response = with_type("text/plain; charset=utf-8", "ok\n");
    if let Ok(value) = HeaderValue::from_str(process_instance()) {
        response.headers_mut().insert(INSTANCE_HEADER, value);
    }
    response
}

async fn ready(app: &App, _: &Request, _: &Anyone) -> HandlerResult {
    let Readiness { reasons, waits_for_vacuum } = readiness::check(app).await;
    let waits = waits_for_vacuum.then_some(
        "the file is being rewritten after an erasure: writes and the tick wait, and go on once that has ended",
    );
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(json_response(status, &json!({ "ready": reasons.is_empty(), "reasons": reasons, "waits": waits })))
}
