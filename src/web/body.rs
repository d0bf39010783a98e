//! Reads the body of a request, within a limit of size and of time.

use std::time::Duration;

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use http::StatusCode;

use crate::i18n::phrase::Phrase;
use crate::web::response::Refusal;

/// Bytes of a form: the longest has a purpose of some thousand characters in it.
pub(crate) const LARGEST_FORM: usize = 64 * 1024;

/// A body that has not arrived by then is not going to.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Reads a body of at most `largest` bytes; a route that takes none leaves it unread.
pub(crate) async fn read(
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
    largest: usize,
) -> Result<Vec<u8>, Refusal> {
    let collect = async {
        let mut bytes = Vec::new();
        let mut body = std::pin::pin!(body);
        while largest > 0
            && let Some(chunk) = body.next().await
        {
            let Ok(mut chunk) = chunk else {
                return Err(Refusal::bad(Phrase::key("error-cut-form")));
            };
            if bytes.len() + chunk.remaining() > largest {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                return Err(Refusal::of_key(status, "error-too-large", "error-too-large-text"));
            }
            while chunk.has_remaining() {
                bytes.extend_from_slice(chunk.chunk());
                chunk.advance(chunk.chunk().len());
            }
        }
        Ok(bytes)
    };
    let late = |_| Refusal::of_key(StatusCode::REQUEST_TIMEOUT, "error-too-slow", "error-too-slow-text");
    tokio::time::timeout(TIMEOUT, collect).await.map_err(late)?
}
