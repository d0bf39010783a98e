//! The address of a service.

use std::fmt;

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
        let wrong = "give an address such as http://127.0.0.1:8000 or https://ow.example.org";
        let url = Url::parse(text).map_err(|error| format!("{wrong} ({error})"))?;
        let http = matches!(url.scheme(), "http" | "https");
        if !http || url.host_str().is_none() {
            return Err(wrong.to_owned());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(format!("{wrong}; a key belongs into OW_API_KEY, not into the address"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("{wrong}, without ? and #"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
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
