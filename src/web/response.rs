//! Responses: pages, redirects, refusals, and the headers that each of them carries.

use cookie::SameSite;
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::{Markup, html};
use tokio_util::io::ReaderStream;
use warp::reply::{Reply, Response};

use crate::app::rate_limit::TooManyRequests;
use crate::common::failure::Failure;
use crate::i18n::phrase::Phrase;
use crate::secrets::token::Token;
use crate::store::error::StoreError;
use crate::web::layout::{PageFrame, reference, render_page};
use crate::web::reader::Reader;

/// Allows no scripts, and nothing from another origin. Browsers apply `form-action` to the redirect after a
/// form too: a form that ends at a provider is answered with a page that leads there.
const SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                               form-action 'self'; frame-ancestors 'none'";

/// Bytes of a chunk of a file.
const FILE_CHUNK: usize = 64 * 1024;
/// Browsers that used https once use it for a year.
const HSTS: &str = "max-age=31536000";

/// Adds the headers that every response carries. `is_https` says how browsers reach the daemon.
pub(crate) fn with_security_headers(mut response: Response, is_https: bool) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not "no-referrer": browsers would then name no origin in our own forms either.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

pub(crate) fn html(page: Markup) -> Response {
    with_type("text/html; charset=utf-8", page.into_string())
}

pub(crate) fn with_status(status: StatusCode, mut response: Response) -> Response {
    *response.status_mut() = status;
    response
}

pub(crate) fn with_retry_after(mut response: Response, seconds: u64) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

pub(crate) fn with_type(kind: &'static str, body: impl Into<String>) -> Response {
    let mut response = body.into().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Answers with a file, which is read in chunks as fast as the client takes them. The file stays readable after its name
/// is gone.
pub(crate) fn stream_file(file: std::fs::File) -> Response {
    let chunks = ReaderStream::with_capacity(tokio::fs::File::from_std(file), FILE_CHUNK);
    warp::reply::stream(chunks).into_response()
}

pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    with_status(status, with_type("application/json", body.to_string() + "\n"))
}

/// Redirects the browser to another page of the daemon.
pub(crate) fn see_other(to: &str) -> Response {
    let mut response = with_status(StatusCode::SEE_OTHER, warp::reply::reply().into_response());
    // A target is made of fixed paths, numbers and encoded text, so it is always a valid header.
    let target = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, target);
    response
}

/// A cookie with a token; scripts cannot read it, and forms of other sites do not send it.
pub(crate) struct TokenCookie<'a> {
    pub(crate) name: &'static str,
    /// None deletes the cookie.
    pub(crate) token: Option<&'a Token>,
    pub(crate) max_age: std::time::Duration,
    /// Sent over https only, under a name that browsers take from this host alone.
    pub(crate) secure: bool,
}

/// Returns the name of a cookie in the browser. With `__Host-`, no other host of the domain can plant it (RFC 6265bis).
pub(crate) fn cookie_name(name: &str, secure: bool) -> String {
    format!("{}{name}", if secure { "__Host-" } else { "" })
}

pub(crate) fn with_cookie(mut response: Response, cookie: &TokenCookie<'_>) -> Response {
    let (value, age) = match cookie.token {
        Some(token) => (token.expose(), cookie.max_age.try_into().unwrap_or(cookie::time::Duration::MAX)),
        None => ("", cookie::time::Duration::ZERO),
    };
    let made = cookie::Cookie::build((cookie_name(cookie.name, cookie.secure), value)).path("/").max_age(age);
    let made = made.http_only(true).same_site(SameSite::Lax).secure(cookie.secure);
    if let Ok(mut value) = HeaderValue::from_str(&made.to_string()) {
        value.set_sensitive(true);
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response
}

pub(crate) type HandlerResult = Result<Response, Refusal>;

/// An error page: the reason, and a link to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) title: Phrase,
    pub(crate) text: Phrase,
    /// Address and label.
    pub(crate) link: Option<Box<(String, Phrase)>>,
    /// Seconds.
    pub(crate) retry_after: Option<u64>,
    /// The patient to whom it is about, where that is not the one who is signed in.
    pub(crate) reader: Option<Box<Reader>>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, title: impl Into<Phrase>, text: impl Into<Phrase>) -> Self {
        Self { status, title: title.into(), text: text.into(), link: None, retry_after: None, reader: None }
    }

    /// Builds a refusal with the texts `key` and `key-text` of the bundles.
    pub(crate) fn of_key(status: StatusCode, title: &'static str, text: &'static str) -> Self {
        Self::new(status, Phrase::key(title), Phrase::key(text))
    }

    /// Addresses a patient who is not signed in.
    pub(crate) fn to(self, reader: &Reader) -> Self {
        Self { reader: Some(Box::new(reader.clone())), ..self }
    }

    /// Adds the link to "Your choices".
    pub(crate) fn link_to_choices(self) -> Self {
        self.link("/clients/ow/manage", Phrase::key("choices-title"))
    }

    /// Adds the link to the page that mails a new link.
    pub(crate) fn link_to_new_link(self) -> Self {
        self.link("/clients/ow/new-link", Phrase::key("new-link-ask"))
    }

    pub(crate) fn link(mut self, href: impl Into<String>, label: impl Into<Phrase>) -> Self {
        self.link = Some(Box::new((href.into(), label.into())));
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::of_key(StatusCode::NOT_FOUND, "error-no-page", "error-no-page-text")
            .link("/", Phrase::key("error-to-start"))
    }

    pub(crate) fn bad(text: impl Into<Phrase>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Phrase::key("error-bad"), text)
    }

    pub(crate) fn forbidden(text: impl Into<Phrase>) -> Self {
        Self::new(StatusCode::FORBIDDEN, Phrase::key("error-forbidden"), text)
    }

    /// Renders the page for its reader.
    pub(crate) fn into_page(self, reader: &Reader) -> Response {
        let reader = self.reader.as_deref().unwrap_or(reader);
        let (title, text) = (self.title.render(reader.texts), self.text.render(reader.texts));
        let body = html! {
            h1 { (title) }
            p { (text) }
            (reference(reader.texts, self.status))
            @if let Some(link) = &self.link { p { a.button href=(link.0) { (link.1.render(reader.texts)) } } }
        };
        let shell = PageFrame::plain(reader, false);
        let response = with_status(self.status, self::html(render_page(&title, &shell, &body)));
        match self.retry_after {
            Some(seconds) => with_retry_after(response, seconds),
            None => response,
        }
    }
}

impl From<TooManyRequests> for Refusal {
    fn from(TooManyRequests(seconds): TooManyRequests) -> Self {
        let text = Phrase::key("error-too-many-text").with("seconds", seconds);
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, Phrase::key("error-too-many"), text);
        Self { retry_after: Some(seconds), ..refusal }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(what) => Self::bad(what),
            error => Failure::from(error).into(),
        }
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        tracing::error!(next = failure.remedy, "a page could not be made: {}", failure.message);
        Self::of_key(StatusCode::SERVICE_UNAVAILABLE, "error-not-now", "error-not-now-text")
    }
}
