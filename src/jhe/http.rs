//! HTTP with one JHE, whoever asks: addresses, limits, and what an answer means for the caller.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::backoff::RetryAfter;
use crate::common::clock;
use crate::common::failure::Failure;
use crate::common::redact::{quote, unreadable};
use crate::common::time::Timestamp;
use crate::config::base_url::BaseUrl;
use crate::jhe::error::JheError;
use crate::telemetry::metrics::{Asked, Peer};

/// Longer than JHE's own workers are given: what has not been answered by then is not worked on any more, or
/// will be over by the time that it is sent again.
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one answer: a page of a thousand observations is one to two MB.
const LARGEST_ANSWER: usize = 8 * 1024 * 1024;
/// For how long a token is used at most, whatever JHE says: far longer than any is good for, and a time that can be
/// reckoned with.
const LONGEST_LIFE: Duration = Duration::from_hours(365 * 24);
/// Bytes of an answer in which JHE's words about an error are looked for: its longest, about each field of an
/// observation, has a few thousand.
const LARGEST_ERROR: usize = 64 * 1024;
/// Characters of JHE's words about an error; a page of HTML says nothing more.
const ERROR_CHARS: usize = 300;
/// Fields of OAuth's forms that everybody may know.
const PUBLIC_FIELDS: &[&str] = &["grant_type", "client_id", "redirect_uri"];

/// HTTP with one JHE.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    base: BaseUrl,
}

/// What JHE gave at its token endpoint.
#[derive(Deserialize)]
pub(crate) struct Granted {
    pub(crate) access_token: String,
    /// Seconds.
    expires_in: u64,
    pub(crate) refresh_token: Option<String>,
}

impl Granted {
    /// For how long the access token is good.
    pub(crate) fn life(&self) -> Duration {
        Duration::from_secs(self.expires_in).min(LONGEST_LIFE)
    }
}

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    retry_after: Option<RetryAfter>,
    /// What JHE's clock reads, where it says.
    pub(crate) clock: Option<Timestamp>,
    body: Vec<u8>,
    /// What was sent and must not be repeated.
    secrets: Vec<SecretString>,
}

impl Http {
    /// For the JHE at `base`. Calls nothing yet.
    ///
    /// # Errors
    /// Where no HTTPS client can be made.
    pub(crate) fn new(base: &BaseUrl) -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("jhe-ow/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            // Without https there is no need of root certificates, which a bare machine may not have.
            .tls_built_in_native_certs(base.as_str().starts_with("https:"))
            .build();
        let client = client.map_err(|error| {
            Failure::failed(format!("no HTTPS client can be made: {error}"), "install the root certificates")
        })?;
        Ok(Self { client, base: base.clone() })
    }

    pub(crate) fn url(&self, path: &[&str]) -> Result<Url, JheError> {
        let wrong = || JheError::Wrong("it cannot be called".to_owned());
        let mut url = Url::parse(self.base.as_str()).map_err(|_| wrong())?;
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(path);
        Ok(url)
    }

    /// Asks with a body of JSON, or none.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: Url,
        bearer: Option<&HeaderValue>,
        body: Option<String>,
    ) -> Result<Answer, JheError> {
        let mut request = self.client.request(method, url);
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        answer(request, bearer.map(shown).into_iter().collect()).await
    }

    /// Asks for a token.
    ///
    /// # Errors
    /// [`JheError::NotGranted`] where what was shown for it is not accepted.
    pub(crate) async fn token(
        &self,
        fields: &[(&str, &str)],
        basic: Option<HeaderValue>,
    ) -> Result<Granted, JheError> {
        let given = self.form(&["o", "token"], fields, basic).await?;
        if matches!(given.status.as_u16(), 400 | 401) {
            return Err(JheError::NotGranted(given.words()));
        }
        read(&settle(given)?)
    }

    /// Has a token end, and what was given with it.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub(crate) async fn revoke(&self, fields: &[(&str, &str)]) -> Result<(), JheError> {
        settle(self.form(&["o", "revoke_token"], fields, None).await?).map(drop)
    }

    /// Sends a form, as the pages of OAuth take one: to a path with a slash at its end.
    async fn form(
        &self,
        path: &[&str],
        fields: &[(&str, &str)],
        basic: Option<HeaderValue>,
    ) -> Result<Answer, JheError> {
        let mut url = self.url(path)?;
        url.set_path(&format!("{}/", url.path()));
        let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let is_secret = |name: &str| !PUBLIC_FIELDS.contains(&name);
        let of_form = fields.iter().filter(|(name, _)| is_secret(name)).map(|(_, value)| (*value).into());
        let secrets = of_form.chain(basic.iter().flat_map(halves)).chain(basic.as_ref().map(shown)).collect();
        if let Some(basic) = basic {
            request = request.header(AUTHORIZATION, basic);
        }
        answer(request.body(form), secrets).await
    }
}

/// The header that shows a token.
///
/// # Errors
/// [`JheError::Wrong`] where it holds what no token has.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, JheError> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|error| JheError::Wrong(error.to_string()))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The token of a header.
fn shown(header: &HeaderValue) -> SecretString {
    let text = header.to_str().unwrap_or_default();
    text.split_once(' ').map_or(text, |(_, token)| token).into()
}

/// The OAuth client's id and secret, of which its key is the base64.
fn halves(basic: &HeaderValue) -> Vec<SecretString> {
    let decoded = STANDARD.decode(shown(basic).expose_secret()).unwrap_or_default();
    String::from_utf8_lossy(&decoded).split(':').map(SecretString::from).collect()
}

async fn answer(request: reqwest::RequestBuilder, secrets: Vec<SecretString>) -> Result<Answer, JheError> {
    let asked = Asked::of(Peer::Jhe);
    let mut response = request.send().await.map_err(trouble)?;
    let retry_after = RetryAfter::of(response.headers());
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(trouble)? {
        body.extend_from_slice(&piece);
        if body.len() > LARGEST_ANSWER {
            return Err(JheError::Wrong("its answer is too large".to_owned()));
        }
    }
    let clock = clock::of_server(response.headers());
    asked.answered(response.status());
    Ok(Answer { status: response.status(), retry_after, clock, body, secrets })
}

/// Where nobody listens, nothing was done; anything later may have arrived.
fn trouble(error: reqwest::Error) -> JheError {
    let error = error.without_url();
    let cause = crate::common::failure::deepest_cause(&error);
    if error.is_connect() {
        return JheError::Later { what: format!("JHE cannot be reached ({cause})"), retry_after: None };
    }
    JheError::Silent(if error.is_timeout() { "it did not answer in time".to_owned() } else { cause })
}

pub(crate) fn settle(answer: Answer) -> Result<Vec<u8>, JheError> {
    let what = || answer.words();
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

impl Answer {
    /// JHE's own words about an error, without what it was sent.
    fn words(&self) -> String {
        words(&self.body, self.secrets.iter().map(ExposeSecret::expose_secret))
    }
}

/// JHE's own words about an error, in whichever of its shapes.
pub(crate) fn words<'a>(body: &[u8], secrets: impl IntoIterator<Item = &'a str>) -> String {
    let body = &body[..body.len().min(LARGEST_ERROR)];
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
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    quote(&text, ERROR_CHARS, secrets)
}

pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, JheError> {
    serde_json::from_slice(body).map_err(|error| JheError::Wrong(unreadable(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jhes_words_are_found_in_each_of_its_shapes() {
        let outcome = br#"{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Code not found"}]}"#;
        let words = |body: &[u8]| words(body, []);
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
    fn no_number_of_jhes_is_too_large_to_be_reckoned_with() {
        let granted = format!(r#"{{"access_token":"a","expires_in":{}}}"#, u64::MAX);
        assert_eq!(read::<Granted>(granted.as_bytes()).unwrap().life(), LONGEST_LIFE);
    }

    #[test]
    fn what_may_have_arrived_is_told_from_what_has_not() {
        let status = |status: u16| {
            let answer = Answer {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                clock: None,
                body: Vec::new(),
                secrets: Vec::new(),
            };
            settle(answer).unwrap_err().is_ambiguous()
        };
        assert!(status(500) && status(502) && status(504));
        assert!(!status(503) && !status(429) && !status(400) && !status(403));
    }
}
