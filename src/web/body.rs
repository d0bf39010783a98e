use std::time::Duration;

use bytes::Buf;
use futures_util::{Stream, StreamExt};
use http::{Method, StatusCode};

use crate::web::request::Fields;
use crate::web::response::Refusal;

/// The fields of a form; what is no form has none.
pub(crate) async fn read_form(
    method: &Method,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<Fields, Refusal> {
    if method == Method::GET {
        return Ok(Fields::default());
    }
    Ok(Fields::parse(&collect(body, LARGEST_FORM).await?))
}

/// All of a body, of at most `largest` bytes.
pub(crate) async fn collect(
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
    largest: usize,
) -> Result<Vec<u8>, Refusal> {
    let collect = async {
        let mut bytes = Vec::new();
        let mut body = std::pin::pin!(body);
        while let Some(piece) = body.next().await {
            let Ok(piece) = piece else { return Err(Refusal::bad("The form did not arrive as a whole.")) };
            if bytes.len() + piece.remaining() > largest {
                let text = "Nothing that is sent here is that large. Nothing was changed.";
                return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large", text));
            }
            bytes.extend(piece.chunk());
        }
        Ok(bytes)
    };
    let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "Too slow", "The form did not arrive in time.");
    tokio::time::timeout(FORM_TIMEOUT, collect).await.map_err(late)?
}

/// Bytes of a form: the longest has a purpose of some thousand characters in it.
pub(crate) const LARGEST_FORM: usize = 64 * 1024;

/// A form that has not arrived by then is not going to.
pub(crate) const FORM_TIMEOUT: Duration = Duration::from_secs(10);
