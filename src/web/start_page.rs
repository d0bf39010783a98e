//! The start page, and the embedded files that every page uses. It names nobody.

use std::time::Duration;

use maud::html;

use crate::app::state::App;
use crate::web::layout::{PRODUCT, PageFrame, render_page};
use crate::web::patient_access::{Anyone, OPEN};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, html as html_response, with_type};
use crate::web::route::{Route, fixed, get};

/// The life of `security.txt`, which RFC 9116 wants to be under a year.
const CONTACT_LIFETIME: Duration = Duration::from_hours(180 * 24);

pub(crate) const STYLE: &str = include_str!("../../assets/style.css");

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/.well-known/security.txt", OPEN, show_security_contact),
        get("/", OPEN, show),
        fixed("/style.css", || with_type("text/css; charset=utf-8", STYLE)),
        fixed("/icon.svg", || with_type("image/svg+xml", include_str!("../../assets/icon.svg"))),
    ]
}

async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let reader = &request.reader;
    let body = html! {
        h1 { (reader.house.as_deref().unwrap_or(PRODUCT)) }
        p.lead { (reader.get("start-lead")) }
        h2 { (reader.get("start-patient")) }
        p { (reader.get("start-patient-text")) }
        div.actions {
            a.button href="/clients/ow/manage" { (reader.get("choices-title")) }
            a.button.quiet href="/clients/ow/new-link" { (reader.get("new-link-ask")) }
        }
        h2 { (reader.get("start-staff")) }
        p { a href="/admin" { (reader.get("start-sign-in")) } }
    };
    let shell = PageFrame::plain(reader, app.simulated);
    Ok(html_response(render_page(&reader.get("start-title"), &shell, &body)))
}

/// Says where to report a weakness (RFC 9116).
async fn show_security_contact(app: &App, _: &Request, _: &Anyone) -> HandlerResult {
    let config = app.live.config();
    let contact = config.security_contact.as_ref().ok_or_else(Refusal::not_found)?;
    let expires = app.clock.now().plus(CONTACT_LIFETIME);
    let place = format!("{}/.well-known/security.txt", config.public_base());
    let text =
        format!("Contact: {contact}\nExpires: {expires}\nCanonical: {place}\nPreferred-Languages: en\n");
    Ok(with_type("text/plain; charset=utf-8", text))
}
