use http::Method;
use warp::reply::Response;

use crate::app::state::App;
use crate::web::csrf;
use crate::web::patient::signed_in::{Patient, signed_in};
use crate::web::patient::{
    choices_actions, choices_page, connect, connected, data, invitation, jhe_consent_page, jhe_invitation,
};
use crate::web::request::Visit;
use crate::web::response::Refusal;

/// Everything below `/ow` and `/clients/ow`.
pub(crate) async fn answer(app: &App, visit: &Visit, path: &[&str]) -> Response {
    if let Err(too_many) = app.limits.open(visit.client) {
        return too_many.into_response();
    }
    let answered = match (&visit.method, path) {
        (&Method::GET, ["launch"]) => invitation::show(app, visit).await,
        (&Method::POST, ["agree"]) => invitation::agree(app, visit).await,
        (&Method::GET, ["complete"]) => connected::show(app, visit).await,
        (&Method::POST, ["redeem"]) => jhe_invitation::redeem(app, visit).await,
        (_, ["launch" | "agree" | "complete" | "redeem"]) => Err(Refusal::method()),
        _ => match signed_in(app, visit).await {
            Ok(patient) => with_patient(app, visit, path, &patient).await,
            Err(refusal) => Err(refusal),
        },
    };
    answered.unwrap_or_else(Refusal::into_response)
}

pub(crate) async fn with_patient(
    app: &App,
    visit: &Visit,
    path: &[&str],
    patient: &Patient,
) -> Result<Response, Refusal> {
    if visit.method == Method::POST {
        csrf::check_form(app, visit, Some(&patient.token), patient.actor()).await?;
    }
    match (&visit.method, path) {
        (&Method::GET, ["ask"]) => jhe_consent_page::show(app, visit, patient).await,
        (&Method::POST, ["answer"]) => jhe_consent_page::answer(app, visit, patient).await,
        (&Method::GET, ["connect"]) => connect::choose(app, patient).await,
        (&Method::POST, ["connect"]) => connect::chosen(visit),
        (&Method::GET, ["leave"]) => connect::leave(app, visit, patient).await,
        (&Method::GET, ["manage"]) => choices_page::show(app, visit, patient).await,
        (&Method::POST, ["grant"]) => choices_actions::grant(app, visit, patient).await,
        (&Method::POST, ["withdraw"]) => choices_actions::withdraw(app, visit, patient).await,
        (&Method::POST, ["disconnect"]) => choices_actions::disconnect(app, patient).await,
        (&Method::POST, ["sign-out"]) => choices_actions::sign_out(app, patient).await,
        (&Method::GET, ["data"]) => data::show(app, visit, patient).await,
        (&Method::GET, ["data.ndjson"]) => data::download(app, patient, data::Format::Omh).await,
        (&Method::GET, ["data.csv"]) => data::download(app, patient, data::Format::Csv).await,
        (&Method::GET | &Method::POST, _) => Err(Refusal::not_found()),
        _ => Err(Refusal::method()),
    }
}
