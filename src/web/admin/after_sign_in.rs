use maud::Markup;
use warp::reply::Response;

use crate::app::state::App;
use crate::web::layout::{self, PageFrame};
use crate::web::response::html as html_answer;

/// Where to go after signing in: one of our own pages, whatever the address says.
pub(crate) fn landing(next: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'-';
    if next.starts_with("/admin") && next.bytes().all(plain) { next } else { "/admin" }
}

pub(crate) fn plain(app: &App, body: &Markup) -> Response {
    let shell = PageFrame::Plain { simulated: app.simulated, leads_to: None };
    html_answer(layout::render_page("Sign in", &shell, body))
}
