//! What connects a person's device through OW: users, providers, authorization, and its end.
//!
//! A person waits for each of these calls: they are made once, and briefly. No redirect is followed.

use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Method, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::common::clock;
use crate::common::failure::{Failure, deepest_cause};
use crate::common::redact::{quote, unreadable};
use crate::common::time::Timestamp;
use crate::config::base_url::BaseUrl;
use crate::model::patient::OwUser;
use crate::ow::client::{api_url, client_builder, detail};
use crate::ow::connection::Connection;
use crate::telemetry::metrics::{Asked, Peer};

/// How long somebody in front of a page waits for OW.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of one answer: lists of providers and connections are a few kB.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// Characters of a provider's message that are passed on.
const MESSAGE_CHARS: usize = 200;

/// Calls to one OW on behalf of a person who waits.
#[derive(Debug)]
pub struct Connector {
    http: reqwest::Client,
    pub(crate) base: BaseUrl,
    /// What OW's words must not repeat.
    pub(crate) key: SecretString,
}

/// Why a call brought nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// OW gave no answer; the text says why.
    #[error("{0}")]
    Unreachable(String),
    /// OW answered with this error.
    #[error("OW answered {status}: {detail}")]
    Answered {
        /// The HTTP status.
        status: u16,
        /// OW's own words.
        detail: String,
    },
}

/// A provider that OW knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Provider {
    /// Its name in OW's paths.
    pub provider: String,
    /// What people call it.
    pub name: String,
    /// Whether it is reached with OAuth rather than from an app on the phone.
    #[serde(default)]
    pub has_cloud_api: bool,
    /// Whether OW's operator has it switched on.
    #[serde(default)]
    pub is_enabled: bool,
}

/// Where to send a browser so that its owner agrees at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Authorize {
    /// The provider's own page.
    pub authorization_url: String,
    /// What the provider will send back; OW forgets it after 15 minutes.
    pub state: String,
}

/// What OW made of a browser that came back from the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Returned {
    /// It has the connection.
    Connected,
    /// The person refused at the provider.
    Refused,
    /// OW does not know the state, or not any more.
    Stale,
    /// Anything else, in OW's words.
    Failed(String),
}

#[derive(Deserialize)]
struct Users {
    items: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    external_user_id: Option<String>,
}

impl User {
    fn id(self) -> Result<OwUser, CallError> {
        self.id.parse().map_err(|why: String| wrong(&why))
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The server's clock, where it says.
    pub(crate) date: Option<Timestamp>,
    location: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Authorize {
    /// Whether OW has the credentials of an app at the provider: it answers for those it lacks too, with an
    /// empty `client_id`.
    pub fn is_configured(&self) -> bool {
        self.parameter("client_id").is_some_and(|id| !id.is_empty())
    }

    /// Where the provider sends the browser back to: what has to be registered there, byte for byte.
    pub fn redirect_uri(&self) -> Option<String> {
        self.parameter("redirect_uri")
    }

    /// The provider's page, where a browser may be sent to it.
    pub fn page(&self) -> Option<&str> {
        let url = Url::parse(&self.authorization_url).ok()?;
        matches!(url.scheme(), "https" | "http").then_some(self.authorization_url.as_str())
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let url = Url::parse(&self.authorization_url).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

impl Connector {
    /// A connector to the OW at `base`. Calls nothing yet.
    ///
    /// # Errors
    /// As for [`crate::ow::client::Client::new`].
    pub fn new(base: &BaseUrl, key: &SecretString) -> Result<Self, Failure> {
        let http = client_builder(base, key, PATIENCE, redirect::Policy::none())?;
        Ok(Self { http, base: base.clone(), key: key.clone() })
    }

    /// The OW user of this external id, where there is one.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn find_user(&self, external_id: &str) -> Result<Option<OwUser>, CallError> {
        let mut url = self.url(&["users"])?;
        url.query_pairs_mut().append_pair("external_user_id", external_id);
        let users: Users = read(&self.call(Method::GET, url, None).await?)?;
        // An OW that ignores the parameter lists everybody.
        let is_this = |user: &User| user.external_user_id.as_deref() == Some(external_id);
        users.items.into_iter().find(is_this).map(User::id).transpose()
    }

    /// The OW user of this external id, made where there is none. No e-mail is sent along: OW refuses a second
    /// user with the same one, and has no need of it.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn find_or_create_user(&self, external_id: &str) -> Result<OwUser, CallError> {
        if let Some(user) = self.find_user(external_id).await? {
            return Ok(user);
        }
        let body = json!({ "external_user_id": external_id });
        read::<User>(&self.call(Method::POST, self.url(&["users"])?, Some(body)).await?)?.id()
    }

    /// The providers that OW knows.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn providers(&self) -> Result<Vec<Provider>, CallError> {
        let url = self.url(&["oauth", "providers"])?;
        read(&self.call(Method::GET, url, None).await?)
    }

    /// Whether OW has this user: its other answers are the same for one that is gone.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn knows(&self, user: &OwUser) -> Result<bool, CallError> {
        let url = self.url(&["users", user.as_str()])?;
        match self.call(Method::GET, url, None).await {
            Ok(_) => Ok(true),
            Err(CallError::Answered { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A user's connections to providers.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn connections(&self, user: &OwUser) -> Result<Vec<Connection>, CallError> {
        let url = self.url(&["users", user.as_str(), "connections"])?;
        read(&self.call(Method::GET, url, None).await?)
    }

    /// Begins an authorization that ends at `redirect_uri`. OW checks neither the user nor the address.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn authorize(
        &self,
        provider: &str,
        user: &str,
        redirect_uri: &str,
    ) -> Result<Authorize, CallError> {
        let mut url = self.url(&["oauth", provider, "authorize"])?;
        url.query_pairs_mut().append_pair("user_id", user).append_pair("redirect_uri", redirect_uri);
        read(&self.call(Method::GET, url, None).await?)
    }

    /// Passes on what the provider sent back with the browser, as it came.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] only; what OW says is the answer.
    pub async fn callback(
        &self,
        provider: &str,
        query: &str,
        redirect_uri: &str,
    ) -> Result<Returned, CallError> {
        let mut url = self.url(&["oauth", provider, "callback"])?;
        url.set_query(Some(query));
        let answer = self.ask(Method::GET, url, None).await?;
        let sent: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let secrets = sent.iter().map(|(_, value)| value.as_str()).chain([self.key.expose_secret()]);
        Ok(classify(&answer, redirect_uri, &secrets.collect::<Vec<_>>()))
    }

    /// Ends a user's connection to a provider. One that is not there counts as ended.
    ///
    /// # Errors
    /// As [`CallError`] says.
    pub async fn disconnect(&self, user: &OwUser, provider: &str) -> Result<(), CallError> {
        let url = self.url(&["users", user.as_str(), "connections", provider])?;
        match self.call(Method::DELETE, url, None).await {
            Ok(_) | Err(CallError::Answered { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn url(&self, path: &[&str]) -> Result<Url, CallError> {
        api_url(&self.base, path).ok_or_else(|| wrong("it cannot be called"))
    }

    /// Makes a call that has to succeed.
    async fn call(&self, method: Method, url: Url, body: Option<Value>) -> Result<Vec<u8>, CallError> {
        let answer = self.ask(method, url, body).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(CallError::Answered {
            status: answer.status.as_u16(),
            detail: detail(&answer.body, [self.key.expose_secret()]),
        })
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Option<Value>,
    ) -> Result<Answer, CallError> {
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            let json = HeaderMap::from_iter([(
                reqwest::header::CONTENT_TYPE,
                reqwest::header::HeaderValue::from_static("application/json"),
            )]);
            request = request.headers(json).body(body.to_string());
        }
        receive(request).await
    }
}

pub(crate) async fn receive(request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
    let asked = Asked::of(Peer::Ow);
    let mut response = request.send().await.map_err(unreachable)?;
    let date = clock::of_server(response.headers());
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.map(str::to_owned);
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > LARGEST_ANSWER {
            return Err(wrong("the answer is too large"));
        }
    }
    asked.answered(response.status());
    Ok(Answer { status: response.status(), date, location, body: bytes })
}

/// What OW's answer to a callback means. It never sends the browser back to us where the person refused.
fn classify(answer: &Answer, redirect_uri: &str, secrets: &[&str]) -> Returned {
    let status = answer.status;
    match answer.location.as_deref() {
        Some(target) if status.is_redirection() && target == redirect_uri => Returned::Connected,
        Some(target) if status.is_redirection() => {
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let message = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "message");
            let message = message.map(|(_, message)| message.into_owned()).unwrap_or_default();
            match path {
                _ if path.ends_with("/oauth/success") => Returned::Connected,
                _ if message.starts_with("access_denied") => Returned::Refused,
                _ => Returned::Failed(quote(&message, MESSAGE_CHARS, secrets.iter().copied())),
            }
        }
        _ => match detail(&answer.body, secrets.iter().copied()) {
            text if text.contains("state parameter") => Returned::Stale,
            text => Returned::Failed(format!("{}: {text}", status.as_u16())),
        },
    }
}

fn unreachable(error: reqwest::Error) -> CallError {
    let error = error.without_url();
    CallError::Unreachable(if error.is_timeout() {
        "OW did not answer in time".to_owned()
    } else {
        format!("OW cannot be reached ({})", deepest_cause(&error))
    })
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| wrong(&unreadable(&error)))
}

/// An answer that no OW gives: what is there is something else.
pub(crate) fn wrong(why: &str) -> CallError {
    CallError::Unreachable(format!("what answers at OW_API_URL is no OW ({why})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "https://jhe-ow.example.org/clients/ow/complete?provider=oura";

    fn redirected(to: &str) -> Returned {
        classify(&answered(StatusCode::SEE_OTHER, Some(to), b""), HOME, &["the-code"])
    }

    fn answered(status: StatusCode, location: Option<&str>, body: &[u8]) -> Answer {
        Answer { status, location: location.map(str::to_owned), date: None, body: body.to_vec() }
    }

    #[test]
    fn each_way_back_from_a_provider_is_told_apart() {
        assert_eq!(redirected(HOME), Returned::Connected);
        assert_eq!(redirected("/api/v1/oauth/success?provider=oura&user_id=x"), Returned::Connected);
        let refused = "/api/v1/oauth/error?message=access_denied:+Unknown+error";
        assert_eq!(redirected(refused), Returned::Refused);
        let failed = redirected("/api/v1/oauth/error?message=server_error:+Try+later");
        assert_eq!(failed, Returned::Failed("server_error: Try later".into()));
        let echoed = redirected("/api/v1/oauth/error?message=the-code+is+no+code");
        assert_eq!(echoed, Returned::Failed("… is no code".into()));
        let stale = br#"{"detail":"Invalid or expired state parameter"}"#;
        assert_eq!(classify(&answered(StatusCode::BAD_REQUEST, None, stale), HOME, &[]), Returned::Stale);
        let broken =
            classify(&answered(StatusCode::INTERNAL_SERVER_ERROR, None, b"Internal Server Error"), HOME, &[]);
        assert_eq!(broken, Returned::Failed("500: Internal Server Error".into()));
    }

    #[test]
    fn a_provider_without_credentials_is_not_configured() {
        let authorize = |id: &str| Authorize {
            authorization_url: format!(
                "https://cloud.ouraring.com/oauth/authorize?response_type=code&client_id={id}&redirect_uri=http://127.0.0.1:8000/api/v1/oauth/oura/callback&state=x"
            ),
            state: "x".into(),
        };
        assert!(authorize("dummy").is_configured() && !authorize("").is_configured());
        let registered = authorize("dummy").redirect_uri();
        assert_eq!(registered.as_deref(), Some("http://127.0.0.1:8000/api/v1/oauth/oura/callback"));
        let script = Authorize { authorization_url: "javascript:alert(1)".into(), state: "x".into() };
        assert_eq!(script.page(), None);
    }
}
