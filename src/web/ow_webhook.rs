//! `POST /webhooks/ow`: a message of OW about a user's new data, signed as Svix signs. It is a hint only: the
//! samples in it are not read.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde::Deserialize;

use crate::app::{hint_queue::Hint, state::App};
use crate::common::time::Timestamp;
use crate::web::access::{Access, AccessRule};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, with_status, with_type};
use crate::web::route::{Route, route};

/// Bytes of a message: OW puts up to 2500 samples of some 170 bytes into one.
const LARGEST: usize = 1024 * 1024;

/// The fields of a message that a hint is made from.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type", default)]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    user_id: String,
    /// Of the first sample.
    #[serde(default)]
    start_time: Option<String>,
    /// As in OW's list of sync runs.
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    run_id: Option<String>,
    #[serde(default)]
    items_processed: Option<i64>,
}

/// The headers of a signed message. Standard Webhooks has other names for them than Svix.
struct Signed {
    id: String,
    timestamp: String,
    signatures: String,
}

/// Lets a message in that may be signed; its signature covers the body too, and is checked with it.
const SIGNED: AccessRule<Signed> =
    AccessRule(Access::OwSignature, |app, request| Box::pin(async { Ok(read_headers(app, request)?) }));

pub(crate) fn routes() -> Vec<Route> {
    vec![route(Method::POST, "/webhooks/ow", SIGNED, LARGEST, Arc::new(receive))]
}

/// Without a secret in the configuration the address does not exist.
fn read_headers(app: &App, request: &Request) -> Result<Signed, Refusal> {
    app.live.config().ow_webhook_secret.ok_or_else(Refusal::not_found)?;
    let header = |name: &str| {
        let value = ["svix", "webhook"].iter().find_map(|kind| request.headers.get(format!("{kind}-{name}")));
        value.and_then(|value| value.to_str().ok()).map(str::to_owned).ok_or_else(unsigned)
    };
    Ok(Signed { id: header("id")?, timestamp: header("timestamp")?, signatures: header("signature")? })
}

fn unsigned() -> Refusal {
    let text = "The message is not signed by OW. Nothing was changed.";
    Refusal::new(StatusCode::UNAUTHORIZED, "Not signed", text)
}

async fn receive(app: &App, request: &Request, signed: &Signed) -> HandlerResult {
    let secret = app.live.config().ow_webhook_secret.ok_or_else(Refusal::not_found)?;
    let (Signed { id, timestamp, signatures }, now) = (signed, app.clock.now());
    if let Err(reason) = secret.verify(id, timestamp, &request.body, signatures, now) {
        app.webhook_warnings.warn(reason, timestamp, now);
        return Err(unsigned());
    }
    // A message of an unknown type is accepted as well, so that OW does not send it again.
    if let Ok(message) = serde_json::from_slice::<Message>(&request.body)
        && let Some(hint) = hint(&message)
    {
        app.hints.add_message(id, &message.data.user_id, hint);
    }
    Ok(with_status(StatusCode::NO_CONTENT, with_type("text/plain; charset=utf-8", "")))
}

/// Returns the hint of a message, if it reports new data.
fn hint(Message { kind, data }: &Message) -> Option<Hint> {
    if kind == "sync.started" || data.items_processed == Some(0) {
        return None;
    }
    let since = data.start_time.as_deref().and_then(|at| Timestamp::parse(at).ok());
    let is_past = data.source.as_deref() == Some("backfill");
    let runs = data.run_id.iter().filter(|_| is_past).cloned().collect();
    Some(Hint { since, runs })
}
