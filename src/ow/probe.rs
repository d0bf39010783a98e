//! Calls that find out what an OW accepts and offers, for whoever sets it up: the key, the page size, the
//! providers, and what it does for a caller without a key. Each call is made once.

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::common::{failure::Failure, http_client, time::Timestamp};
use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::SeriesType;
use crate::ow::client::{LARGEST_PAGE, parse_known_types, parse_page_limit};
use crate::ow::connector::{CallError, Connector, TIMEOUT, not_an_ow, receive};

/// A user id that no user has: a call about it changes nothing and reveals nobody's data.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// The place in OW's `OpenAPI` description, unless its operator has switched that off.
const TIMESERIES_PARAMETERS: &str = "/paths/~1api~1v1~1users~1{user_id}~1timeseries/get/parameters";

/// The differences between versions of OW that matter here. OW reports no version number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwCapabilities {
    /// The largest page size, in records.
    pub page_size: u32,
    /// True if pages can be filtered by provider; none where OW publishes no description of itself.
    pub filters_by_provider: Option<bool>,
    /// Series types that this program reads and OW does not know.
    pub unknown_types: Vec<&'static str>,
}

/// A provider that OW's operator has switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedProvider {
    /// Its name in OW's paths.
    pub provider: String,
    /// True if OW has the credentials of an app there.
    pub is_configured: bool,
    /// The address that has to be registered there, byte for byte.
    pub redirect_uri: Option<String>,
}

impl Connector {
    /// Makes a call that needs a valid key; returns the time of OW's clock, to the second, where OW sends it.
    /// Fails with status 401 where OW refuses the key.
    pub async fn check_key(&self) -> Result<Option<Timestamp>, CallError> {
        let mut url = self.url(&["users"])?;
        url.query_pairs_mut().append_pair("limit", "1");
        let response = self.send(Method::GET, url, None).await?;
        match response.status {
            StatusCode::OK if serde_json::from_slice::<Value>(&response.body).is_ok() => Ok(response.date),
            StatusCode::OK => Err(not_an_ow("its list of users is no JSON")),
            _ => Err(response.error(&self.key)),
        }
    }

    pub async fn probe_capabilities(&self) -> Result<OwCapabilities, CallError> {
        let mut url = self.url(&["users", NOBODY, "timeseries"])?;
        url.query_pairs_mut()
            .append_pair("start_time", "2026-01-01T00:00:00Z")
            .append_pair("end_time", "2026-01-01T01:00:00Z")
            .append_pair("types", "heart_rate")
            .append_pair("limit", &LARGEST_PAGE.to_string());
        let response = self.send(Method::GET, url, None).await?;
        let page_size = if response.status == StatusCode::OK {
            LARGEST_PAGE
        } else {
            let error = response.error(&self.key);
            parse_page_limit(&error.to_string(), LARGEST_PAGE).ok_or(error)?
        };
        let (filters_by_provider, unknown_types) =
            tokio::join!(self.filters_by_provider(), self.list_unknown_types());
        Ok(OwCapabilities { page_size, filters_by_provider, unknown_types: unknown_types? })
    }

    async fn list_unknown_types(&self) -> Result<Vec<&'static str>, CallError> {
        let types = SERIES.iter().flat_map(SeriesType::timeseries_types).copied();
        let mut url = self.url(&["users", NOBODY, "timeseries"])?;
        url.query_pairs_mut()
            .append_pair("start_time", "2026-01-01T00:00:00Z")
            .append_pair("end_time", "2026-01-01T01:00:00Z")
            .extend_pairs(types.clone().map(|name| ("types", name)));
        let response = self.send(Method::GET, url, None).await?;
        let known = parse_known_types(&response.body);
        Ok(known.map_or_else(Vec::new, |known| {
            types.filter(|name| !known.iter().any(|one| one == name)).collect()
        }))
    }

    async fn filters_by_provider(&self) -> Option<bool> {
        let mut url = self.url(&[]).ok()?;
        let path = url.path().trim_end_matches('/').trim_end_matches("/api/v1").to_owned();
        url.set_path(&format!("{path}/openapi.json"));
        let response = self.send(Method::GET, url, None).await.ok()?;
        let description: Value = serde_json::from_slice(&response.body).ok()?;
        let parameters = description.pointer(TIMESERIES_PARAMETERS)?.as_array()?;
        Some(parameters.iter().any(|one| one["name"] == "provider"))
    }

    /// Lists the providers that OW's operator has switched on and that are reached with OAuth. `complete`
    /// returns the address where an authorization at a provider would end.
    pub async fn list_offered_providers(
        &self,
        complete: impl Fn(&str) -> String,
    ) -> Result<Vec<OfferedProvider>, CallError> {
        let mut providers = self.list_providers().await?;
        providers.retain(|one| one.is_enabled && one.has_cloud_api);
        let requests = providers.iter().map(|one| {
            let complete = complete(&one.provider);
            async move { self.begin_authorization(&one.provider, NOBODY, &complete).await }
        });
        let results = join_all(requests).await;
        let offered = providers.iter().zip(results).map(|(one, result)| {
            let (is_configured, redirect_uri) = match result {
                Ok(begun) => (begun.is_configured(), begun.redirect_uri()),
                Err(CallError::Status { .. }) => (false, None),
                Err(error) => return Err(error),
            };
            Ok(OfferedProvider { provider: one.provider.clone(), is_configured, redirect_uri })
        });
        offered.collect()
    }

    /// Returns true if OW begins an authorization for a caller who sends no key.
    pub async fn authorizes_without_key(&self, provider: &str, complete: &str) -> Result<bool, CallError> {
        let stranger = http_client::build(http_client::builder(self.base.as_str(), TIMEOUT));
        let stranger = stranger.map_err(|Failure { message, .. }| CallError::Unreachable(message))?;
        let url = self.authorize_url(provider, NOBODY, complete)?;
        Ok(receive(stranger.get(url)).await?.status.is_success())
    }
}
