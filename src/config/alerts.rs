//! Configuration of the alert channels, a webhook and a mail server. The mail server also takes mails to patients.

use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};

use crate::common::failure::Failure;
use crate::config::{keys, sources::Sources};
use crate::secrets::webhook_signature::WebhookSecret;

/// Port for implicit TLS (RFC 8314).
const IMPLICIT_TLS_PORT: u16 = 465;
const STARTTLS_PORT: u16 = 587;

/// The alert channels. Without any, no alert is sent.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    /// Address of the webhook. The address of a chat contains a secret.
    pub webhook: Option<SecretString>,
    /// Signs messages to the webhook.
    pub webhook_secret: Option<WebhookSecret>,
    pub mail: Option<Mail>,
}

/// A mail server and the sender, for alerts, for notices to accounts and for mails to patients.
#[derive(Debug, Clone)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// User and password, if the server asks for them.
    pub credentials: Option<(String, SecretString)>,
    pub from: Mailbox,
    /// The recipients of alerts. Empty: alerts do not go out by mail.
    pub to: Vec<Mailbox>,
}

/// Encryption of the connection to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// TLS from the first byte.
    Implicit,
    /// TLS after STARTTLS; if the server lacks it, nothing is sent.
    StartTls,
    /// Plain text, only to a server on this machine.
    None,
}

#[derive(Debug, PartialEq, Eq)]
struct SmtpServer {
    host: String,
    port: u16,
    tls: SmtpTls,
}

pub(crate) fn load(sources: &Sources<'_>) -> Result<Alerts, Failure> {
    let webhook = sources.find_secret(&keys::ALERTS_WEBHOOK)?;
    if let Some(address) = &webhook {
        let url = reqwest::Url::parse(address.expose_secret()).ok();
        if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            // The address may contain a secret, so the message does not show it.
            let message = "alerts.webhook is no http or https address";
            return Err(Failure::usage(message, "copy it again, as the chat shows it"));
        }
    }
    let webhook_secret = webhook_secret(sources, &keys::ALERTS_WEBHOOK_SECRET)?;
    Ok(Alerts { webhook, webhook_secret, mail: mail(sources)? })
}

pub(crate) fn webhook_secret(
    sources: &Sources<'_>,
    key: &keys::Secret,
) -> Result<Option<WebhookSecret>, Failure> {
    let text = sources.find_secret(key)?;
    text.map(|text| WebhookSecret::parse(&text)).transpose().map_err(|why| {
        Failure::usage(
            format!("{} {why}", key.plain.path),
            "it is whsec_ and base64, such as whsec_$(openssl rand -base64 24)",
        )
    })
}

fn mail(sources: &Sources<'_>) -> Result<Option<Mail>, Failure> {
    let server = sources.parse(&keys::ALERTS_SMTP_URL, parse_server)?;
    let from = sources.parse(&keys::ALERTS_MAIL_FROM, parse_mailbox)?;
    let to = sources.parse(&keys::ALERTS_MAIL_TO, parse_mailboxes)?;
    let user = sources.find(&keys::ALERTS_SMTP_USER).map(|found| found.value.trim().to_owned());
    let password = sources.find_secret(&keys::ALERTS_SMTP_PASSWORD)?;
    let credentials = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        _ => {
            return Err(Failure::usage(
                "only one of alerts.smtp_user and alerts.smtp_password is set",
                "set both, or neither where the mail server asks for none",
            ));
        }
    };
    match (server, from, to) {
        (Some(SmtpServer { host, port, tls }), Some(from), to) => {
            let to = to.unwrap_or_default();
            Ok(Some(Mail { host, port, tls, credentials, from, to }))
        }
        (None, None, None) if credentials.is_none() => Ok(None),
        _ => Err(Failure::usage(
            "mail takes alerts.smtp_url and alerts.mail_from, and one of them is not set",
            "set both, or neither; alerts.mail_to names who gets alerts",
        )),
    }
}

fn parse_server(text: &str) -> Result<SmtpServer, String> {
    let expected = || {
        "give smtps://mail.example.org (port 465), or smtp://mail.example.org (STARTTLS, port 587)".to_owned()
    };
    let url = reqwest::Url::parse(text).map_err(|_| expected())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(expected)?.to_owned();
    if !url.username().is_empty() || url.password().is_some() || !matches!(url.path(), "" | "/") {
        return Err(format!("{}; the user and the password have keys of their own", expected()));
    }
    // Plain text is safe only if it never leaves this machine.
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    match url.scheme() {
        "smtps" => {
            Ok(SmtpServer { host, port: url.port().unwrap_or(IMPLICIT_TLS_PORT), tls: SmtpTls::Implicit })
        }
        "smtp" if is_local => Ok(SmtpServer { host, port: url.port().unwrap_or(25), tls: SmtpTls::None }),
        "smtp" => Ok(SmtpServer { host, port: url.port().unwrap_or(STARTTLS_PORT), tls: SmtpTls::StartTls }),
        _ => Err(expected()),
    }
}

fn parse_mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| "give an address such as jhe-ow@example.org".to_owned())
}

/// Parses addresses, separated by commas.
fn parse_mailboxes(text: &str) -> Result<Vec<Mailbox>, String> {
    text.split(',').map(|one| parse_mailbox(one.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mail_server_on_this_machine_gets_plain_text() {
        let server = |host: &str, port, tls| Ok(SmtpServer { host: host.to_owned(), port, tls });
        assert_eq!(
            parse_server("smtps://mail.example.org"),
            server("mail.example.org", 465, SmtpTls::Implicit)
        );
        assert_eq!(
            parse_server("smtp://mail.example.org"),
            server("mail.example.org", 587, SmtpTls::StartTls)
        );
        assert_eq!(parse_server("smtp://127.0.0.1:2525"), server("127.0.0.1", 2525, SmtpTls::None));
        for wrong in ["mail.example.org", "http://mail.example.org", "smtp://me:secret@mail.example.org"] {
            assert!(parse_server(wrong).is_err_and(|why| !why.contains("secret")), "{wrong}");
        }
    }
}
