//! Parts that sign-in with a password and through JHE share.

use maud::Markup;
use warp::reply::Response;

use crate::app::state::App;
use crate::web::layout::{self, PageFrame};
use crate::web::response::html as html_answer;

/// Returns the page to open after sign-in. Anything but a plain path below `/admin` is replaced, so that a link cannot
/// redirect to another site.
pub(crate) fn safe_next_page(next: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'-';
    if next.starts_with("/admin") && next.bytes().all(is_plain) { next } else { "/admin" }
}

pub(crate) fn render_signed_out_page(app: &App, body: &Markup) -> Response {
    let shell = PageFrame::Plain { simulated: app.simulated, leads_to: None };
    html_answer(layout::render_page("Sign in", &shell, body))
}
