//! Sends alerts to the configured webhook.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::alerts::message::AlertMessage;
use crate::common::{failure::root_cause, http_client, time::Timestamp};
use crate::secrets::webhook_signature::{WebhookSecret, seconds};

/// A chat answers within a second. One that has not answered by then is tried again later.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a message. `id` is the same at each attempt. The error never contains the address, which may hold a
/// secret.
pub(crate) async fn send(
    address: &SecretString,
    secret: Option<&WebhookSecret>,
    message: &AlertMessage,
    id: &str,
    now: Timestamp,
) -> Result<(), String> {
    let address = address.expose_secret();
    let client = http_client::build(http_client::builder(address, TIMEOUT)).map_err(|error| error.message)?;
    let body = message.body.to_string();
    let mut request = client
        .post(address)
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", seconds(now).to_string());
    if let Some(secret) = secret {
        request = request.header("webhook-signature", secret.sign(id, now, body.as_bytes()));
    }
    match request.body(body).send().await {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("the webhook answered {}", response.status().as_u16())),
        Err(error) => {
            let error = error.without_url();
            let cause =
                if error.is_timeout() { "did not answer in time".to_owned() } else { root_cause(&error) };
            Err(format!("the webhook cannot be reached: {cause}"))
        }
    }
}
