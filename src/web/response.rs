//! Answers: pages, redirects, refusals, and the headers that each carries.

use cookie::SameSite;
use http::{HeaderName, HeaderValue, StatusCode, header};
use maud::{Markup, Render, html};
use warp::reply::{Reply, Response};

use crate::common::failure::Failure;
use crate::secrets::token::Token;
use crate::store::error::StoreError;
use crate::web::layout::{Shell, page, reference};
use crate::web::response;

/// Nothing comes from anywhere but here, there are no scripts at all, and forms go nowhere else. A form
/// that ends at a provider therefore answers with a page that leads there, not with a redirect, which
/// browsers count as the form's.
const SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                               form-action 'self'; frame-ancestors 'none'";

/// Who came by https once comes by https for a year.
const ONLY_HTTPS: &str = "max-age=31536000";

/// What each answer carries, whatever it is. `is_https` says how browsers reach us.
pub(crate) fn secured(mut answer: Response, is_https: bool) -> Response {
    let headers = answer.headers_mut();
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
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(ONLY_HTTPS));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

pub(crate) fn html(page: Markup) -> Response {
    with_type("text/html; charset=utf-8", page.into_string())
}

pub(crate) fn with_status(status: StatusCode, mut answer: Response) -> Response {
    *answer.status_mut() = status;
    answer
}

pub(crate) fn with_type(kind: &'static str, body: impl Into<String>) -> Response {
    let mut answer = body.into().into_response();
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    with_status(status, with_type("application/json", body.to_string() + "\n"))
}

/// Sends the browser on to read another of our pages.
pub(crate) fn see_other(to: &str) -> Response {
    let mut answer = with_status(StatusCode::SEE_OTHER, warp::reply::reply().into_response());
    // Every target is made of our own paths and of numbers and encoded text.
    let target = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    answer.headers_mut().insert(header::LOCATION, target);
    answer
}

/// A cookie that scripts do not see and other sites' forms do not send.
pub(crate) struct TokenCookie<'a> {
    pub(crate) name: &'static str,
    /// None takes the cookie away.
    pub(crate) token: Option<&'a Token>,
    pub(crate) path: &'static str,
    pub(crate) max_age: std::time::Duration,
    /// Whether it is for https only.
    pub(crate) secure: bool,
}

pub(crate) fn with_cookie(mut answer: Response, cookie: &TokenCookie<'_>) -> Response {
    let (value, age) = match cookie.token {
        Some(token) => (token.expose(), cookie.max_age.try_into().unwrap_or(cookie::time::Duration::MAX)),
        None => ("", cookie::time::Duration::ZERO),
    };
    let made = cookie::Cookie::build((cookie.name, value)).path(cookie.path).max_age(age).http_only(true);
    let made = made.same_site(SameSite::Lax).secure(cookie.secure);
    if let Ok(mut value) = HeaderValue::from_str(&made.to_string()) {
        value.set_sensitive(true);
        answer.headers_mut().append(header::SET_COOKIE, value);
    }
    answer
}

/// Why a page is not shown: what its reader is told, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) title: String,
    pub(crate) text: String,
    /// Where to go from here: address and words.
    pub(crate) next: Option<(String, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { status, title: title.into(), text: text.into(), next: None }
    }

    pub(crate) fn next(mut self, href: impl Into<String>, words: impl Into<String>) -> Self {
        self.next = Some((href.into(), words.into()));
        self
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such page", "Perhaps its address was cut short.")
            .next("/", "To the start page")
    }

    pub(crate) fn method() -> Self {
        let text = "This address is not asked for in this way.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Not possible", text).next("/", "To the start page")
    }

    pub(crate) fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "That cannot be", text)
    }

    pub(crate) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not allowed", text)
    }

    pub(crate) fn into_response(self) -> Response {
        let status = self.status;
        with_status(status, html(response::refusal(&self)))
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
        tracing::error!(next = failure.next, "a page could not be made: {}", failure.what);
        let text = "Nothing was changed. Please try again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "This does not work at the moment", text)
    }
}

/// A refusal as a page of its own.
pub(crate) fn refusal(refusal: &Refusal) -> Markup {
    page(
        &refusal.title,
        &Shell::Plain { simulated: false, leads_to: None },
        &html! {
            h1 { (refusal.title) }
            p { (refusal.text) }
            (reference(refusal.status))
            @if let Some((href, words)) = &refusal.next { p { a.button href=(href) { (words) } } }
        },
    )
}
