//! Which process it is that answers: drawn anew at each start, noted in the data directory, and told with /healthz, so
//! that who asks through a public address can tell whether it is this daemon that answers there.

use std::sync::LazyLock;

use http::HeaderValue;
use warp::reply::Response;

/// The header that names the instance. It is random and says nothing about anyone.
pub(crate) const HEADER: &str = "jhe-ow-instance";

static INSTANCE: LazyLock<String> = LazyLock::new(|| {
    let mut bytes = [0; 16];
    // Without randomness it is the same at each start, which makes nothing but the comparison worthless.
    let _ = getrandom::fill(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().simple().to_string()
});

/// The instance that this process is.
pub(crate) fn of_process() -> &'static str {
    &INSTANCE
}

/// Names the instance in an answer.
pub(super) fn named(mut answer: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(of_process()) {
        answer.headers_mut().insert(HEADER, value);
    }
    answer
}
