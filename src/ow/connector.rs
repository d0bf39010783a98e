//! The OW calls that connect a person's device: users, providers, authorization, disconnection.
//!
//! A person waits for each of these calls, so each is made once and briefly. Redirects are not followed.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, LOCATION};
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::common::failure::{Failure, root_cause};
use crate::common::redact::{describe_json_error, redact};
use crate::common::time::Timestamp;
use crate::common::{clock, http_client, response_body};
use crate::config::base_url::BaseUrl;
use crate::model::patient::OwUser;
use crate::ow::client::{api_url, client_with_key, error_text};
use crate::ow::connection::ProviderConnection;
use crate::telemetry::metrics::{Peer, RequestTimer};

/// The longest that a person in front of a page waits for OW.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of one response: lists of providers and connections have a few kB.
const LARGEST_RESPONSE: usize = 1024 * 1024;
/// Bytes of the address of a provider's page.
const LONGEST_PAGE_URL: usize = 4096;
/// Characters of a provider's message that is passed on.
const MESSAGE_CHARS: usize = 200;

#[derive(Debug)]
pub struct Connector {
    http: reqwest::Client,
    pub(crate) base: BaseUrl,
    /// Redacted in OW's error texts.
    pub(crate) key: SecretString,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No answer came, or none that an OW would give; the text says why.
    #[error("{0}")]
    Unreachable(String),
    #[error("OW answered {status}: {detail}")]
    Status {
        status: u16,
        /// OW's error text.
        detail: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct OwProvider {
    /// Its name in OW's paths.
    pub provider: String,
    /// Its name for people.
    pub name: String,
    /// True if OW reaches it with OAuth rather than from an app on the phone.
    #[serde(default)]
    pub has_cloud_api: bool,
    /// True if OW's operator has switched it on.
    #[serde(default)]
    pub is_enabled: bool,
}

/// An OAuth authorization that OW has begun.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ProviderAuthorization {
    /// The provider's page, where the person agrees.
    pub authorization_url: String,
    /// The OAuth state; OW forgets it after 15 minutes.
    pub state: String,
}

/// The result of a callback, that is of a browser that came back from the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackOutcome {
    Connected,
    /// The person refused at the provider.
    Refused,
    /// OW does not know the state, or has forgotten it.
    Stale,
    /// Anything else, in OW's words.
    Failed(String),
}

#[derive(Deserialize)]
struct UserList {
    items: Vec<UserRecord>,
}

#[derive(Deserialize)]
struct UserRecord {
    id: String,
    external_user_id: Option<String>,
}

impl UserRecord {
    fn id(self) -> Result<OwUser, CallError> {
        self.id.parse().map_err(|why: String| not_an_ow(&why))
    }
}

pub(crate) struct OwResponse {
    pub(crate) status: StatusCode,
    /// The server's clock, where it says.
    pub(crate) date: Option<Timestamp>,
    location: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl OwResponse {
    /// Turns an answer that the caller cannot use into an error.
    pub(crate) fn error(&self, key: &SecretString) -> CallError {
        let detail = error_text(&self.body, [key.expose_secret()]);
        CallError::Status { status: self.status.as_u16(), detail }
    }
}

impl ProviderAuthorization {
    /// Returns true if OW has the credentials of an app at the provider. Without them it answers with an
    /// empty `client_id`.
    pub fn is_configured(&self) -> bool {
        self.parameter("client_id").is_some_and(|id| !id.is_empty())
    }

    /// Returns the address that has to be registered at the provider, byte for byte.
    pub fn redirect_uri(&self) -> Option<String> {
        self.parameter("redirect_uri")
    }

    /// Checks that a browser may be sent to the provider's page, and returns the address to which the provider sends it
    /// back, if the page's address has one. Providers are many, and any host may be one.
    pub fn check_page(&self) -> Result<Option<String>, &'static str> {
        let text = &self.authorization_url;
        if text.len() > LONGEST_PAGE_URL || text.contains(char::is_control) {
            return Err("the address of the provider's page is too long or has control characters");
        }
        let url = Url::parse(text).map_err(|_| "the provider's page has no valid address")?;
        if url.scheme() != "https" && !(url.scheme() == "http" && http_client::is_this_machine(url.as_str()))
        {
            return Err("the provider's page is not on https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the address of the provider's page has a user name");
        }
        let all = |name: &str| -> Vec<String> {
            let pairs = url.query_pairs().filter(|(key, _)| key == name);
            pairs.map(|(_, value)| value.into_owned()).collect()
        };
        if all("state") != [self.state.as_str()] {
            return Err("the address of the provider's page does not have one state, the one that was begun");
        }
        match all("redirect_uri").as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.clone())),
            _ => Err("the provider sends the browser back to several addresses"),
        }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let url = Url::parse(&self.authorization_url).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Connector {
    /// Returns a connector to the OW at `base`, without calling it.
    pub fn new(base: &BaseUrl, key: &SecretString) -> Result<Self, Failure> {
        let http = http_client::build(client_with_key(base, key, TIMEOUT)?)?;
        Ok(Self { http, base: base.clone(), key: key.clone() })
    }

    pub async fn find_user(&self, external_id: &str) -> Result<Option<OwUser>, CallError> {
        let mut url = self.url(&["users"])?;
        url.query_pairs_mut().append_pair("external_user_id", external_id);
        let users: UserList = parse(&self.call(Method::GET, url, None).await?)?;
        // An OW that ignores the parameter lists everybody.
        let is_this = |user: &UserRecord| user.external_user_id.as_deref() == Some(external_id);
        users.items.into_iter().find(is_this).map(UserRecord::id).transpose()
    }

    /// Finds the OW user with this external id, or creates one. No e-mail is sent along: OW refuses a second
    /// user with the same address, and does not need it.
    pub async fn find_or_create_user(&self, external_id: &str) -> Result<OwUser, CallError> {
        if let Some(user) = self.find_user(external_id).await? {
            return Ok(user);
        }
        let body = json!({ "external_user_id": external_id });
        let user: UserRecord = parse(&self.call(Method::POST, self.url(&["users"])?, Some(body)).await?)?;
        if user.external_user_id.as_deref().is_some_and(|id| id != external_id) {
            return Err(not_an_ow("it answered with another user than the one to create"));
        }
        user.id()
    }

    pub async fn list_providers(&self) -> Result<Vec<OwProvider>, CallError> {
        parse(&self.call(Method::GET, self.url(&["oauth", "providers"])?, None).await?)
    }

    /// Returns true if OW has this user. Its other endpoints answer alike for a deleted one.
    pub async fn has_user(&self, user: &OwUser) -> Result<bool, CallError> {
        self.call_if_found(Method::GET, self.url(&["users", user.as_str()])?).await
    }

    pub async fn list_connections(&self, user: &OwUser) -> Result<Vec<ProviderConnection>, CallError> {
        let url = self.url(&["users", user.as_str(), "connections"])?;
        let found: Vec<ProviderConnection> = parse(&self.call(Method::GET, url, None).await?)?;
        if found.iter().any(|one| one.is_of_another(user)) {
            return Err(not_an_ow("it answered with the connections of another user"));
        }
        Ok(found)
    }

    /// Begins an authorization that ends at `redirect_uri`. OW checks neither the user nor the address.
    pub async fn begin_authorization(
        &self,
        provider: &str,
        user: &str,
        redirect_uri: &str,
    ) -> Result<ProviderAuthorization, CallError> {
        let url = self.authorize_url(provider, user, redirect_uri)?;
        parse(&self.call(Method::GET, url, None).await?)
    }

    pub(crate) fn authorize_url(
        &self,
        provider: &str,
        user: &str,
        redirect_uri: &str,
    ) -> Result<Url, CallError> {
        let mut url = self.url(&["oauth", provider, "authorize"])?;
        url.query_pairs_mut().append_pair("user_id", user).append_pair("redirect_uri", redirect_uri);
        Ok(url)
    }

    /// Forwards to OW the parameters that the provider sent back with the browser, without the empty ones. Fails
    /// with [`CallError::Unreachable`] only.
    pub async fn forward_callback(
        &self,
        provider: &str,
        parameters: &[(&str, &str)],
        redirect_uri: &str,
    ) -> Result<CallbackOutcome, CallError> {
        let mut url = self.url(&["oauth", provider, "callback"])?;
        let given = parameters.iter().filter(|(_, value)| !value.is_empty());
        url.query_pairs_mut().extend_pairs(given.clone());
        let response = self.send(Method::GET, url, None).await?;
        let secrets = given.map(|(_, value)| *value).chain([self.key.expose_secret()]);
        Ok(classify_callback(&response, redirect_uri, &secrets.collect::<Vec<_>>()))
    }

    /// Ends a user's connection to a provider. A connection that does not exist counts as ended.
    pub async fn disconnect(&self, user: &OwUser, provider: &str) -> Result<(), CallError> {
        let url = self.url(&["users", user.as_str(), "connections", provider])?;
        self.call_if_found(Method::DELETE, url).await.map(drop)
    }

    /// Makes a call about something that may not exist; returns false for a 404.
    async fn call_if_found(&self, method: Method, url: Url) -> Result<bool, CallError> {
        match self.call(method, url, None).await {
            Ok(_) => Ok(true),
            Err(CallError::Status { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn url(&self, path: &[&str]) -> Result<Url, CallError> {
        api_url(&self.base, path).ok_or_else(|| not_an_ow("it cannot be called"))
    }

    /// Makes a call, and fails for every status but a success.
    async fn call(&self, method: Method, url: Url, body: Option<Value>) -> Result<Vec<u8>, CallError> {
        let response = self.send(method, url, body).await?;
        if response.status.is_success() { Ok(response.body) } else { Err(response.error(&self.key)) }
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        url: Url,
        body: Option<Value>,
    ) -> Result<OwResponse, CallError> {
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        receive(request).await
    }
}

pub(crate) async fn receive(request: reqwest::RequestBuilder) -> Result<OwResponse, CallError> {
    let timer = RequestTimer::start(Peer::Ow);
    let mut response = request.send().await.map_err(transport_error)?;
    let status = response.status();
    let date = clock::server_date(response.headers());
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = response_body::read(&mut response, LARGEST_RESPONSE).await.map_err(transport_error)?;
    let body = body.ok_or_else(|| not_an_ow("the answer is too large"))?;
    timer.finish(status);
    Ok(OwResponse { status, date, location, body })
}

fn classify_callback(response: &OwResponse, redirect_uri: &str, secrets: &[&str]) -> CallbackOutcome {
    let status = response.status;
    match response.location.as_deref() {
        Some(target) if status.is_redirection() && target == redirect_uri => CallbackOutcome::Connected,
        // OW sends the browser to pages of its own where the person refused, or where it ignores our
        // redirect_uri.
        Some(target) if status.is_redirection() => {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let message = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "message");
            let message = message.map(|(_, message)| message.into_owned()).unwrap_or_default();
            match path {
                _ if path.ends_with("/oauth/success") => CallbackOutcome::Connected,
                _ if message.starts_with("access_denied") => CallbackOutcome::Refused,
                _ => CallbackOutcome::Failed(redact(&message, MESSAGE_CHARS, secrets.iter().copied())),
            }
        }
        _ => match error_text(&response.body, secrets.iter().copied()) {
            text if text.contains("state parameter") => CallbackOutcome::Stale,
            text => CallbackOutcome::Failed(format!("{}: {text}", status.as_u16())),
        },
    }
}

fn transport_error(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    CallError::Unreachable(if error.is_timeout() {
        "OW did not answer in time".to_owned()
    } else {
        format!("OW cannot be reached ({})", root_cause(&error))
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| not_an_ow(&describe_json_error(&error)))
}

/// The error for an answer that no OW gives: another program listens at the address.
pub(crate) fn not_an_ow(why: &str) -> CallError {
    CallError::Unreachable(format!("what answers at OW_API_URL is no OW ({why})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "https://jhe-ow.example.org/clients/ow/complete?provider=oura";

    fn redirected(to: &str) -> CallbackOutcome {
        classify_callback(&response(StatusCode::SEE_OTHER, Some(to), b""), HOME, &["the-code"])
    }

    fn response(status: StatusCode, location: Option<&str>, body: &[u8]) -> OwResponse {
        OwResponse { status, location: location.map(str::to_owned), date: None, body: body.to_vec() }
    }

    #[test]
    fn each_outcome_of_a_callback_is_recognized() {
        assert_eq!(redirected(HOME), CallbackOutcome::Connected);
        assert_eq!(redirected("/api/v1/oauth/success?provider=oura&user_id=x"), CallbackOutcome::Connected);
        let refused = "/api/v1/oauth/error?message=access_denied:+Unknown+error";
        assert_eq!(redirected(refused), CallbackOutcome::Refused);
        let failed = redirected("/api/v1/oauth/error?message=server_error:+Try+later");
        assert_eq!(failed, CallbackOutcome::Failed("server_error: Try later".into()));
        let echoed = redirected("/api/v1/oauth/error?message=the-code+is+no+code");
        assert_eq!(echoed, CallbackOutcome::Failed("… is no code".into()));
        let stale = br#"{"detail":"Invalid or expired state parameter"}"#;
        assert_eq!(
            classify_callback(&response(StatusCode::BAD_REQUEST, None, stale), HOME, &[]),
            CallbackOutcome::Stale
        );
        let broken = classify_callback(
            &response(StatusCode::INTERNAL_SERVER_ERROR, None, b"Internal Server Error"),
            HOME,
            &[],
        );
        assert_eq!(broken, CallbackOutcome::Failed("500: Internal Server Error".into()));
    }

    #[test]
    fn a_provider_without_credentials_is_not_configured() {
        let authorize = |id: &str| ProviderAuthorization {
            authorization_url: format!(
                "https://cloud.ouraring.com/oauth/authorize?response_type=code&client_id={id}&redirect_uri=http://127.0.0.1:8000/api/v1/oauth/oura/callback&state=x"
            ),
            state: "x".into(),
        };
        assert!(authorize("dummy").is_configured() && !authorize("").is_configured());
        let registered = authorize("dummy").redirect_uri();
        assert_eq!(registered.as_deref(), Some("http://127.0.0.1:8000/api/v1/oauth/oura/callback"));
    }

    #[test]
    fn a_browser_is_sent_to_a_page_on_https_with_one_state_and_one_way_back() {
        let check = |url: &str| {
            ProviderAuthorization { authorization_url: url.into(), state: "x".into() }.check_page()
        };
        let back = "https://ow.example.org/api/v1/oauth/oura/callback";
        assert_eq!(check("https://oura.example.org/a?state=x"), Ok(None));
        assert_eq!(check("http://127.0.0.1:8000/a?state=x"), Ok(None), "the demonstration");
        assert_eq!(
            check(&format!("https://oura.example.org/a?state=x&redirect_uri={back}")),
            Ok(Some(back.into()))
        );
        let long = format!("https://oura.example.org/{}?state=x", "a".repeat(LONGEST_PAGE_URL));
        for wrong in [
            "javascript:alert(1)",
            "http://oura.example.org/a?state=x",
            "https://user@oura.example.org/a?state=x",
            "https://user:word@oura.example.org/a?state=x",
            "https://oura.example.org/\n?state=x",
            "https://oura.example.org/a",
            "https://oura.example.org/a?state=y",
            "https://oura.example.org/a?state=x&state=x",
            "https://oura.example.org/a?state=x&redirect_uri=https://a.example&redirect_uri=https://b.example",
            long.as_str(),
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
