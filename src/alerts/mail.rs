//! Sends alerts by mail.

use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::alerts::message::AlertMessage;
use crate::common::{failure::root_cause, redact::redact, time::Timestamp};
use crate::config::alerts::{Mail, SmtpTls};

/// Time limit of a whole delivery. Some mail servers delay their greeting on purpose. One that has not taken
/// the message by then is tried again later.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Characters of the server's error that are passed on.
const ERROR_CHARS: usize = 200;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Parses the address of a person; none if it is none.
pub(crate) fn parse_recipient(address: &str) -> Option<Mailbox> {
    address.parse().ok().map(|address| Mailbox::new(None, address))
}

/// Sends a message to all configured recipients.
pub(crate) async fn send(
    mail: &Mail,
    message: &AlertMessage,
    id: &str,
    now: Timestamp,
) -> Result<(), String> {
    let describe = |error: lettre::transport::smtp::Error| {
        let secret = mail.credentials.iter().map(|(_, password)| password.expose_secret());
        format!("the mail server {}: {}", mail.host, redact(&root_cause(&error), ERROR_CHARS, secret))
    };
    let micros = u64::try_from(now.micros()).unwrap_or_default();
    let mut mail_message = lettre::Message::builder()
        .from(mail.from.clone())
        .subject(&message.subject)
        .date(std::time::UNIX_EPOCH + Duration::from_micros(micros))
        .message_id(Some(format!("<{id}@jhe-ow>")))
        .header(ContentType::TEXT_PLAIN);
    for to in &mail.to {
        mail_message = mail_message.to(to.clone());
    }
    let mail_message =
        mail_message.body(message.text.clone()).map_err(|error| format!("no mail can be made: {error}"))?;
    let builder = match mail.tls {
        SmtpTls::Implicit => Transport::relay(&mail.host).map_err(describe)?,
        SmtpTls::StartTls => Transport::starttls_relay(&mail.host).map_err(describe)?,
        SmtpTls::None => Transport::builder_dangerous(&mail.host),
    };
    let mut builder = builder.port(mail.port).timeout(Some(TIMEOUT));
    if let Some((user, password)) = &mail.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    // The library's limit covers the connection alone; this one covers a server that stays silent afterwards.
    match timeout(TIMEOUT, builder.build::<Tokio1Executor>().send(mail_message)).await {
        Ok(sent) => sent.map(drop).map_err(describe),
        Err(_) => Err(format!("the mail server {} did not answer within {} s", mail.host, TIMEOUT.as_secs())),
    }
}
