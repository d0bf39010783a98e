//! Protection against forged forms (CSRF): a token of the browser in each form, and the origin that sends it.

use std::time::Duration;

use http::{HeaderName, StatusCode, header};
use warp::reply::Response;

use crate::app::{repeated_events::AuditEvent, state::App};
use crate::model::account::Actor;
use crate::secrets::token::Token;
use crate::web::response::{Refusal, TokenCookie, with_cookie};
use crate::web::{layout::FORM_TOKEN, request::Request};

/// The cookie of a browser in which nobody is signed in; forms before a sign-in are bound to it.
const VISITOR: &str = "jhe_ow_visitor";
/// Long enough to read an invitation and to answer it.
const VISITOR_AGE: Duration = Duration::from_hours(24);

/// Returns the token of a browser in which nobody is signed in, and whether it is new.
pub(crate) fn visitor(request: &Request) -> Result<(Token, bool), Refusal> {
    match request.cookie(VISITOR) {
        Some(token) => Ok((token, false)),
        None => Ok((Token::generate()?, true)),
    }
}

/// Sets the visitor's cookie if it is new.
pub(crate) fn with_visitor(app: &App, response: Response, (token, is_new): &(Token, bool)) -> Response {
    if !is_new {
        return response;
    }
    let (token, secure) = (Some(token), app.is_https());
    with_cookie(response, &TokenCookie { name: VISITOR, token, max_age: VISITOR_AGE, secure })
}

/// Checks a form of the caller whom the access check has signed in, if it has.
pub(crate) async fn check_session_form(app: &App, request: &Request) -> Result<(), Refusal> {
    match &request.form_guard {
        Some((token, actor)) if !request.is_read() => check_form(app, request, Some(token), *actor).await,
        _ => Ok(()),
    }
}

/// Checks a form of a visitor, and returns the visitor's token.
pub(crate) async fn check_visitor_form(app: &App, request: &Request) -> Result<Token, Refusal> {
    let (token, is_new) = visitor(request)?;
    check_form(app, request, (!is_new).then_some(&token), Actor::Visitor).await?;
    Ok(token)
}

async fn check_form(
    app: &App,
    request: &Request,
    token: Option<&Token>,
    actor: Actor,
) -> Result<(), Refusal> {
    let reason = if !is_same_origin(app, request) {
        "foreign origin"
    } else if token.is_none_or(|token| !token.is_csrf_token(request.form().get(FORM_TOKEN))) {
        "form token missing or wrong"
    } else {
        return Ok(());
    };
    // Long enough for every path of ours.
    let path: String = request.path.chars().take(64).collect();
    // A visitor could fill the log and the audit with refusals.
    if actor == Actor::Visitor {
        tracing::debug!(client = %request.client, path, "a form was refused: {reason}");
    } else {
        tracing::warn!(client = %request.client, path, "a form was refused: {reason}");
        let event = AuditEvent { actor, action: "form.refused", patient: None, detail: reason.into() };
        app.repeated_events.record(&app.store, event, app.clock.now()).await?;
    }
    Err(Refusal::of_key(StatusCode::FORBIDDEN, "error-form", "error-form-text"))
}

/// Compares the `Origin` header, which every current browser sends with a form, with the public address, or with the
/// host that the browser named where none is configured. Without the header the token decides.
fn is_same_origin(app: &App, request: &Request) -> bool {
    // Fetch Metadata comes from the browser itself and remains where another program has removed `Origin`.
    if request.header(HeaderName::from_static("sec-fetch-site")) == Some("cross-site") {
        return false;
    }
    let Some(origin) = request.header(header::ORIGIN) else { return true };
    if let Some(url) = app.live.config().public_url {
        return url.origin() == origin;
    }
    let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    host.is_some() && host == request.header(header::HOST)
}
