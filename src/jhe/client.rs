//! Calls to one JHE, as the practitioner whose client key it is.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::bundle::{self, Entry};
use super::{Consents, JheError, Person};
use crate::config::{BaseUrl, Config};
use crate::failure::Failure;

/// Longer than JHE's own workers are given: what has not been answered by then is not worked on any more, or
/// will be over by the time that it is sent again.
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A token is renewed when less than this part of its life is left.
const LEFT: u32 = 10;
/// Bytes of one answer: a page of a thousand patients is some hundred kB.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// Characters of JHE's words about an error; a page of HTML says nothing more.
const ERROR_CHARS: usize = 300;
/// Lines of a page of a list.
const PAGE: &str = "1000";

/// Calls to one JHE.
#[derive(Debug)]
pub struct Jhe {
    http: reqwest::Client,
    base: BaseUrl,
    key: SecretString,
    /// Locked while it is renewed, so that it is once.
    token: Mutex<Option<Token>>,
}

#[derive(Debug, Clone)]
struct Token {
    header: HeaderValue,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Page<T> {
    next: Option<String>,
    results: Vec<T>,
}

#[derive(Deserialize)]
struct DataSource {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct Found {
    total: i64,
}

struct Answer {
    status: StatusCode,
    retry_after: Option<Duration>,
    body: Vec<u8>,
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
        let http = reqwest::Client::builder()
            .user_agent(concat!("jhe-ow/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            // Without https there is no need of root certificates, which a bare machine may not have.
            .tls_built_in_native_certs(base.as_str().starts_with("https:"))
            .build();
        let http = http.map_err(|error| {
            Failure::failed(format!("no HTTPS client can be made: {error}"), "install the root certificates")
        })?;
        Ok(Self { http, base: base.clone(), key: key.clone(), token: Mutex::default() })
    }

    /// The present consents of a patient.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn consents(&self, patient: i64) -> Result<Consents, JheError> {
        let url = self.url(&["api", "v1", "patients", &patient.to_string(), "consents"])?;
        read(&self.get(url).await?)
    }

    /// The patients within reach: those who share an organization with the practitioner.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn patients(&self) -> Result<Vec<Person>, JheError> {
        self.all(&["api", "v1", "patients"]).await
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
        let mut url = self.url(&["FHIR", "R5"])?;
        url.set_path(&format!("{}/", url.path()));
        let body = self.call(Method::POST, url, Some(batch)).await?;
        bundle::parse(&body, count)
    }

    /// How many observations JHE has of a patient, a code and an instant.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn count(&self, patient: i64, code: &str, date: &str) -> Result<i64, JheError> {
        let mut url = self.url(&["FHIR", "R5", "Observation"])?;
        url.query_pairs_mut()
            .append_pair("patient", &patient.to_string())
            .append_pair("code", code)
            .append_pair("date", date)
            .append_pair("_summary", "count");
        read::<Found>(&self.get(url).await?).map(|found| found.total)
    }

    /// Every line of a list that comes in pages.
    async fn all<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Vec<T>, JheError> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().append_pair("page_size", PAGE);
        let mut all = Vec::new();
        loop {
            let page: Page<T> = read(&self.get(url.clone()).await?)?;
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

    fn url(&self, path: &[&str]) -> Result<Url, JheError> {
        let wrong = || JheError::Wrong("it cannot be called".to_owned());
        let mut url = Url::parse(self.base.as_str()).map_err(|_| wrong())?;
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(path);
        Ok(url)
    }

    async fn get(&self, url: Url) -> Result<Vec<u8>, JheError> {
        self.call(Method::GET, url, None).await
    }

    /// Makes a call; a token that is no longer accepted is renewed once.
    async fn call(&self, method: Method, url: Url, body: Option<String>) -> Result<Vec<u8>, JheError> {
        let token = self.token(None).await?;
        let answer = self.ask(method.clone(), url.clone(), &token, body.clone()).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return settle(answer);
        }
        let renewed = self.token(Some(&token)).await?;
        settle(self.ask(method, url, &renewed, body).await?)
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        token: &HeaderValue,
        body: Option<String>,
    ) -> Result<Answer, JheError> {
        let mut request = self.http.request(method, url).header(AUTHORIZATION, token.clone());
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        answer(request).await
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
        let mut url = self.url(&["o", "token"])?;
        url.set_path(&format!("{}/", url.path()));
        let unusable = || JheError::Unauthorized("it holds characters that no key has".to_owned());
        let mut basic =
            HeaderValue::from_str(&format!("Basic {}", self.key.expose_secret())).map_err(|_| unusable())?;
        basic.set_sensitive(true);
        let request = self.http.post(url).header(AUTHORIZATION, basic);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let given = answer(request.body("grant_type=client_credentials")).await?;
        if matches!(given.status.as_u16(), 400 | 401) {
            return Err(JheError::Unauthorized(words(&given.body)));
        }
        let granted: Granted = read(&settle(given)?)?;
        let mut header = HeaderValue::from_str(&format!("Bearer {}", granted.access_token))
            .map_err(|error| JheError::Wrong(error.to_string()))?;
        header.set_sensitive(true);
        let life = Duration::from_secs(granted.expires_in);
        Ok(Token { header, renew_at: Instant::now() + life * (LEFT - 1) / LEFT })
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, JheError> {
    let mut response = request.send().await.map_err(trouble)?;
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(trouble)? {
        body.extend_from_slice(&piece);
        if body.len() > LARGEST_ANSWER {
            return Err(JheError::Wrong("its answer is too large".to_owned()));
        }
    }
    Ok(Answer { status: response.status(), retry_after, body })
}

/// Where nobody listens, nothing was done; anything later may have arrived.
fn trouble(error: reqwest::Error) -> JheError {
    let error = error.without_url();
    let cause = crate::failure::deepest_cause(&error);
    if error.is_connect() {
        return JheError::Later { what: format!("JHE cannot be reached ({cause})"), retry_after: None };
    }
    JheError::Silent(if error.is_timeout() { "it did not answer in time".to_owned() } else { cause })
}

fn settle(answer: Answer) -> Result<Vec<u8>, JheError> {
    let what = || words(&answer.body);
    match answer.status.as_u16() {
        200..=299 => Ok(answer.body),
        401 => Err(JheError::Unauthorized(what())),
        403 => Err(JheError::Forbidden(what())),
        404 => Err(JheError::NotFound(what())),
        429 | 503 => Err(JheError::Later {
            what: format!("JHE answered {}: {}", answer.status.as_u16(), what()),
            retry_after: answer.retry_after,
        }),
        502 | 504 => Err(JheError::Silent(format!("{}: {}", answer.status.as_u16(), what()))),
        300..=399 => Err(JheError::Wrong(format!("it redirects ({})", answer.status.as_u16()))),
        status => Err(JheError::Rejected { status, what: what() }),
    }
}

/// JHE's own words about an error, in whichever of its shapes.
fn words(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let diagnostics = value["issue"].as_array().into_iter().flatten();
            let diagnostics: Vec<&str> =
                diagnostics.filter_map(|issue| issue["diagnostics"].as_str()).collect();
            match (value["detail"].as_str(), value["error"].as_str()) {
                _ if !diagnostics.is_empty() => diagnostics.join("; "),
                (Some(text), _) | (None, Some(text)) => text.to_owned(),
                _ => value.to_string(),
            }
        }
        Err(_) => String::from_utf8_lossy(body).trim().to_owned(),
    };
    text.chars().take(ERROR_CHARS).collect()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, JheError> {
    serde_json::from_slice(body).map_err(|error| JheError::Wrong(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jhes_words_are_found_in_each_of_its_shapes() {
        let outcome = br#"{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Code not found"}]}"#;
        assert_eq!(words(outcome), "Code not found");
        assert_eq!(words(br#"{"detail":"No."}"#), "No.");
        assert_eq!(words(br#"{"error":"invalid_client"}"#), "invalid_client");
        assert_eq!(
            words(br#"["resource.valueAttachment.data must be not null."]"#),
            "[\"resource.valueAttachment.data must be not null.\"]"
        );
        assert_eq!(words(b"<h1>Server Error (500)</h1>"), "<h1>Server Error (500)</h1>");
    }

    #[test]
    fn what_may_have_arrived_is_told_from_what_has_not() {
        let status = |status: u16| {
            let answer =
                Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: Vec::new() };
            settle(answer).unwrap_err().is_ambiguous()
        };
        assert!(status(500) && status(502) && status(504));
        assert!(!status(503) && !status(429) && !status(400) && !status(403));
    }
}
