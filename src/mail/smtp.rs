//! Sends a mail through the configured mail server.

use std::fmt;
use std::time::Duration;

use lettre::message::header::{self, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use crate::common::{failure::root_cause, redact::redact, time::Timestamp};
use crate::config::alerts::{Mail, SmtpTls};

/// Time limit of a whole delivery. Some mail servers delay their greeting on purpose. One that has not taken
/// the message by then is tried again later.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Characters of the server's error that are passed on.
const ERROR_CHARS: usize = 200;

/// Answers about our own account at the mail server (RFC 4954). They are no verdict on the recipient.
const AUTHENTICATION: [u16; 4] = [530, 534, 535, 538];

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// A mail of plain text.
#[derive(Debug)]
pub(crate) struct OutgoingMail<'a> {
    /// The part of the Message-ID before the @. A repeat has the same one.
    pub(crate) id: &'a str,
    pub(crate) to: &'a [Mailbox],
    pub(crate) subject: &'a str,
    pub(crate) text: &'a str,
    /// The address that ends mails of this kind, also by a POST without a page (RFC 8058).
    pub(crate) unsubscribe: Option<&'a str>,
}

/// The reason why a mail was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MailError {
    /// The server refuses this mail for good.
    Refused(String),
    /// The server refuses this mail for now.
    Deferred(String),
    /// No mail can be sent: the server is out of reach or refuses our account.
    Unavailable(String),
    /// The connection ended after the mail was handed over. It may have arrived.
    Unknown(String),
}

impl MailError {
    pub(crate) fn text(&self) -> &str {
        let (Self::Refused(text) | Self::Deferred(text) | Self::Unavailable(text) | Self::Unknown(text)) =
            self;
        text
    }
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// Parses the address of a person; none if it is none.
pub(crate) fn parse_recipient(address: &str) -> Option<Mailbox> {
    address.parse().ok().map(|address| Mailbox::new(None, address))
}

/// Sends a mail to all its recipients.
pub(crate) async fn send(server: &Mail, mail: &OutgoingMail<'_>, now: Timestamp) -> Result<(), MailError> {
    let message = build(server, mail, now).map_err(MailError::Refused)?;
    let describe = |error: &lettre::transport::smtp::Error| {
        let secret = server.credentials.iter().map(|(_, password)| password.expose_secret());
        let status = error.status().map(|code| format!("{code} ")).unwrap_or_default();
        let cause = redact(&root_cause(error), ERROR_CHARS, secret);
        format!("the mail server {}: {status}{cause}", server.host)
    };
    let unavailable = |error: lettre::transport::smtp::Error| MailError::Unavailable(describe(&error));
    let builder = match server.tls {
        SmtpTls::Implicit => Transport::relay(&server.host).map_err(unavailable)?,
        SmtpTls::StartTls => Transport::starttls_relay(&server.host).map_err(unavailable)?,
        SmtpTls::None => Transport::builder_dangerous(&server.host),
    };
    let mut builder = builder.port(server.port).timeout(Some(TIMEOUT));
    if let Some((user, password)) = &server.credentials {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
    }
    // The library's limit covers the connection alone; this one covers a server that stays silent afterwards.
    match timeout(TIMEOUT, builder.build::<Tokio1Executor>().send(message)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(classify(&error, describe(&error))),
        Err(_) => {
            let seconds = TIMEOUT.as_secs();
            Err(MailError::Unknown(format!(
                "the mail server {} did not answer within {seconds} s",
                server.host
            )))
        }
    }
}

fn classify(error: &lettre::transport::smtp::Error, text: String) -> MailError {
    match error.status().map(u16::from) {
        Some(code) if AUTHENTICATION.contains(&code) => MailError::Unavailable(text),
        Some(_) if error.is_permanent() => MailError::Refused(text),
        Some(_) => MailError::Deferred(text),
        // A connection that breaks after it was made may have carried the mail.
        None if error.to_string().starts_with("network error") => MailError::Unknown(text),
        None => MailError::Unavailable(text),
    }
}

fn build(server: &Mail, mail: &OutgoingMail<'_>, now: Timestamp) -> Result<lettre::Message, String> {
    let micros = u64::try_from(now.micros()).unwrap_or_default();
    let mut message = lettre::Message::builder()
        .from(server.from.clone())
        .mailbox(header::To::from(mail.to.iter().cloned().collect::<Mailboxes>()))
        .subject(mail.subject)
        .date(std::time::UNIX_EPOCH + Duration::from_micros(micros))
        .message_id(Some(format!("<{}@{}>", mail.id, server.from.email.domain())))
        .header(header::MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.to_owned())
        .map_err(|error| format!("no mail can be made: {error}"))?;
    // No holiday reply is wanted (RFC 3834).
    let mut extra = vec![("Auto-Submitted", "auto-generated".to_owned())];
    if let Some(address) = mail.unsubscribe {
        extra.push(("List-Unsubscribe", format!("<{address}>")));
        extra.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    for (name, value) in extra {
        message.headers_mut().insert_raw(HeaderValue::new(HeaderName::new_from_ascii_str(name), value));
    }
    Ok(message)
}
