//! `POST /webhooks/ow`: OW says whose data have come, signed as Svix signs. It is a hint and no more: what it says of
//! samples is not read.

use bytes::Buf;
use futures_util::Stream;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use warp::reply::Response;

use crate::app::hint_queue::Hint;
use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::web::body::collect;
use crate::web::response::{Refusal, with_status, with_type};

/// Bytes of a message: OW puts up to 2500 samples of some 170 bytes into one.
const LARGEST: usize = 1024 * 1024;

/// What a hint needs of a message.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type", default)]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    user_id: String,
    /// Of samples: the first one.
    #[serde(default)]
    start_time: Option<String>,
    /// Of runs: as OW's list has them.
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    run_id: Option<String>,
    #[serde(default)]
    items_processed: Option<i64>,
}

/// Takes a message. Without a secret in the configuration there is nothing here.
pub(crate) async fn take(
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
    let now = app.clock.now();
    if let Err(why) = secret.check(id, at, &body, signatures, now) {
        app.unsigned.warn(why, at, now);
        return Err(unsigned());
    }
    // One of another kind is taken as well, so that it is not sent again and again.
    if let Ok(message) = serde_json::from_slice::<Message>(&body)
        && let Some(hint) = hint(&message)
    {
        app.hints.take_message(id, &message.data.user_id, hint);
    }
    Ok(with_status(StatusCode::NO_CONTENT, with_type("text/plain; charset=utf-8", "")))
}

/// What a message hints at; nothing where nothing new has come.
fn hint(Message { kind, data }: &Message) -> Option<Hint> {
    if kind == "sync.started" || data.items_processed == Some(0) {
        return None;
    }
    let since = data.start_time.as_deref().and_then(|at| Timestamp::parse(at).ok());
    let is_past = data.source.as_deref() == Some("backfill");
    let runs = data.run_id.iter().filter(|_| is_past).cloned().collect();
    Some(Hint { since, runs })
}
