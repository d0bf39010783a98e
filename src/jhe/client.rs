//! Calls to one JHE: as the practitioner whose client key it is, or as a person who has signed in.

use std::sync::Arc;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::common::failure::Failure;
use crate::config::base_url::BaseUrl;
use crate::config::load::Config;
use crate::jhe::bundle::Entry;
use crate::jhe::error::JheError;
use crate::jhe::http::{Http, read, settle};
use crate::jhe::{bundle, http};
use crate::model::jhe_consents::Person;

/// A token is renewed when less than this part of its life is left.
const LEFT: u32 = 10;
/// Lines of a page of a list.
const PAGE: &str = "1000";

/// Calls to one JHE.
#[derive(Debug)]
pub struct Jhe {
    pub(crate) http: Http,
    key: SecretString,
    /// Locked while it is renewed, so that it is once.
    token: Mutex<Option<Token>>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum Who<'a> {
    /// The practitioner whose client key it is.
    Daemon,
    /// Somebody who has signed in, with this access token.
    Person(&'a SecretString),
}

#[derive(Debug, Clone)]
struct Token {
    header: HeaderValue,
    renew_at: Instant,
}

#[derive(Deserialize)]
pub(crate) struct Page<T> {
    next: Option<String>,
    results: Vec<T>,
}

/// What a page says of the whole list.
#[derive(Deserialize)]
pub(crate) struct Counted {
    count: usize,
}

#[derive(Deserialize)]
pub(crate) struct DataSource {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
pub(crate) struct Found {
    total: i64,
}

impl Jhe {
    /// A client of the configured JHE; none where the daemon stands alone.
    ///
    /// # Errors
    /// Where only one of address and key is configured, or no HTTPS client can be made.
    pub fn of(config: &Config) -> Result<Option<Arc<Self>>, Failure> {
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

    /// A client of the JHE at `base`. Calls nothing yet.
    ///
    /// # Errors
    /// Where no HTTPS client can be made.
    pub fn new(base: &BaseUrl, key: &SecretString) -> Result<Self, Failure> {
        Ok(Self { http: Http::new(base)?, key: key.clone(), token: Mutex::default() })
    }

    /// The patients within reach: those who share an organization with the practitioner.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn patients(&self) -> Result<Vec<Person>, JheError> {
        self.all(&["api", "v1", "patients"]).await
    }

    /// How many patients are within reach, whatever their number in one answer.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn count_patients(&self) -> Result<usize, JheError> {
        let mut url = self.http.url(&["api", "v1", "patients"])?;
        url.query_pairs_mut().append_pair("page_size", "1");
        read::<Counted>(&self.get(Who::Daemon, url).await?).map(|counted| counted.count)
    }

    /// The numbers of the data sources, by their names.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn data_sources(&self) -> Result<Vec<(String, i64)>, JheError> {
        let all: Vec<DataSource> = self.all(&["api", "v1", "data_sources"]).await?;
        Ok(all.into_iter().map(|source| (source.name, source.id)).collect())
    }

    /// Sends a batch of `count` entries; answers with a result for each.
    ///
    /// # Errors
    /// As [`JheError`] says; then nothing is known of any entry.
    pub async fn send(&self, batch: String, count: usize) -> Result<Vec<Entry>, JheError> {
        let mut url = self.http.url(&["FHIR", "R5"])?;
        url.set_path(&format!("{}/", url.path()));
        let body = self.call(Who::Daemon, Method::POST, url, Some(batch)).await?;
        bundle::parse(&body, count)
    }

    /// How many observations JHE has of a patient, a code and an instant.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn count(&self, patient: i64, code: &str, date: &str) -> Result<i64, JheError> {
        let mut url = self.http.url(&["FHIR", "R5", "Observation"])?;
        url.query_pairs_mut()
            .append_pair("patient", &patient.to_string())
            .append_pair("code", code)
            .append_pair("date", date)
            .append_pair("_summary", "count");
        read::<Found>(&self.get(Who::Daemon, url).await?).map(|found| found.total)
    }

    /// Every line of a list that comes in pages.
    pub(crate) async fn all<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Vec<T>, JheError> {
        let mut url = self.http.url(path)?;
        url.query_pairs_mut().append_pair("page_size", PAGE);
        let mut all = Vec::new();
        loop {
            let page: Page<T> = read(&self.get(Who::Daemon, url.clone()).await?)?;
            all.extend(page.results);
            let Some(next) = page.next else { return Ok(all) };
            let next = Url::parse(&next).map_err(|error| JheError::Wrong(error.to_string()))?;
            // The address that JHE gives itself may be an inner one: only what stands after it is taken.
            if next.query() == url.query() {
                return Err(JheError::Wrong("the same page follows for ever".to_owned()));
            }
            url.set_query(next.query());
        }
    }

    pub(crate) async fn get(&self, who: Who<'_>, url: Url) -> Result<Vec<u8>, JheError> {
        self.call(who, Method::GET, url, None).await
    }

    /// Makes a call. Where our own token is no longer accepted, it is renewed once; a person's is the caller's
    /// to renew.
    pub(crate) async fn call(
        &self,
        who: Who<'_>,
        method: Method,
        url: Url,
        body: Option<String>,
    ) -> Result<Vec<u8>, JheError> {
        let token = match who {
            Who::Daemon => self.token(None).await?,
            Who::Person(token) => {
                let token = http::bearer(token.expose_secret())?;
                return settle(self.http.ask(method, url, Some(&token), body).await?);
            }
        };
        let answer = self.http.ask(method.clone(), url.clone(), Some(&token), body.clone()).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return settle(answer);
        }
        let renewed = self.token(Some(&token)).await?;
        settle(self.http.ask(method, url, Some(&renewed), body).await?)
    }

    /// The token to show: the present one, or a new one where there is none, it ends soon, or it is the `stale`
    /// one. Whoever waits for a renewal takes its result.
    async fn token(&self, stale: Option<&HeaderValue>) -> Result<HeaderValue, JheError> {
        let mut kept = self.token.lock().await;
        let fresh =
            kept.as_ref().filter(|token| Some(&token.header) != stale && Instant::now() < token.renew_at);
        if let Some(token) = fresh {
            return Ok(token.header.clone());
        }
        let token = self.renew().await?;
        let header = token.header.clone();
        *kept = Some(token);
        Ok(header)
    }

    async fn renew(&self) -> Result<Token, JheError> {
        let unusable = || JheError::Unauthorized("it holds characters that no key has".to_owned());
        let mut basic =
            HeaderValue::from_str(&format!("Basic {}", self.key.expose_secret())).map_err(|_| unusable())?;
        basic.set_sensitive(true);
        let granted = self.http.token(&[("grant_type", "client_credentials")], Some(basic)).await;
        let granted = granted.map_err(|error| match error {
            JheError::NotGranted(why) => JheError::Unauthorized(why),
            error => error,
        })?;
        let life = granted.life();
        let header = http::bearer(&granted.access_token)?;
        Ok(Token { header, renew_at: Instant::now() + life * (LEFT - 1) / LEFT })
    }
}
