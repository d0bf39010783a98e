//! The start page, and the embedded files that every page uses. It names nobody.

use maud::html;

use crate::app::state::App;
use crate::web::layout::{PageFrame, render_page};
use crate::web::patient_access::{Anyone, OPEN};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, html as html_response, with_type};
use crate::web::route::{Route, fixed, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/", OPEN, show),
        fixed("/style.css", || with_type("text/css; charset=utf-8", include_str!("../../assets/style.css"))),
        fixed("/icon.svg", || with_type("image/svg+xml", include_str!("../../assets/icon.svg"))),
    ]
}

async fn show(app: &App, _: &Request, _: &Anyone) -> HandlerResult {
    let body = html! {
        h1 { "jhe-ow" }
        p.lead { "This service brings measurements from people’s wearables to the studies that they take \
                  part in: only what they agreed to, and only for as long as they do." }
        ul {
            li { "You take part in a study? Open the link that the study sent you. If you have used it in \
                  this browser before: " a href="/clients/ow/manage" { "your choices" } "." }
            li { "You work for a study? " a href="/admin" { "Sign in" } "." }
        }
    };
    let shell = PageFrame::Plain { simulated: app.simulated, leads_to: None };
    Ok(html_response(render_page("Wearables for research", &shell, &body)))
}
