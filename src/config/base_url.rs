//! Base URLs of OW, JHE and this daemon.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

use crate::common::http_client;

/// An http or https address without a trailing slash, without credentials, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Parses an address of OW or another service. An error shows an example.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_as(text, "http://127.0.0.1:8000 or https://ow.example.org")
    }

    pub fn parse_jhe(text: &str) -> Result<Self, String> {
        Self::parse_as(text, "http://127.0.0.1:8001 or https://jhe.example.org")
    }

    pub fn parse_own(text: &str) -> Result<Self, String> {
        let url = Self::parse_as(text, "https://jhe-ow.example.org")?;
        if Url::parse(&url.0).is_ok_and(|url| url.path() != "/") {
            return Err("give an address without a path: the daemon needs a host of its own".to_owned());
        }
        Ok(url)
    }

    fn parse_as(text: &str, example: &str) -> Result<Self, String> {
        let expected = format!("give an address such as {example}");
        let url = Url::parse(text).map_err(|error| format!("{expected} ({error})"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(expected);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "{expected}; keys and passwords have variables of their own, such as OW_API_KEY"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{expected}, without ? and #"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// Returns true for a loopback host, which names the machine of whoever opens the address.
    pub fn is_this_machine(&self) -> bool {
        http_client::is_this_machine(&self.0)
    }

    /// Returns true for a link-local address (`169.254.0.0/16`, `fe80::/10`), where clouds tell a machine its secrets.
    pub fn is_link_local(&self) -> bool {
        let host = self.host().unwrap_or_default();
        host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| match ip.to_canonical() {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        })
    }

    pub fn host(&self) -> Option<String> {
        Url::parse(&self.0).ok()?.host_str().map(str::to_owned)
    }

    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Returns scheme, host and port in the form of the `Origin` header.
    pub fn origin(&self) -> String {
        Url::parse(&self.0).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
