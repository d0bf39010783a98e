//! Which browser it is, and whether a form was really sent from one of our pages.

use std::time::Duration;

use http::{StatusCode, header};
use warp::reply::Response;

use crate::app::state::App;
use crate::model::account::Actor;
use crate::secrets::token::Token;
use crate::store::privacy::audit;
use crate::web::layout::FORM_TOKEN;
use crate::web::request::Visit;
use crate::web::response::{Refusal, TokenCookie, with_cookie};

/// The cookie of a browser that nobody has signed in with: forms that come before a sign-in are bound to it.
const VISITOR: &str = "jhe_ow_visitor";
/// As long as an invitation may take to be read and answered.
const VISITOR_AGE: Duration = Duration::from_hours(24);

/// The token that a browser's forms are bound to while nobody is signed in, and whether it is new.
pub(crate) fn visitor(visit: &Visit) -> Result<(Token, bool), Refusal> {
    match visit.cookie(VISITOR) {
        Some(token) => Ok((token, false)),
        None => Ok((Token::draw()?, true)),
    }
}

/// Gives a browser its visitor's cookie, where it is new.
pub(crate) fn greet(app: &App, answer: Response, (token, is_new): &(Token, bool)) -> Response {
    if !is_new {
        return answer;
    }
    let cookie = TokenCookie {
        name: VISITOR,
        token: Some(token),
        path: "/",
        max_age: VISITOR_AGE,
        secure: app.is_https(),
    };
    with_cookie(answer, &cookie)
}

/// Refuses what another site's page sent, and a form without the token of the one it pretends to be.
pub(crate) async fn check_form(
    app: &App,
    visit: &Visit,
    token: Option<&Token>,
    who: Actor,
) -> Result<(), Refusal> {
    let why = if !is_from_here(app, visit) {
        "foreign origin"
    } else if token.is_none_or(|token| !token.is_form_token(visit.form.get(FORM_TOKEN))) {
        "form token missing or wrong"
    } else {
        return Ok(());
    };
    tracing::warn!(client = %visit.client, path = visit.path, "a form was refused: {why}");
    // Whoever is not signed in could fill the audit with it.
    if who != Actor::Visitor {
        let (now, path) = (app.clock.now(), visit.path.clone());
        let note = move |db: &_| audit::record(db, now, who, "form.refused", None, &format!("{why}: {path}"));
        app.store.write(note).await?;
    }
    Err(Refusal::new(
        StatusCode::FORBIDDEN,
        "This form was not accepted",
        "It was too old, or it did not come from our own page. Nothing was changed. Go back, load the page \
         anew, and try once more.",
    ))
}

/// Browsers name the origin of a page that sends a form. What names none is no browser of our time; then
/// the token decides.
fn is_from_here(app: &App, visit: &Visit) -> bool {
    let Some(origin) = visit.header(header::ORIGIN) else { return true };
    let host = visit.header(header::HOST).unwrap_or_default();
    let ours = app.live.config().public_url.map(|url| url.origin());
    let here = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    here == Some(host) || ours.as_deref() == Some(origin)
}
