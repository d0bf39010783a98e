//! The other endpoints, and how answers are made.

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::json;

pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;
pub(crate) type Answer = Response<Body>;

pub(crate) fn json_answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    with_body(status, "application/json", full(body))
}

pub(crate) fn detail(status: StatusCode, text: &str) -> Answer {
    json_answer(status, json!({ "detail": text }).to_string())
}

/// OW's 500 is no JSON.
pub(crate) fn internal_error() -> Answer {
    with_body(StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", full("Internal Server Error"))
}

pub(crate) fn with_body(status: StatusCode, kind: &'static str, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(kind));
    answer
}

pub(crate) fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never| match never {}).boxed_unsync()
}
