//! The configuration of a process, parsed and checked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::common::failure::Failure;
use crate::common::time::{format_duration, parse_duration};
use crate::config::alerts::{self, Alerts};
use crate::config::file::{self, File};
use crate::config::keys::{self, Secret};
use crate::config::{base_url::BaseUrl, environment::Environment, flags::Flags, sources::Sources};
use crate::model::patient::parse_name;
use crate::secrets::{
    sealing::{MAKE_A_KEY, SealingKey},
    webhook_signature::WebhookSecret,
};

/// The allowed time limits of a request to OW.
const OW_TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(5);

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    Pretty,
    /// One JSON object per line.
    Json,
}

/// The configuration of a process.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the HTTP server.
    pub bind: SocketAddr,
    /// Address at which browsers reach this daemon.
    pub public_url: Option<BaseUrl>,
    /// Proxies whose statement of the client address is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The header with the client address; `X-Forwarded-For` if none.
    pub client_address_header: Option<HeaderName>,
    /// Directory of the database.
    pub data_dir: PathBuf,
    /// Directories below which operators may put the backups from the pages, beside the data directory.
    pub backup_roots: Vec<PathBuf>,
    /// The name of the institution, for page titles and headers.
    pub institution: Option<String>,
    /// Address for reports of weaknesses, such as `mailto:security@example.org`.
    pub security_contact: Option<String>,
    pub ow_api_url: Option<BaseUrl>,
    pub ow_api_key: Option<SecretString>,
    /// Time limit of a request to OW.
    pub ow_timeout: Duration,
    /// Address of JHE; none in standalone operation.
    pub jhe_base_url: Option<BaseUrl>,
    /// Credentials at JHE: base64 of `id:secret` of the OAuth client.
    pub jhe_client_key: Option<SecretString>,
    /// Address at which browsers reach JHE, if it differs from `jhe_base_url`. JHE's invitations contain it.
    pub jhe_public_url: Option<BaseUrl>,
    /// JHE's OAuth client for the sign-in of practitioners; none if they do not sign in through JHE.
    pub jhe_sign_in_client_id: Option<String>,
    /// Encrypts secrets in the database; with the previous key, which still opens them.
    pub secret_key: Option<SealingKey>,
    /// Verifies OW's webhooks; without it, all are refused.
    pub ow_webhook_secret: Option<WebhookSecret>,
    pub alerts: Alerts,
    /// Address for Prometheus; none if metrics are off.
    pub metrics_bind: Option<SocketAddr>,
    /// A level or a filter such as `jhe_ow=debug`.
    pub log_level: String,
    pub log_format: LogFormat,
}

impl Config {
    /// Returns the address for browsers: the public one, or else the one of the server.
    pub fn public_base(&self) -> String {
        match &self.public_url {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://{}", self.bind),
        }
    }

    /// Returns true if observations are exported to JHE.
    pub fn exports(&self) -> bool {
        self.jhe_base_url.is_some() && self.jhe_client_key.is_some()
    }

    /// Returns the address at which browsers reach JHE; none in standalone operation.
    pub fn jhe_public_base(&self) -> Option<&BaseUrl> {
        self.jhe_public_url.as_ref().or(self.jhe_base_url.as_ref())
    }

    /// Refuses a directory for backups that is neither in the data directory nor below a configured root. Links are
    /// followed as far as the path exists.
    pub fn check_backup_directory(&self, directory: &str) -> Result<(), Failure> {
        let wanted = Path::new(directory);
        if wanted.exists() && !wanted.is_dir() {
            let message = format!("backup.directory = '{directory}' is no directory");
            return Err(Failure::usage(message, "give a directory, or a path at which there is nothing yet"));
        }
        let mut roots = self.backup_roots.iter().chain([&self.data_dir]);
        let climbs = wanted.components().any(|part| part == Component::ParentDir);
        if !climbs && roots.any(|root| resolve(wanted).starts_with(resolve(root))) {
            return Ok(());
        }
        Err(Failure::usage(
            format!(
                "backup.directory = '{directory}' is outside the directories that are configured for backups"
            ),
            "give one in the data directory or below backup_roots (JHE_OW_BACKUP_ROOTS) of the configuration, or set it \
             on the machine: jhe-ow settings set backup.directory DIR",
        ))
    }

    /// Warns if a link to this daemon will not work on a patient's phone.
    pub fn public_url_warning(&self) -> Option<String> {
        let remedy = "set server.public_url (JHE_OW_PUBLIC_URL) to the https address that patients reach";
        match &self.public_url {
            None => Some(format!(
                "the link begins with {}, which only this machine reaches: {remedy}",
                self.public_base()
            )),
            Some(url) if url.is_this_machine() => {
                Some(format!("{url} is this machine for whoever opens it: {remedy}"))
            }
            Some(_) => None,
        }
    }
}

/// Reads flags, environment and file, and checks every value. An error names the key, the value, its source
/// and the allowed values.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Config, Failure> {
    environment.refuse_unknown()?;
    let file = File::find(flags.config.as_deref(), environment)?;
    parse(&Sources { flags, environment, file })
}

/// Returns false if the data directory is the default one in the home directory.
pub(crate) fn has_data_dir(flags: &Flags, environment: &Environment) -> Result<bool, Failure> {
    let file = File::find(flags.config.as_deref(), environment)?;
    Ok(Sources { flags, environment, file }.find_data_dir().is_some())
}

/// Loads a configuration from the text of a file alone; for fuzzing.
pub(crate) fn load_text(text: &str) -> Result<Config, Failure> {
    let (flags, environment) = (Flags::default(), Environment::default());
    let file = File::parse(Path::new(file::NAME), text)?;
    parse(&Sources { flags: &flags, environment: &environment, file })
}

fn parse(sources: &Sources<'_>) -> Result<Config, Failure> {
    let client_id = sources.find(&keys::JHE_SIGN_IN_CLIENT_ID);
    Ok(Config {
        bind: sources.parse_required(&keys::BIND, parse_bind)?,
        public_url: sources.parse(&keys::PUBLIC_URL, BaseUrl::parse_own)?,
        trusted_proxies: sources.parse(&keys::TRUSTED_PROXIES, parse_proxies)?.unwrap_or_default(),
        client_address_header: sources.parse(&keys::CLIENT_ADDRESS_HEADER, parse_header)?,
        data_dir: sources.data_dir()?,
        backup_roots: sources.parse(&keys::BACKUP_ROOTS, parse_directories)?.unwrap_or_default(),
        institution: sources.parse(&keys::INSTITUTION, parse_name)?,
        security_contact: sources.parse(&keys::SECURITY_CONTACT, parse_contact)?,
        ow_api_url: sources.parse(&keys::OW_API_URL, BaseUrl::parse)?,
        ow_api_key: sources.find_secret(&keys::OW_API_KEY)?,
        ow_timeout: sources.parse_required(&keys::OW_TIMEOUT, parse_timeout)?,
        jhe_base_url: sources.parse(&keys::JHE_BASE_URL, BaseUrl::parse_jhe)?,
        jhe_client_key: jhe_client_key(sources)?,
        jhe_public_url: sources.parse(&keys::JHE_PUBLIC_URL, BaseUrl::parse_jhe)?,
        jhe_sign_in_client_id: client_id.map(|found| found.value.trim().to_owned()),
        secret_key: secret_key(sources)?,
        ow_webhook_secret: alerts::webhook_secret(sources, &keys::OW_WEBHOOK_SECRET)?,
        alerts: alerts::load(sources)?,
        metrics_bind: sources.parse_required(&keys::METRICS_BIND, parse_metrics_bind)?,
        log_level: sources.parse_required(&keys::LOG_LEVEL, parse_level)?,
        log_format: sources.parse_required(&keys::LOG_FORMAT, parse_format)?,
    })
}

/// Returns JHE's own key, or one made of an OAuth client's id and secret.
fn jhe_client_key(sources: &Sources<'_>) -> Result<Option<SecretString>, Failure> {
    let key = sources.find_secret(&keys::JHE_CLIENT_KEY)?;
    let secret = sources.find_secret(&keys::JHE_CLIENT_SECRET)?;
    let id = sources.find(&keys::JHE_CLIENT_ID).map(|found| found.value.trim().to_owned());
    match (key, id, secret) {
        (key, None, None) => Ok(key),
        (None, Some(id), Some(secret)) => {
            Ok(Some(STANDARD.encode(format!("{id}:{}", secret.expose_secret())).into()))
        }
        (Some(_), _, _) => Err(Failure::usage(
            "both jhe.client_key and jhe.client_id or jhe.client_secret are set",
            "keep the key, or the id and the secret",
        )),
        (None, _, _) => Err(Failure::usage(
            "only one of jhe.client_id and jhe.client_secret is set",
            "set both, or jhe.client_key alone",
        )),
    }
}

fn secret_key(sources: &Sources<'_>) -> Result<Option<SealingKey>, Failure> {
    let derive = |secret: &Secret| {
        let key = sources.find_secret(secret)?.map(|text| SealingKey::derive(&text)).transpose();
        let name = secret.plain.path;
        key.map_err(|why| Failure::usage(format!("{name} {why}"), MAKE_A_KEY))
    };
    match (derive(&keys::SECRET_KEY)?, derive(&keys::SECRET_KEY_PREVIOUS)?) {
        (Some(key), Some(previous)) => Ok(Some(key.with_previous(previous))),
        (None, Some(_)) => Err(Failure::usage(
            "secret_key_previous is set, and secret_key is not",
            "set secret_key (JHE_OW_SECRET_KEY) to the key that replaces it: openssl rand -base64 32",
        )),
        (key, None) => Ok(key),
    }
}

fn parse_bind(text: &str) -> Result<SocketAddr, String> {
    let numbers = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numbers.parse().map_err(|_| "give an address and a port, such as 127.0.0.1:8002 or [::1]:8002".to_owned())
}

/// Parses an address, or `off`.
fn parse_metrics_bind(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" {
        return Ok(None);
    }
    parse_bind(text)
        .map(Some)
        .map_err(|_| "give an address and a port, such as 127.0.0.1:9464, or off".to_owned())
}

/// Parses addresses or networks, separated by commas.
fn parse_proxies(text: &str) -> Result<Vec<IpNet>, String> {
    let parse = |one: &str| one.parse().or_else(|_| one.parse::<IpAddr>().map(IpNet::from));
    let proxies = text.split(',').map(|one| parse(one.trim())).collect::<Result<_, _>>();
    proxies.map_err(|_| "give addresses or networks, such as 127.0.0.1, 10.0.0.0/8".to_owned())
}

/// Returns the path with the links of its existing part followed.
fn resolve(path: &Path) -> PathBuf {
    let resolve_from = |part: &Path| Some(part.canonicalize().ok()?.join(path.strip_prefix(part).ok()?));
    path.ancestors().find_map(resolve_from).unwrap_or_else(|| path.to_owned())
}

/// Parses absolute paths, separated by commas.
fn parse_directories(text: &str) -> Result<Vec<PathBuf>, String> {
    let paths: Vec<PathBuf> = text.split(',').map(|one| PathBuf::from(one.trim())).collect();
    let is_sound = |path: &PathBuf| path.is_absolute() && path.parent().is_some();
    let refused =
        || "give directories that begin with /, separated by commas, such as /mnt/backup".to_owned();
    paths.iter().all(is_sound).then_some(paths).ok_or_else(refused)
}

/// Parses an address of RFC 9116.
fn parse_contact(text: &str) -> Result<String, String> {
    let is_known = ["mailto:", "https://", "tel:"]
        .iter()
        .any(|scheme| text.len() > scheme.len() && text.starts_with(scheme));
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let refused =
        || "give one address, such as mailto:security@example.org or https://example.org/security".to_owned();
    (is_known && is_plain).then(|| text.to_owned()).ok_or_else(refused)
}

fn parse_header(text: &str) -> Result<HeaderName, String> {
    text.parse().map_err(|_| "give the name of a header, such as Fly-Client-IP".to_owned())
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let length = parse_duration(text)?;
    if OW_TIMEOUT.contains(&length) {
        return Ok(length);
    }
    let (min, max) = (format_duration(*OW_TIMEOUT.start()), format_duration(*OW_TIMEOUT.end()));
    Err(format!("give a time from {min} to {max}"))
}

fn parse_level(text: &str) -> Result<String, String> {
    let levels = "give error, warn, info, debug, trace, or a filter such as jhe_ow=debug";
    // The filter takes an unknown level for the name of a module, and then logs nothing else.
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

/// Returns the address at which this machine reaches a server: loopback for a server on all addresses.
pub(crate) fn connect_address(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
