//! The page on which patients ask for a new link to the address on file.

use maud::html;

use crate::app::{new_link, state::App};
use crate::model::patient::parse_email;
use crate::web::csrf;
use crate::web::layout::{FormErrors, FormField, form};
use crate::web::patient::signed_in::page_response;
use crate::web::patient_access::{Anyone, RATE_LIMITED};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, with_status};
use crate::web::route::{Route, get, post};

const PAGE: &str = "/clients/ow/new-link";

pub(crate) fn routes() -> Vec<Route> {
    vec![get(PAGE, RATE_LIMITED, show), post(PAGE, RATE_LIMITED, submit)]
}

async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    render(app, request, &FormErrors::default())
}

fn render(app: &App, request: &Request, errors: &FormErrors) -> HandlerResult {
    let (visitor, reader) = (csrf::visitor(request)?, &request.reader.at(PAGE));
    let (label, help) = (reader.get("new-link-address"), reader.get("new-link-address-help"));
    let field = errors.field("email", &label, &help, request.form().get("email"), "email");
    let body = html! {
        h1 { (reader.get("new-link-title")) }
        @if app.live.config().alerts.mail.is_none() {
            p { (reader.get("new-link-no-mail")) }
        } @else {
            p { (reader.get("new-link-text")) }
            (form(PAGE, &visitor.0, &html! {
                (FormField { autocomplete: "email", ..field })
                button type="submit" { (reader.get("new-link-send")) }
            }))
        }
    };
    let response = page_response(app, reader, &reader.get("new-link-title"), &body);
    let response =
        if errors.is_empty() { response } else { with_status(http::StatusCode::BAD_REQUEST, response) };
    Ok(csrf::with_visitor(app, response, &visitor))
}

/// Answers every address alike.
async fn submit(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    csrf::check_visitor_form(app, request).await?;
    app.rate_limits.check_sign_in(request.client)?;
    let reader = &request.reader.at(PAGE);
    let Ok(address) = parse_email(request.form().get("email")) else {
        let mut errors = FormErrors::default();
        errors.add("email", reader.get("new-link-address-wrong"));
        return render(app, request, &errors);
    };
    new_link::request(app, &address);
    let title = reader.get("new-link-sent");
    let body = html! {
        h1 { (title) }
        p { (reader.get("new-link-sent-text")) }
        p { (reader.get("new-link-sent-else")) }
    };
    Ok(page_response(app, reader, &title, &body))
}
