//! What a process needs to start: where it listens, where its data are, how OW is reached.
//!
//! Flags beat the environment, the environment beats `.env`, that beats the file, and that beats the
//! defaults. What an operator flips at run time is not here but in [`crate::config::settings`].

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::common::failure::Failure;
use crate::common::time::{parse_duration, show_duration};
use crate::config::alerts::Alerts;
use crate::config::base_url::BaseUrl;
use crate::config::environment::Environment;
use crate::config::file::File;
use crate::config::flags::{Flags, LogFormat};
use crate::config::sources::Sources;
use crate::config::{alerts, file, keys, secret};
use crate::secrets::sealing::Key;
use crate::secrets::webhook_signature::Secret;

/// The shortest and the longest time that OW may be given for one answer.
const OW_TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(5);

/// The configuration of a process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the HTTP server listens; 127.0.0.1:8002 by default.
    pub bind: SocketAddr,
    /// Where browsers reach this daemon; none until somebody says.
    pub public_url: Option<BaseUrl>,
    /// Proxies that are believed whom they call for.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say that; `X-Forwarded-For` where none is named.
    pub client_address_header: Option<HeaderName>,
    /// Where the database is.
    pub data_dir: PathBuf,
    /// Where OW is; none until somebody says.
    pub ow_api_url: Option<BaseUrl>,
    /// The key that OW knows us by.
    pub ow_api_key: Option<SecretString>,
    /// How long one answer of OW may take; 30 seconds by default.
    pub ow_timeout: Duration,
    /// Where JHE is; none where the daemon stands alone.
    pub jhe_base_url: Option<BaseUrl>,
    /// What JHE knows us by: base64 of the OAuth client's id and secret, with a colon in between.
    pub jhe_client_key: Option<SecretString>,
    /// Where browsers reach JHE, where that is another address than ours; what its invitations name.
    pub jhe_public_url: Option<BaseUrl>,
    /// The OAuth client of JHE's with which practitioners sign in; none where they do not.
    pub jhe_sign_in_client_id: Option<String>,
    /// What secrets in the database are sealed with; none where nobody says.
    pub secret_key: Option<Key>,
    /// What OW's webhooks are signed with; without it none is taken.
    pub ow_webhook_secret: Option<Secret>,
    /// Where alerts go.
    pub alerts: Alerts,
    /// Where Prometheus reads the metrics; 127.0.0.1:9464 by default, none where they are switched off.
    pub metrics_bind: Option<SocketAddr>,
    /// A level or a filter; `info` by default.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

impl Config {
    /// Where browsers reach this daemon: what was configured, else where it listens.
    pub fn public_base(&self) -> String {
        match &self.public_url {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://{}", self.bind),
        }
    }

    /// Whether observations are exported to JHE.
    pub fn exports(&self) -> bool {
        self.jhe_base_url.is_some() && self.jhe_client_key.is_some()
    }

    /// Where browsers reach JHE; none where the daemon stands alone.
    pub fn jhe_public_base(&self) -> Option<&BaseUrl> {
        self.jhe_public_url.as_ref().or(self.jhe_base_url.as_ref())
    }

    /// Why a link to this daemon will not work on a patient's phone, where that is so.
    pub fn public_url_warning(&self) -> Option<String> {
        let next = "set server.public_url (JHE_OW_PUBLIC_URL) to the https address that patients reach";
        match &self.public_url {
            None => Some(format!(
                "the link begins with {}, which only this machine reaches: {next}",
                self.public_base()
            )),
            Some(url) if url.is_this_machine() => {
                Some(format!("{url} is this machine for whoever opens it: {next}"))
            }
            Some(_) => None,
        }
    }
}

/// Reads flags, environment and file, and checks every value.
///
/// # Errors
/// A usage failure that names key, value, place, and what is allowed.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Config, Failure> {
    environment.refuse_unknown()?;
    let file = File::find(flags.config.as_deref(), environment)?;
    check(&Sources { flags, environment, file })
}

/// Whether anything says where the data are, or they are where they are by default.
///
/// # Errors
/// Where the file cannot be read.
pub(crate) fn names_data_dir(flags: &Flags, environment: &Environment) -> Result<bool, Failure> {
    let file = File::find(flags.config.as_deref(), environment)?;
    let sources = Sources { flags, environment, file };
    Ok(sources.said_data_dir().is_some())
}

/// A configuration of a file's text alone.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_text(text: &str) -> Result<Config, Failure> {
    let (flags, environment) = (Flags::default(), Environment::default());
    let file = File::parse(Path::new(file::NAME), text)?;
    check(&Sources { flags: &flags, environment: &environment, file })
}

fn check(sources: &Sources<'_>) -> Result<Config, Failure> {
    Ok(Config {
        bind: sources.parse(&keys::BIND, parse_bind)?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8002))),
        public_url: sources.parse(&keys::PUBLIC_URL, BaseUrl::parse_own)?,
        trusted_proxies: sources.parse(&keys::TRUSTED_PROXIES, parse_proxies)?.unwrap_or_default(),
        client_address_header: sources.parse(&keys::CLIENT_ADDRESS_HEADER, parse_header)?,
        data_dir: sources.data_dir()?,
        ow_api_url: sources.parse(&keys::OW_API_URL, BaseUrl::parse)?,
        ow_api_key: secret::find(sources, &keys::OW_API_KEY)?,
        ow_timeout: sources.parse(&keys::OW_TIMEOUT, parse_timeout)?.unwrap_or(Duration::from_secs(30)),
        jhe_base_url: sources.parse(&keys::JHE_BASE_URL, BaseUrl::parse_jhe)?,
        jhe_client_key: jhe_client_key(sources)?,
        jhe_public_url: sources.parse(&keys::JHE_PUBLIC_URL, BaseUrl::parse_jhe)?,
        jhe_sign_in_client_id: sources
            .find(&keys::JHE_SIGN_IN_CLIENT_ID)
            .map(|found| found.value.trim().to_owned()),
        secret_key: secret_key(sources)?,
        ow_webhook_secret: alerts::signing_secret(sources, &keys::OW_WEBHOOK_SECRET)?,
        alerts: alerts::load(sources)?,
        metrics_bind: sources
            .parse(&keys::METRICS_BIND, parse_metrics_bind)?
            .unwrap_or(Some(SocketAddr::from(([127, 0, 0, 1], 9464)))),
        log_level: sources.parse(&keys::LOG_LEVEL, parse_level)?.unwrap_or_else(|| "info".to_owned()),
        log_format: sources.parse(&keys::LOG_FORMAT, parse_format)?.unwrap_or(LogFormat::Auto),
    })
}

/// JHE's own key, or one made of a client's id and secret.
fn jhe_client_key(sources: &Sources<'_>) -> Result<Option<SecretString>, Failure> {
    let key = secret::find(sources, &keys::JHE_CLIENT_KEY)?;
    let secret = secret::find(sources, &keys::JHE_CLIENT_SECRET)?;
    let id = sources.find(&keys::JHE_CLIENT_ID).map(|found| found.value.trim().to_owned());
    match (key, id, secret) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => Err(Failure::usage(
            "both jhe.client_key and jhe.client_id or jhe.client_secret are set",
            "keep the key, or the id and the secret",
        )),
        (None, Some(id), Some(secret)) => {
            Ok(Some(STANDARD.encode(format!("{id}:{}", secret.expose_secret())).into()))
        }
        (None, Some(_), None) | (None, None, Some(_)) => Err(Failure::usage(
            "only one of jhe.client_id and jhe.client_secret is set",
            "set both, or jhe.client_key alone",
        )),
        (key, None, None) => Ok(key),
    }
}

/// What secrets are sealed with.
fn secret_key(sources: &Sources<'_>) -> Result<Option<Key>, Failure> {
    let text = secret::find(sources, &keys::SECRET_KEY)?;
    let key = text.map(|text| Key::derive(&text)).transpose();
    key.map_err(|what| Failure::usage(format!("secret_key {what}"), "make one with: openssl rand -base64 32"))
}

fn parse_bind(text: &str) -> Result<SocketAddr, String> {
    let numbers = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numbers.parse().map_err(|_| "give an address and a port, such as 127.0.0.1:8002 or [::1]:8002".to_owned())
}

/// An address, or `off`.
fn parse_metrics_bind(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    parse_bind(text)
        .map(Some)
        .map_err(|_| "give an address and a port, such as 127.0.0.1:9464, or off".to_owned())
}

/// Addresses or networks, with commas in between.
fn parse_proxies(text: &str) -> Result<Vec<IpNet>, String> {
    let parse = |one: &str| one.parse().or_else(|_| one.parse::<IpAddr>().map(IpNet::from));
    let proxies = text.split(',').map(|one| parse(one.trim())).collect::<Result<_, _>>();
    proxies.map_err(|_| "give addresses or networks, such as 127.0.0.1, 10.0.0.0/8".to_owned())
}

fn parse_header(text: &str) -> Result<HeaderName, String> {
    text.parse().map_err(|_| "give the name of a header, such as Fly-Client-IP".to_owned())
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text)?;
    if OW_TIMEOUT.contains(&length) {
        return Ok(length);
    }
    let (least, most) = (show_duration(*OW_TIMEOUT.start()), show_duration(*OW_TIMEOUT.end()));
    Err(format!("give a time from {least} to {most}"))
}

fn parse_level(text: &str) -> Result<String, String> {
    let levels = "give error, warn, info, debug, trace, or a filter such as jhe_ow=debug";
    // A word that is no level would be taken for the name of a module, and everything else would fall silent.
    let is_known = |part: &str| part.contains(['=', '[']) || part.trim().parse::<LevelFilter>().is_ok();
    let is_known = text.split(',').map(str::trim).filter(|part| !part.is_empty()).all(is_known);
    let parsed = EnvFilter::try_new(text).ok().filter(|_| is_known);
    parsed.map(|_| text.to_owned()).ok_or_else(|| levels.to_owned())
}

fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "auto" => Ok(LogFormat::Auto),
        "pretty" => Ok(LogFormat::Pretty),
        "json" => Ok(LogFormat::Json),
        _ => Err("give auto, pretty or json".to_owned()),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
