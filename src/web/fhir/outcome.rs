//! Errors in FHIR's form: an `OperationOutcome`.

use http::StatusCode;
use serde_json::json;
use warp::reply::Response;

use crate::web::response::{with_status, with_type};

/// The media type of FHIR's JSON.
pub(crate) const FHIR_JSON: &str = "application/fhir+json";

/// Builds an error. `text` says what is wrong and what to do.
pub(crate) fn outcome(status: StatusCode, text: &str) -> Response {
    // The codes of FHIR's value set "issue-type".
    let code = match status {
        StatusCode::BAD_REQUEST => "invalid",
        StatusCode::UNAUTHORIZED => "login",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::GONE => "deleted",
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_ACCEPTABLE => "not-supported",
        StatusCode::TOO_MANY_REQUESTS => "throttled",
        StatusCode::SERVICE_UNAVAILABLE => "transient",
        _ => "processing",
    };
    let issue = json!({ "severity": "error", "code": code, "diagnostics": text });
    let body = json!({ "resourceType": "OperationOutcome", "issue": [issue] });
    with_status(status, with_type(FHIR_JSON, body.to_string()))
}
