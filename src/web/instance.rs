//! Which process it is that answers: drawn anew at each start, noted in the data directory, and told with /healthz, so
//! that who asks through a public address can tell whether it is this daemon that answers there.

use http::HeaderValue;
use warp::reply::Response;

use crate::app::instance::of_process;

/// The header that names the instance. It is random and says nothing about anyone.
pub(crate) const HEADER: &str = "jhe-ow-instance";

/// Names the instance in an answer.
pub(crate) fn named(mut answer: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(of_process()) {
        answer.headers_mut().insert(HEADER, value);
    }
    answer
}
