//! The address of a service.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// An http or https address without a trailing slash, without credentials, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// A sentence that says what an address looks like.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_as(text, "http://127.0.0.1:8000 or https://ow.example.org")
    }

    /// As [`BaseUrl::parse`], of JHE's address.
    ///
    /// # Errors
    /// As there, with an example of JHE's.
    pub fn parse_jhe(text: &str) -> Result<Self, String> {
        Self::parse_as(text, "http://127.0.0.1:8001 or https://jhe.example.org")
    }

    /// As [`BaseUrl::parse`], of the address at which people reach this daemon.
    ///
    /// # Errors
    /// As there, with an example of this daemon's.
    pub fn parse_own(text: &str) -> Result<Self, String> {
        Self::parse_as(text, "https://jhe-ow.example.org")
    }

    fn parse_as(text: &str, example: &str) -> Result<Self, String> {
        let wrong = format!("give an address such as {example}");
        let url = Url::parse(text).map_err(|error| format!("{wrong} ({error})"))?;
        let http = matches!(url.scheme(), "http" | "https");
        if !http || url.host_str().is_none() {
            return Err(wrong);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!(
                "{wrong}; keys and passwords have variables of their own, such as OW_API_KEY"
            ));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{wrong}, without ? and #"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    /// Whether it names the machine on which it is opened.
    pub fn is_this_machine(&self) -> bool {
        let url = Url::parse(&self.0).ok();
        match url.as_ref().and_then(Url::host_str) {
            Some(host) => {
                let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
                host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
            }
            None => false,
        }
    }

    /// The host it names.
    pub fn host(&self) -> Option<String> {
        Url::parse(&self.0).ok()?.host_str().map(str::to_owned)
    }

    /// Whether it is https.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// Scheme, host and port, as browsers write an origin.
    pub fn origin(&self) -> String {
        Url::parse(&self.0).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }

    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
