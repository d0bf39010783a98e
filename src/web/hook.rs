//! `POST /webhooks/ow`: OW says whose data have come, signed as Svix signs. It is a hint and no more: what it says of
//! samples is not read.

use bytes::Buf;
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use warp::reply::Response;

use super::App;
use super::answer::{Refusal, with_status, with_type};
use super::routes::collect;
use crate::hints::{Hint, Past};
use crate::time::Timestamp;

/// Bytes of a message: OW puts up to 2500 samples of some 170 bytes into one.
const LARGEST: usize = 1024 * 1024;

/// What a hint needs of a message.
#[derive(Deserialize)]
struct Message {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    user_id: String,
    #[serde(default)]
    start_time: Option<String>,
    #[serde(default)]
    source: Option<String>,
}

/// Takes a message. Without a secret in the configuration there is nothing here.
pub(super) async fn take(
    app: &App,
    headers: &HeaderMap,
    body: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
) -> Result<Response, Refusal> {
    let config = app.live.config();
    let Some(secret) = &config.ow_webhook_secret else { return Err(Refusal::not_found()) };
    let unsigned = || {
        Refusal::new(
            StatusCode::UNAUTHORIZED,
            "Not signed",
            "The message is not signed by OW. Nothing was changed.",
        )
    };
    let header = |names: [&str; 2]| {
        let found = names.into_iter().find_map(|name| headers.get(name));
        found.and_then(|value| value.to_str().ok()).ok_or_else(unsigned)
    };
    // The same under the names of the Standard Webhooks.
    let id = header(["svix-id", "webhook-id"])?;
    let at = header(["svix-timestamp", "webhook-timestamp"])?;
    let signatures = header(["svix-signature", "webhook-signature"])?;
    let body = collect(body, LARGEST).await?;
    if !secret.is_signed(id, at, &body, signatures, app.clock.now()) {
        return Err(unsigned());
    }
    // One of another kind is taken as well, so that it is not sent again and again.
    if let Ok(Message { data }) = serde_json::from_slice(&body) {
        app.hints.take_message(id, &data.user_id, hint(&data));
    }
    Ok(with_status(StatusCode::NO_CONTENT, with_type("text/plain; charset=utf-8", "")))
}

fn hint(data: &Data) -> Hint {
    let start = data.start_time.as_deref().and_then(|at| Timestamp::parse(at).ok());
    let is_backfill = data.source.as_deref() == Some("backfill");
    Hint { past: start.map(Past::To).or_else(|| is_backfill.then_some(Past::Began(None))) }
}
