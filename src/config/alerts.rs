//! Where alerts go: a webhook, a mail server.

use lettre::message::Mailbox;
use secrecy::{ExposeSecret, SecretString};

use crate::common::failure::Failure;
use crate::config::sources::Sources;
use crate::config::{keys, secret};
use crate::secrets::webhook_signature::Secret;

/// The ports of mail servers: encrypted from the first byte on, and after STARTTLS.
const WHOLE_PORT: u16 = 465;
const STARTTLS_PORT: u16 = 587;

/// Where alerts go; nowhere unless somebody says.
#[derive(Debug, Clone, Default)]
pub struct Alerts {
    /// The webhook's address. Those of chats have a secret in them.
    pub webhook: Option<SecretString>,
    /// What messages to the webhook are signed with.
    pub webhook_secret: Option<Secret>,
    /// How mail goes out.
    pub mail: Option<Mail>,
}

/// A mail server, and who writes to whom.
#[derive(Debug, Clone)]
pub struct Mail {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// Who signs in there, where it asks for that.
    pub credentials: Option<(String, SecretString)>,
    /// Who writes.
    pub from: Mailbox,
    /// Who is written to.
    pub to: Vec<Mailbox>,
}

/// How the connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte on.
    Whole,
    /// After STARTTLS; without it nothing is sent.
    StartTls,
    /// Not at all: the server is on this machine.
    None,
}

/// A mail server's address.
#[derive(Debug, PartialEq, Eq)]
struct Server {
    host: String,
    port: u16,
    tls: SmtpTls,
}

pub(crate) fn load(sources: &Sources<'_>) -> Result<Alerts, Failure> {
    let webhook = secret::find(sources, &keys::ALERTS_WEBHOOK)?;
    if let Some(address) = &webhook {
        let url = reqwest::Url::parse(address.expose_secret()).ok();
        if !url.is_some_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()) {
            // The text may hold a secret: it is in no message.
            let what = "alerts.webhook is no http or https address";
            return Err(Failure::usage(what, "copy it again, as the chat shows it"));
        }
    }
    let webhook_secret = signing_secret(sources, &keys::ALERTS_WEBHOOK_SECRET)?;
    Ok(Alerts { webhook, webhook_secret, mail: mail(sources)? })
}

/// A secret that signs webhooks, or verifies them.
pub(crate) fn signing_secret(sources: &Sources<'_>, of: &keys::Secret) -> Result<Option<Secret>, Failure> {
    let text = secret::find(sources, of)?;
    text.map(|text| Secret::parse(&text)).transpose().map_err(|what| {
        Failure::usage(
            format!("{} {what}", of.plain.path),
            "it is whsec_ and base64, such as whsec_$(openssl rand -base64 24)",
        )
    })
}

fn mail(sources: &Sources<'_>) -> Result<Option<Mail>, Failure> {
    let server = sources.parse(&keys::ALERTS_SMTP_URL, parse_server)?;
    let from = sources.parse(&keys::ALERTS_MAIL_FROM, parse_mailbox)?;
    let to = sources.parse(&keys::ALERTS_MAIL_TO, parse_mailboxes)?;
    let user = sources.find(&keys::ALERTS_SMTP_USER).map(|found| found.value.trim().to_owned());
    let password = secret::find(sources, &keys::ALERTS_SMTP_PASSWORD)?;
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
        (Some(Server { host, port, tls }), Some(from), Some(to)) => {
            Ok(Some(Mail { host, port, tls, credentials, from, to }))
        }
        (None, None, None) if credentials.is_none() => Ok(None),
        _ => Err(Failure::usage(
            "mail takes alerts.smtp_url, alerts.mail_from and alerts.mail_to, and one of them is not set",
            "set all three, or none",
        )),
    }
}

fn parse_server(text: &str) -> Result<Server, String> {
    let wrong = || {
        "give smtps://mail.example.org (port 465), or smtp://mail.example.org (STARTTLS, port 587)".to_owned()
    };
    let url = reqwest::Url::parse(text).map_err(|_| wrong())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?.to_owned();
    if !url.username().is_empty() || url.password().is_some() || !matches!(url.path(), "" | "/") {
        return Err(format!("{}; the user and the password have keys of their own", wrong()));
    }
    let is_here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    match url.scheme() {
        "smtps" => Ok(Server { host, port: url.port().unwrap_or(WHOLE_PORT), tls: SmtpTls::Whole }),
        "smtp" if is_here => Ok(Server { host, port: url.port().unwrap_or(25), tls: SmtpTls::None }),
        "smtp" => Ok(Server { host, port: url.port().unwrap_or(STARTTLS_PORT), tls: SmtpTls::StartTls }),
        _ => Err(wrong()),
    }
}

fn parse_mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| "give an address such as jhe-ow@example.org".to_owned())
}

/// Addresses with commas in between.
fn parse_mailboxes(text: &str) -> Result<Vec<Mailbox>, String> {
    text.split(',').map(|one| parse_mailbox(one.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mail_server_on_this_machine_is_spoken_to_in_the_clear() {
        let server = |host: &str, port, tls| Ok(Server { host: host.to_owned(), port, tls });
        assert_eq!(parse_server("smtps://mail.example.org"), server("mail.example.org", 465, SmtpTls::Whole));
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
