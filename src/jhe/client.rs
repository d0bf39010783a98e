//! Calls to one JHE, by the daemon with its client key or by a person who has signed in.

use std::sync::Arc;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::common::{bounded_list, failure::Failure};
use crate::config::{base_url::BaseUrl, load::Config};
use crate::jhe::bundle::{self, EntryResponse};
use crate::jhe::error::JheError;
use crate::jhe::http::{self, HttpClient, check_status, parse};
use crate::model::jhe_consents::JhePatient;

/// A token is renewed when less than one part in this many of its life is left.
const RENEW_AT_PART: u32 = 10;
/// Entries per page of a list.
const PAGE_SIZE: &str = "1000";
/// Items of a page that are read: ten times what is asked for.
const MOST_ITEMS: usize = 10_000;
/// Pages of a list: a hundred thousand patients.
const MOST_PAGES: usize = 100;

#[derive(Debug)]
pub struct Jhe {
    pub(crate) http: HttpClient,
    key: SecretString,
    /// Locked during a renewal, so that concurrent calls share one.
    token: Mutex<Option<AccessToken>>,
}

/// The identity under which a call is made.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// The practitioner who owns the client key.
    Daemon,
    /// A signed-in patient or practitioner, with their access token.
    Person(&'a SecretString),
}

#[derive(Debug, Clone)]
struct AccessToken {
    header: HeaderValue,
    renew_at: Instant,
}

#[derive(Deserialize)]
pub(crate) struct ListPage<T> {
    next: Option<String>,
    #[serde(
        bound(deserialize = "T: Deserialize<'de>"),
        deserialize_with = "bounded_list::deserialize::<_, _, MOST_ITEMS>"
    )]
    results: Vec<T>,
}

/// The total that each page of a list repeats.
#[derive(Deserialize)]
pub(crate) struct ListCount {
    count: usize,
}

#[derive(Deserialize)]
pub(crate) struct JheDataSource {
    id: i64,
    name: String,
}

impl Jhe {
    /// Returns a client of the configured JHE; none in standalone operation. Fails if only one of address and
    /// key is configured.
    pub fn from_config(config: &Config) -> Result<Option<Arc<Self>>, Failure> {
        match (&config.jhe_base_url, &config.jhe_client_key) {
            (Some(base), Some(key)) => Self::new(base, key).map(|jhe| Some(Arc::new(jhe))),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Failure::usage(
                "JHE_BASE_URL is set, and no client key",
                "make a practitioner client in JHE and set JHE_CLIENT_KEY to its key, or unset JHE_BASE_URL",
            )),
            (None, Some(_)) => Err(Failure::usage(
                "a client key of JHE is set, and JHE_BASE_URL is not",
                "set it to the address of JHE, or unset the key",
            )),
        }
    }

    /// Returns a client of the JHE at `base`, without calling it.
    pub fn new(base: &BaseUrl, key: &SecretString) -> Result<Self, Failure> {
        Ok(Self { http: HttpClient::new(base)?, key: key.clone(), token: Mutex::default() })
    }

    /// Lists the patients who share an organization with the practitioner of the client key.
    pub async fn list_patients(&self) -> Result<Vec<JhePatient>, JheError> {
        self.list_all(&["api", "v1", "patients"]).await
    }

    /// Counts the patients of [`Jhe::list_patients`] in one short call.
    pub async fn count_patients(&self) -> Result<usize, JheError> {
        let mut url = self.http.url(&["api", "v1", "patients"])?;
        url.query_pairs_mut().append_pair("page_size", "1");
        parse::<ListCount>(&self.get(Caller::Daemon, url).await?).map(|list| list.count)
    }

    /// Lists the names and ids of JHE's data sources.
    pub async fn list_data_sources(&self) -> Result<Vec<(String, i64)>, JheError> {
        let all: Vec<JheDataSource> = self.list_all(&["api", "v1", "data_sources"]).await?;
        Ok(all.into_iter().map(|source| (source.name, source.id)).collect())
    }

    /// Sends a FHIR batch of `count` entries; returns one response per entry, in their order. After an error
    /// the fate of every entry is unknown.
    pub async fn send_batch(&self, batch: String, count: usize) -> Result<Vec<EntryResponse>, JheError> {
        let mut url = self.http.url(&["FHIR", "R5"])?;
        url.set_path(&format!("{}/", url.path()));
        let body = self.call(Caller::Daemon, Method::POST, url, Some(batch)).await?;
        bundle::parse(&body, count)
    }

    /// Reads all pages of a list.
    pub(crate) async fn list_all<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Vec<T>, JheError> {
        let mut url = self.http.url(path)?;
        url.query_pairs_mut().append_pair("page_size", PAGE_SIZE);
        let mut all = Vec::new();
        for _ in 0..MOST_PAGES {
            let page: ListPage<T> = parse(&self.get(Caller::Daemon, url.clone()).await?)?;
            all.extend(page.results);
            let Some(next) = page.next else { return Ok(all) };
            let next = Url::parse(&next).map_err(JheError::invalid)?;
            if next.query() == url.query() {
                return Err(JheError::invalid("the same page follows for ever"));
            }
            // JHE may give itself an internal address: only the query of its link is used.
            url.set_query(next.query());
        }
        Err(JheError::invalid(format!("its list has more than {MOST_PAGES} pages")))
    }

    pub(crate) async fn get(&self, caller: Caller<'_>, url: Url) -> Result<Vec<u8>, JheError> {
        self.call(caller, Method::GET, url, None).await
    }

    /// Makes a call. If JHE no longer accepts the daemon's token, renews it once; a person's token is for the
    /// caller to refresh.
    pub(crate) async fn call(
        &self,
        caller: Caller<'_>,
        method: Method,
        url: Url,
        body: Option<String>,
    ) -> Result<Vec<u8>, JheError> {
        let token = match caller {
            Caller::Daemon => self.access_token(None).await?,
            Caller::Person(token) => http::bearer(token.expose_secret())?,
        };
        let response = self.http.send(method.clone(), url.clone(), Some(&token), body.clone()).await?;
        if response.status != StatusCode::UNAUTHORIZED || matches!(caller, Caller::Person(_)) {
            return check_status(response);
        }
        let renewed = self.access_token(Some(&token)).await?;
        check_status(self.http.send(method, url, Some(&renewed), body).await?)
    }

    /// Returns the current access token, or a new one if there is none, it ends soon, or it is the `stale`
    /// one. Callers that wait for a renewal share its result.
    async fn access_token(&self, stale: Option<&HeaderValue>) -> Result<HeaderValue, JheError> {
        let mut current = self.token.lock().await;
        let is_fresh = |token: &&AccessToken| Some(&token.header) != stale && Instant::now() < token.renew_at;
        if let Some(token) = current.as_ref().filter(is_fresh) {
            return Ok(token.header.clone());
        }
        let token = current.insert(self.request_token().await?);
        Ok(token.header.clone())
    }

    async fn request_token(&self) -> Result<AccessToken, JheError> {
        let invalid = || JheError::Unauthorized("it holds characters that no key has".to_owned());
        let mut basic =
            HeaderValue::from_str(&format!("Basic {}", self.key.expose_secret())).map_err(|_| invalid())?;
        basic.set_sensitive(true);
        let granted = self.http.request_token(&[("grant_type", "client_credentials")], Some(basic)).await;
        let granted = granted.map_err(|error| match error {
            JheError::NotGranted(why) => JheError::Unauthorized(why),
            error => error,
        })?;
        let renew_at = Instant::now() + granted.life() * (RENEW_AT_PART - 1) / RENEW_AT_PART;
        Ok(AccessToken { header: http::bearer(&granted.access_token)?, renew_at })
    }
}
