//! The answers to a client that has made too many requests.

use http::{HeaderValue, StatusCode, header};
use warp::reply::Response;

use crate::app::rate_limit::TooMany;
use crate::web::response::Refusal;

impl TooMany {
    pub(crate) fn refusal(self) -> Refusal {
        Refusal::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Too many tries",
            format!("Please wait {} seconds, then try again.", self.0),
        )
    }

    pub(crate) fn into_response(self) -> Response {
        let mut answer = self.refusal().into_response();
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(self.0));
        answer
    }
}
