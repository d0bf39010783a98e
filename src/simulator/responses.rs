//! HTTP responses as OW gives them.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, LOCATION};
use http::{HeaderValue, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

pub(crate) type ResponseBody = UnsyncBoxBody<Bytes, std::io::Error>;
pub(crate) type SimulatedResponse = http::Response<ResponseBody>;

pub(crate) fn json_response(status: StatusCode, body: impl Into<Bytes>) -> SimulatedResponse {
    response(status, "application/json", full(body))
}

/// Answers 200 with the value, or 400 with OW's error text.
pub(crate) fn ok_or_bad_request(result: Result<Value, String>) -> SimulatedResponse {
    match result {
        Ok(value) => json_response(StatusCode::OK, value.to_string()),
        Err(text) => error_response(StatusCode::BAD_REQUEST, &text),
    }
}

pub(crate) fn error_response(status: StatusCode, detail: &str) -> SimulatedResponse {
    json_response(status, json!({ "detail": detail }).to_string())
}

/// Answers with a status that a test chose. OW's 500 is no JSON.
pub(crate) fn fault_response(status: u16) -> SimulatedResponse {
    match StatusCode::from_u16(status) {
        Ok(StatusCode::INTERNAL_SERVER_ERROR) | Err(_) => response(
            StatusCode::INTERNAL_SERVER_ERROR,
            "text/plain; charset=utf-8",
            full("Internal Server Error"),
        ),
        Ok(status) => error_response(status, status.canonical_reason().unwrap_or("Error")),
    }
}

pub(crate) fn redirect(status: StatusCode, location: &str) -> SimulatedResponse {
    with_header(response(status, "text/plain", full("")), LOCATION, location)
}

/// Sets a header, unless its value is none that HTTP allows.
pub(crate) fn with_header(
    mut response: SimulatedResponse,
    name: HeaderName,
    value: &str,
) -> SimulatedResponse {
    response.headers_mut().extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
    response
}

pub(crate) fn response(
    status: StatusCode,
    content_type: &'static str,
    body: ResponseBody,
) -> SimulatedResponse {
    let mut response = SimulatedResponse::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

pub(crate) fn full(body: impl Into<Bytes>) -> ResponseBody {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}
