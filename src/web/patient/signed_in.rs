//! The session cookie of patients, and the frame of their pages.

use std::time::Duration;

use maud::Markup;
use warp::reply::Response;

use crate::app::state::App;
use crate::secrets::token::Token;
use crate::web::layout::{self, PageFrame};
use crate::web::patient_access::PATIENT_COOKIE;
use crate::web::response::{TokenCookie, html, with_cookie};

/// The time in which a patient can come back without a new link.
pub(crate) const SESSION_AGE: Duration = Duration::from_hours(30 * 24);

/// Sets the session cookie; None deletes it.
pub(crate) fn with_session(app: &App, response: Response, token: Option<&Token>) -> Response {
    let (name, secure) = (PATIENT_COOKIE, app.is_https());
    with_cookie(response, &TokenCookie { name, token, max_age: SESSION_AGE, secure })
}

pub(crate) fn page_response(app: &App, title: &str, body: &Markup) -> Response {
    html(layout::render_page(title, &PageFrame::Plain { simulated: app.simulated, leads_to: None }, body))
}
