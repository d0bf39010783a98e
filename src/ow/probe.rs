//! What an OW is like: whether it takes our key, how much it gives per page, which providers it can connect, and what
//! it does for those who show no key. For whoever sets it up: each call is made once.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::ow::client::{client_builder_without_key, detail, smaller_page};
use crate::ow::connector::{CallError, Connector, PATIENCE, receive};

/// A user that nobody is: what is asked about it changes nothing and shows nobody's data.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// Records per page that newer versions give.
const LARGEST_PAGE: u32 = 1000;
/// Where OW describes its own endpoints, unless its operator has switched that off.
const TIMESERIES: &str = "/paths/~1api~1v1~1users~1{user_id}~1timeseries/get/parameters";

/// That OW takes our key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// What its clock reads, to the second, where it says.
    pub clock: Option<Timestamp>,
}

/// What differs from version to version: OW tells no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// Records that it gives per page at most.
    pub page: u32,
    /// Whether its pages can be narrowed to one provider; none where it does not describe itself.
    pub filters: Option<bool>,
}

/// A provider that OW's operator has switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name in OW's paths.
    pub provider: String,
    /// Whether OW has the credentials of an app there.
    pub is_configured: bool,
    /// What has to be registered there, byte for byte.
    pub redirect_uri: Option<String>,
}

impl Connector {
    /// What OW said about an error, without what it must not repeat.
    fn words(&self, body: &[u8]) -> String {
        detail(body, [self.key.expose_secret()])
    }

    /// Makes a call that only those may make who show the right key.
    ///
    /// # Errors
    /// As [`CallError`] says; status 401 where the key is not taken.
    pub async fn greet(&self) -> Result<Greeting, CallError> {
        let mut url = self.url(&["users"])?;
        url.query_pairs_mut().append_pair("limit", "1");
        let answer = self.ask(Method::GET, url, None).await?;
        match answer.status {
            StatusCode::OK if serde_json::from_slice::<Value>(&answer.body).is_ok() => {
                Ok(Greeting { clock: answer.date })
            }
            StatusCode::OK => Err(crate::ow::connector::wrong("its list of users is no JSON")),
            status => Err(CallError::Answered { status: status.as_u16(), detail: self.words(&answer.body) }),
        }
    }

    /// Finds out what this version does.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn traits(&self) -> Result<Traits, CallError> {
        let mut url = self.url(&["users", NOBODY, "timeseries"])?;
        url.query_pairs_mut()
            .append_pair("start_time", "2026-01-01T00:00:00Z")
            .append_pair("end_time", "2026-01-01T01:00:00Z")
            .append_pair("types", "heart_rate")
            .append_pair("limit", &LARGEST_PAGE.to_string());
        let answer = self.ask(Method::GET, url, None).await?;
        let page = match answer.status {
            StatusCode::OK => LARGEST_PAGE,
            status => smaller_page(&self.words(&answer.body), LARGEST_PAGE).ok_or_else(|| {
                CallError::Answered { status: status.as_u16(), detail: self.words(&answer.body) }
            })?,
        };
        Ok(Traits { page, filters: self.has_filters().await })
    }

    async fn has_filters(&self) -> Option<bool> {
        let mut url = self.url(&[]).ok()?;
        let path = url.path().trim_end_matches('/').trim_end_matches("/api/v1").to_owned();
        url.set_path(&format!("{path}/openapi.json"));
        let answer = self.ask(Method::GET, url, None).await.ok()?;
        let described: Value = serde_json::from_slice(&answer.body).ok()?;
        let parameters = described.pointer(TIMESERIES)?.as_array()?;
        Some(parameters.iter().any(|one| one["name"] == "provider"))
    }

    /// The providers that OW's operator has switched on and that are reached with OAuth; `complete` says where an
    /// authorization at one would end.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn offered(&self, complete: impl Fn(&str) -> String) -> Result<Vec<Offered>, CallError> {
        let mut providers = self.providers().await?;
        providers.retain(|one| one.is_enabled && one.has_cloud_api);
        let asked = providers.iter().map(|one| {
            let complete = complete(&one.provider);
            async move { self.authorize(&one.provider, NOBODY, &complete).await }
        });
        let answers = join_all(asked).await;
        let offered = providers.iter().zip(answers).map(|(one, answer)| {
            let (is_configured, redirect_uri) = match answer {
                Ok(begun) => (begun.is_configured(), begun.redirect_uri()),
                Err(CallError::Answered { .. }) => (false, None),
                Err(error) => return Err(error),
            };
            Ok(Offered { provider: one.provider.clone(), is_configured, redirect_uri })
        });
        offered.collect()
    }

    /// Whether OW begins an authorization for somebody who shows no key.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn is_open(&self, provider: &str, complete: &str) -> Result<bool, CallError> {
        let stranger = client_builder_without_key(&self.base, PATIENCE);
        let stranger = stranger.map_err(|Failure { what, .. }| CallError::Unreachable(what))?;
        let mut url = self.url(&["oauth", provider, "authorize"])?;
        url.query_pairs_mut().append_pair("user_id", NOBODY).append_pair("redirect_uri", complete);
        Ok(receive(stranger.get(url)).await?.status.is_success())
    }
}
