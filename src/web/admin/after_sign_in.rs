use maud::Markup;
use warp::reply::Response;

use crate::app::state::App;
use crate::web::layout;
use crate::web::layout::Shell;
use crate::web::request::Visit;
use crate::web::response::html as html_answer;

/// Where somebody who is not signed in is sent, to come back here afterwards.
pub(crate) fn address(visit: &Visit) -> String {
    let next: String = form_urlencoded::byte_serialize(visit.path.as_bytes()).collect();
    format!("/admin/sign-in?next={next}")
}

/// Where to go after signing in: one of our own pages, whatever the address says.
pub(crate) fn landing(next: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'-';
    if next.starts_with("/admin") && next.bytes().all(plain) { next } else { "/admin" }
}

pub(crate) fn plain(app: &App, body: &Markup) -> Response {
    let shell = Shell::Plain { simulated: app.simulated, leads_to: None };
    html_answer(layout::page("Sign in", &shell, body))
}
