//! HTTP with JHE: addresses, limits, and the error that each response means for the caller.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::failure::{Failure, root_cause};
use crate::common::redact::{describe_json_error, redact};
use crate::common::{backoff::RetryAfter, time::Timestamp};
use crate::common::{clock, http_client, response_body};
use crate::config::base_url::BaseUrl;
use crate::jhe::error::JheError;
use crate::telemetry::metrics::{Peer, RequestTimer};

/// Longer than JHE gives its own workers: a request without a response by then is no longer being worked on
/// when it is sent again.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Bytes of one response: a page of a thousand observations has one to two MB.
const LARGEST_RESPONSE: usize = 8 * 1024 * 1024;
/// The longest that a token is used, whatever JHE says: far beyond any real lifetime, and safe to add to an
/// instant.
const LONGEST_LIFE: Duration = Duration::from_hours(365 * 24);
/// Bytes of a response that are searched for an error text. JHE's longest, about each field of an
/// observation, has a few thousand.
const LARGEST_ERROR: usize = 64 * 1024;
/// Characters of an error text that are passed on; a page of HTML says no more.
const ERROR_CHARS: usize = 300;
/// Fields of OAuth's forms that are no secrets.
const PUBLIC_FIELDS: &[&str] = &["grant_type", "client_id", "redirect_uri"];

#[derive(Debug)]
pub(crate) struct HttpClient {
    client: reqwest::Client,
    base: BaseUrl,
}

/// The response of the OAuth token endpoint.
#[derive(Deserialize)]
pub(crate) struct TokenResponse {
    pub(crate) access_token: String,
    /// Seconds.
    expires_in: u64,
    pub(crate) refresh_token: Option<String>,
}

impl TokenResponse {
    pub(crate) fn life(&self) -> Duration {
        Duration::from_secs(self.expires_in).min(LONGEST_LIFE)
    }
}

pub(crate) struct HttpResponse {
    pub(crate) status: StatusCode,
    retry_after: Option<RetryAfter>,
    /// JHE's clock, where it says.
    pub(crate) date: Option<Timestamp>,
    body: Vec<u8>,
    /// Secrets of the request, which JHE's error text may repeat.
    secrets: Vec<SecretString>,
}

impl HttpClient {
    /// Returns a client of the JHE at `base`, without calling it.
    pub(crate) fn new(base: &BaseUrl) -> Result<Self, Failure> {
        let client = http_client::build(http_client::builder(base.as_str(), TIMEOUT))?;
        Ok(Self { client, base: base.clone() })
    }

    pub(crate) fn url(&self, path: &[&str]) -> Result<Url, JheError> {
        let invalid = || JheError::invalid("it cannot be called");
        let mut url = Url::parse(self.base.as_str()).map_err(|_| invalid())?;
        url.path_segments_mut().map_err(|()| invalid())?.pop_if_empty().extend(path);
        Ok(url)
    }

    /// Sends a request, with a JSON body if one is given. Every status is a success here.
    pub(crate) async fn send(
        &self,
        method: Method,
        url: Url,
        bearer: Option<&HeaderValue>,
        json: Option<String>,
    ) -> Result<HttpResponse, JheError> {
        let mut request = self.client.request(method, url);
        if let Some(bearer) = bearer {
            request = request.header(AUTHORIZATION, bearer);
        }
        if let Some(json) = json {
            request = request.header(CONTENT_TYPE, "application/json").body(json);
        }
        receive(request, bearer.map(credential).into_iter().collect()).await
    }

    /// Requests a token. Fails with [`JheError::NotGranted`] if JHE refuses the grant.
    pub(crate) async fn request_token(
        &self,
        fields: &[(&str, &str)],
        basic: Option<HeaderValue>,
    ) -> Result<TokenResponse, JheError> {
        let response = self.post_form(&["o", "token"], fields, basic).await?;
        if matches!(response.status.as_u16(), 400 | 401) {
            return Err(JheError::NotGranted(response.error_text()));
        }
        parse(&check_status(response)?)
    }

    /// Revokes a token, together with the tokens that were granted with it.
    pub(crate) async fn revoke_token(&self, fields: &[(&str, &str)]) -> Result<(), JheError> {
        check_status(self.post_form(&["o", "revoke_token"], fields, None).await?).map(drop)
    }

    /// Sends a form to a page of JHE's OAuth server. Their paths end with a slash.
    async fn post_form(
        &self,
        path: &[&str],
        fields: &[(&str, &str)],
        basic: Option<HeaderValue>,
    ) -> Result<HttpResponse, JheError> {
        let mut url = self.url(path)?;
        url.set_path(&format!("{}/", url.path()));
        let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = self.client.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let secret_fields = fields.iter().filter(|(name, _)| !PUBLIC_FIELDS.contains(name));
        let mut secrets: Vec<SecretString> = secret_fields.map(|(_, value)| (*value).into()).collect();
        if let Some(basic) = basic {
            secrets.extend(id_and_secret(&basic));
            secrets.push(credential(&basic));
            request = request.header(AUTHORIZATION, basic);
        }
        receive(request.body(form), secrets).await
    }
}

/// Returns the `Authorization` header for an access token.
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, JheError> {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).map_err(JheError::invalid)?;
    header.set_sensitive(true);
    Ok(header)
}

/// Returns the part of an `Authorization` header behind its scheme.
fn credential(header: &HeaderValue) -> SecretString {
    let text = header.to_str().unwrap_or_default();
    text.split_once(' ').map_or(text, |(_, token)| token).into()
}

/// Decodes the OAuth client's id and secret from the header that carries both in base64.
fn id_and_secret(basic: &HeaderValue) -> Vec<SecretString> {
    let decoded = STANDARD.decode(credential(basic).expose_secret()).unwrap_or_default();
    String::from_utf8_lossy(&decoded).split(':').map(SecretString::from).collect()
}

async fn receive(
    request: reqwest::RequestBuilder,
    secrets: Vec<SecretString>,
) -> Result<HttpResponse, JheError> {
    let timer = RequestTimer::start(Peer::Jhe);
    let mut response = request.send().await.map_err(transport_error)?;
    let status = response.status();
    let retry_after = RetryAfter::from_headers(response.headers());
    let date = clock::server_date(response.headers());
    let body = response_body::read(&mut response, LARGEST_RESPONSE).await.map_err(transport_error)?;
    let body = body.ok_or_else(|| JheError::invalid("its answer is too large"))?;
    timer.finish(status);
    Ok(HttpResponse { status, retry_after, date, body, secrets })
}

/// Classifies an error of the connection. Without a connection nothing was done; after that, anything may
/// have arrived.
fn transport_error(error: reqwest::Error) -> JheError {
    let error = error.without_url();
    let cause = root_cause(&error);
    if error.is_connect() {
        let message = format!("JHE cannot be reached ({cause})");
        return JheError::Unavailable { message, retry_after: None };
    }
    JheError::NoResponse(if error.is_timeout() { "it did not answer in time".to_owned() } else { cause })
}

/// Returns the body of a successful response, or the error that its status means.
pub(crate) fn check_status(response: HttpResponse) -> Result<Vec<u8>, JheError> {
    if response.status.is_success() {
        return Ok(response.body);
    }
    let message = response.error_text();
    match response.status.as_u16() {
        401 => Err(JheError::Unauthorized(message)),
        403 => Err(JheError::Forbidden(message)),
        404 => Err(JheError::NotFound(message)),
        status @ (429 | 503) => Err(JheError::Unavailable {
            message: format!("JHE answered {status}: {message}"),
            retry_after: response.retry_after,
        }),
        // A gateway's error: JHE itself may still be working on the request.
        status @ (502 | 504) => Err(JheError::NoResponse(format!("{status}: {message}"))),
        status @ 300..=399 => Err(JheError::invalid(format!("it redirects ({status})"))),
        status => Err(JheError::Rejected { status, message, retry_after: response.retry_after }),
    }
}

impl HttpResponse {
    fn error_text(&self) -> String {
        error_text(&self.body, self.secrets.iter().map(ExposeSecret::expose_secret))
    }
}

/// Returns the text of JHE's error response, in whichever of its shapes, with `secrets` redacted.
pub(crate) fn error_text<'a>(body: &[u8], secrets: impl IntoIterator<Item = &'a str>) -> String {
    let body = &body[..body.len().min(LARGEST_ERROR)];
    let text = match serde_json::from_slice::<Value>(body) {
        Ok(value) => {
            let issues = value["issue"].as_array().into_iter().flatten();
            let diagnostics: Vec<&str> = issues.filter_map(|issue| issue["diagnostics"].as_str()).collect();
            match value["detail"].as_str().or(value["error"].as_str()) {
                _ if !diagnostics.is_empty() => diagnostics.join("; "),
                Some(text) => text.to_owned(),
                None => value.to_string(),
            }
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    redact(&text, ERROR_CHARS, secrets)
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, JheError> {
    serde_json::from_slice(body).map_err(|error| JheError::invalid(describe_json_error(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_text_is_found_in_each_of_jhes_shapes() {
        let outcome = br#"{"resourceType":"OperationOutcome","issue":[{"diagnostics":"Code not found"}]}"#;
        let text = |body: &[u8]| error_text(body, []);
        assert_eq!(text(outcome), "Code not found");
        assert_eq!(text(br#"{"detail":"No."}"#), "No.");
        assert_eq!(text(br#"{"error":"invalid_client"}"#), "invalid_client");
        assert_eq!(
            text(br#"["resource.valueAttachment.data must be not null."]"#),
            "[\"resource.valueAttachment.data must be not null.\"]"
        );
        assert_eq!(text(b"<h1>Server Error (500)</h1>"), "<h1>Server Error (500)</h1>");
    }

    #[test]
    fn the_life_of_a_token_is_bounded() {
        let granted = format!(r#"{{"access_token":"a","expires_in":{}}}"#, u64::MAX);
        assert_eq!(parse::<TokenResponse>(granted.as_bytes()).unwrap().life(), LONGEST_LIFE);
    }

    #[test]
    fn a_status_is_ambiguous_if_jhe_may_have_done_the_work() {
        let is_ambiguous = |status: u16| {
            let response = HttpResponse {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                date: None,
                body: Vec::new(),
                secrets: Vec::new(),
            };
            check_status(response).unwrap_err().is_ambiguous()
        };
        assert!(is_ambiguous(500) && is_ambiguous(502) && is_ambiguous(504));
        assert!(!is_ambiguous(503) && !is_ambiguous(429) && !is_ambiguous(400) && !is_ambiguous(403));
    }
}
