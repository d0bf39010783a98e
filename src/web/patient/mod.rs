//! Patients' pages: from an invitation to a connected device, and back whenever they like.

mod ask;
mod asked;
mod at_jhe;
mod choices;
mod complete;
mod connect;
mod data;
mod device;
mod launch;
mod manage;
mod questions;
mod redeem;
mod wording;

use std::time::Duration;

use http::{Method, StatusCode};
use maud::Markup;
use warp::reply::Response;

use super::answer::{Refusal, TokenCookie, html, with_cookie};
use super::layout::{self, Shell};
use super::visit::Visit;
use super::{App, guard};
use crate::account::Actor;
use crate::patient::PatientId;
use crate::store::session;
use crate::token::Token;

/// The cookie of a patient who agreed in this browser.
const COOKIE: &str = "jhe_ow_patient";
/// How long a patient can come back without a new link.
const SESSION_AGE: Duration = Duration::from_hours(30 * 24);

/// A patient who is signed in.
struct Patient {
    id: PatientId,
    token: Token,
}

impl Patient {
    fn actor(&self) -> Actor {
        Actor::Patient(self.id)
    }
}

/// Everything below `/ow` and `/clients/ow`.
pub(super) async fn answer(app: &App, visit: &Visit, path: &[&str]) -> Response {
    if let Err(too_many) = app.limits.open(visit.client) {
        return too_many.into_response();
    }
    let answered = match (&visit.method, path) {
        (&Method::GET, ["launch"]) => launch::show(app, visit).await,
        (&Method::POST, ["agree"]) => launch::agree(app, visit).await,
        (&Method::GET, ["complete"]) => complete::show(app, visit).await,
        (&Method::POST, ["redeem"]) => redeem::redeem(app, visit).await,
        (_, ["launch" | "agree" | "complete" | "redeem"]) => Err(Refusal::method()),
        _ => match signed_in(app, visit).await {
            Ok(patient) => with_patient(app, visit, path, &patient).await,
            Err(refusal) => Err(refusal),
        },
    };
    answered.unwrap_or_else(Refusal::into_response)
}

async fn with_patient(
    app: &App,
    visit: &Visit,
    path: &[&str],
    patient: &Patient,
) -> Result<Response, Refusal> {
    if visit.method == Method::POST {
        guard::check_form(app, visit, Some(&patient.token), patient.actor()).await?;
    }
    match (&visit.method, path) {
        (&Method::GET, ["ask"]) => ask::show(app, visit, patient).await,
        (&Method::POST, ["answer"]) => ask::answer(app, visit, patient).await,
        (&Method::GET, ["connect"]) => connect::choose(app, patient).await,
        (&Method::POST, ["connect"]) => connect::chosen(visit),
        (&Method::GET, ["leave"]) => connect::leave(app, visit, patient).await,
        (&Method::GET, ["manage"]) => manage::show(app, visit, patient).await,
        (&Method::POST, ["grant"]) => choices::grant(app, visit, patient).await,
        (&Method::POST, ["withdraw"]) => choices::withdraw(app, visit, patient).await,
        (&Method::POST, ["disconnect"]) => choices::disconnect(app, patient).await,
        (&Method::POST, ["sign-out"]) => choices::sign_out(app, patient).await,
        (&Method::GET, ["data"]) => data::show(app, visit, patient).await,
        (&Method::GET, ["data.ndjson"]) => data::download(app, patient, data::Format::Omh).await,
        (&Method::GET, ["data.csv"]) => data::download(app, patient, data::Format::Csv).await,
        (&Method::GET | &Method::POST, _) => Err(Refusal::not_found()),
        _ => Err(Refusal::method()),
    }
}

/// The token of a patient's session, as the browser shows it.
pub(super) fn session_token(visit: &Visit) -> Option<Token> {
    visit.cookie(COOKIE)
}

async fn find_session(app: &App, visit: &Visit) -> Result<Option<Patient>, Refusal> {
    let Some(token) = session_token(visit) else { return Ok(None) };
    let (hash, now) = (token.hash(), app.clock.now());
    let id = app.store.read(move |db| session::patient(db, hash, now)).await?;
    Ok(id.map(|id| Patient { id, token }))
}

async fn signed_in(app: &App, visit: &Visit) -> Result<Patient, Refusal> {
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
fn with_session(app: &App, answer: Response, token: Option<&Token>) -> Response {
    let cookie = TokenCookie { name: COOKIE, token, path: "/", max_age: SESSION_AGE, secure: app.is_https() };
    with_cookie(answer, &cookie)
}

fn page(app: &App, title: &str, body: &Markup) -> Response {
    html(layout::page(title, &Shell::Plain { simulated: app.simulated, leads_to: None }, body))
}
