use std::time::Duration;

use http::StatusCode;
use maud::Markup;
use warp::reply::Response;

use crate::app::state::App;
use crate::model::account::Actor;
use crate::model::patient::PatientId;
use crate::secrets::token::Token;
use crate::store::people::session;
use crate::web::layout;
use crate::web::layout::Shell;
use crate::web::request::Visit;
use crate::web::response::{Refusal, TokenCookie, html, with_cookie};

/// The cookie of a patient who agreed in this browser.
const COOKIE: &str = "jhe_ow_patient";
/// How long a patient can come back without a new link.
pub(crate) const SESSION_AGE: Duration = Duration::from_hours(30 * 24);

/// A patient who is signed in.
pub(crate) struct Patient {
    pub(crate) id: PatientId,
    pub(crate) token: Token,
}

impl Patient {
    pub(crate) fn actor(&self) -> Actor {
        Actor::Patient(self.id)
    }
}

/// The token of a patient's session, as the browser shows it.
pub(crate) fn session_token(visit: &Visit) -> Option<Token> {
    visit.cookie(COOKIE)
}

pub(crate) async fn find_session(app: &App, visit: &Visit) -> Result<Option<Patient>, Refusal> {
    let Some(token) = session_token(visit) else { return Ok(None) };
    let (hash, now) = (token.hash(), app.clock.now());
    let id = app.store.read(move |db| session::patient(db, hash, now)).await?;
    Ok(id.map(|id| Patient { id, token }))
}

pub(crate) async fn signed_in(app: &App, visit: &Visit) -> Result<Patient, Refusal> {
    find_session(app, visit).await?.ok_or_else(|| {
        Refusal::new(
            StatusCode::UNAUTHORIZED,
            "Please open your link again",
            "We do not know who you are in this browser. Open the link from your study here. If it was \
             used already, ask the person who sent it for a new one.",
        )
    })
}

/// Signs the browser in.
pub(crate) fn with_session(app: &App, answer: Response, token: Option<&Token>) -> Response {
    let cookie = TokenCookie { name: COOKIE, token, path: "/", max_age: SESSION_AGE, secure: app.is_https() };
    with_cookie(answer, &cookie)
}

pub(crate) fn page(app: &App, title: &str, body: &Markup) -> Response {
    html(layout::page(title, &Shell::Plain { simulated: app.simulated, leads_to: None }, body))
}
