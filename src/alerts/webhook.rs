//! Messages to the webhook of the configuration.

use std::time::Duration;

use reqwest::redirect;
use secrecy::{ExposeSecret, SecretString};

use crate::alerts::message::Message;
use crate::common::failure::deepest_cause;
use crate::common::time::Timestamp;
use crate::secrets::webhook_signature::{Secret, seconds};

/// A chat answers within a second; one that has not by then is tried again later.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a message. `id` names it, the same each time that it is tried again.
///
/// # Errors
/// Why it did not arrive, without the address, which may hold a secret.
pub(crate) async fn send(
    address: &SecretString,
    secret: Option<&Secret>,
    message: &Message,
    id: &str,
    now: Timestamp,
) -> Result<(), String> {
    let address = address.expose_secret();
    let client = reqwest::Client::builder()
        .user_agent(concat!("jhe-ow/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .tls_built_in_native_certs(address.starts_with("https:"))
        .build()
        .map_err(|error| format!("no HTTPS client: {}", error.without_url()))?;
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
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("the webhook answered {}", answer.status().as_u16())),
        Err(error) => {
            let error = error.without_url();
            let what =
                if error.is_timeout() { "did not answer in time".to_owned() } else { deepest_cause(&error) };
            Err(format!("the webhook cannot be reached: {what}"))
        }
    }
}
