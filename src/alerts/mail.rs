//! Messages by mail.

use std::time::Duration;

use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::alerts::message::Message;
use crate::common::failure::deepest_cause;
use crate::common::redact::quote;
use crate::common::time::Timestamp;
use crate::config::alerts::{Mail, SmtpTls};

/// From the first word to the last. A mail server takes its time over who is greeted; one that has not taken the message
/// by then is tried again later.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Characters of the server's words that are passed on.
const ERROR_CHARS: usize = 200;

/// Sends a message to everybody of the configuration.
///
/// # Errors
/// Why the server did not take it.
pub(crate) async fn send(mail: &Mail, message: &Message, id: &str, now: Timestamp) -> Result<(), String> {
    let told = |error: lettre::transport::smtp::Error| {
        let secret = mail.credentials.iter().map(|(_, password)| password.expose_secret());
        format!("the mail server {}: {}", mail.host, quote(&deepest_cause(&error), ERROR_CHARS, secret))
    };
    let micros = u64::try_from(now.micros()).unwrap_or_default();
    let mut letter = lettre::Message::builder()
        .from(mail.from.clone())
        .subject(&message.subject)
        .date(std::time::UNIX_EPOCH + Duration::from_micros(micros))
        .message_id(Some(format!("<{id}@jhe-ow>")))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        letter = letter.to(to.clone());
    }
    let letter =
        letter.body(message.text.clone()).map_err(|error| format!("no mail can be made: {error}"))?;
    let builder = match mail.tls {
        SmtpTls::Whole => AsyncSmtpTransport::<Tokio1Executor>::relay(&mail.host).map_err(told)?,
        SmtpTls::StartTls => {
            AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&mail.host).map_err(told)?
        }
        SmtpTls::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&mail.host),
    };
    let mut builder = builder.port(mail.port).timeout(Some(TIMEOUT));
    if let Some((user, password)) = &mail.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    // The library's own limit is one of the connection alone: who accepts it and says nothing would be waited for.
    match timeout(TIMEOUT, builder.build::<Tokio1Executor>().send(letter)).await {
        Ok(sent) => sent.map(drop).map_err(told),
        Err(_) => Err(format!("the mail server {} did not answer within {} s", mail.host, TIMEOUT.as_secs())),
    }
}
