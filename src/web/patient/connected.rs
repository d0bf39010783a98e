//! Back from the provider: how it went, as OW itself says.

use maud::{Markup, html};
use warp::reply::Response;

use crate::app::connect_device;
use crate::app::connect_device::ConnectError;
use crate::app::state::App;
use crate::web::layout::length;
use crate::web::patient::connect::display_name;
use crate::web::patient::consent_questions::all_asked;
use crate::web::patient::signed_in::{find_session, page};
use crate::web::patient::wearing::Wearing;
use crate::web::request::Visit;
use crate::web::response::Refusal;

/// `GET /clients/ow/complete`: says that a device is connected only where OW's own list has it.
pub(crate) async fn show(app: &App, visit: &Visit) -> Result<Response, Refusal> {
    let Some(patient) = find_session(app, visit).await? else { return Ok(elsewhere(app)) };
    let way = Way::find(app, visit).await;
    let name = &way.name;
    let outcome = match visit.query.get("result") {
        "refused" => way.not_connected(
            "You did not agree",
            &format!("At {name} you chose not to share. Nothing was connected. Your consent here still stands."),
        ),
        "stale" => way.not_connected(
            "That took too long",
            &format!("The way to {name} is open for 15 minutes. Nothing was connected; please start once more."),
        ),
        "failed" => way.not_connected(
            "That did not work",
            &format!(
                "{name} or the service that connects it reported an error. Nothing was connected. Please try \
                 again; if it stays, tell the person who sent you the link."
            ),
        ),
        _ => match connect_device::active(app, patient.id).await {
            Ok(active) if active.iter().any(|one| way.is_to(&one.provider)) => {
                let interval = app.store.settings().await?.poll_interval();
                let asked = all_asked(app, &patient, &Wearing::default()).await?;
                let is_open = asked.iter().any(|one| !one.open().is_empty());
                connected(name, &length(interval), is_open)
            }
            Ok(_) | Err(ConnectError::NoUser) => way.not_connected(
                "Not connected yet",
                &format!(
                    "{name} has not confirmed the connection. If you have just agreed there, check again in a \
                     moment; if you left before the end, start once more."
                ),
            ),
            Err(error) => {
                tracing::warn!("whether a device is connected could not be asked: {error}");
                way.unknown()
            }
        },
    };
    Ok(page(app, outcome.0, &outcome.1))
}

/// To which provider the patient went.
struct Way {
    /// None where the address does not say.
    provider: Option<String>,
    name: String,
}

impl Way {
    async fn find(app: &App, visit: &Visit) -> Self {
        let provider =
            Some(visit.query.get("provider")).filter(|name| connect_device::is_provider_name(name));
        let name = match provider {
            Some(provider) => display_name(app, provider).await,
            None => "your device".to_owned(),
        };
        Self { provider: provider.map(str::to_owned), name }
    }

    fn is_to(&self, provider: &str) -> bool {
        self.provider.as_deref().is_none_or(|name| name == provider)
    }

    /// The address of a page about the same provider.
    fn to(&self, page: &str) -> String {
        match &self.provider {
            Some(provider) => format!("/clients/ow/{page}?provider={provider}"),
            None => format!("/clients/ow/{page}"),
        }
    }

    fn not_connected(&self, title: &'static str, text: &str) -> Outcome {
        let again = if self.provider.is_some() { self.to("leave") } else { self.to("connect") };
        let body = html! {
            h1 { (title) }
            p { (text) }
            div.actions {
                a.button href=(again) { "Try again" }
                a href=(self.to("complete")) { "Check again" }
                a href="/clients/ow/manage" { "Your choices" }
            }
        };
        (title, body)
    }

    fn unknown(&self) -> Outcome {
        let title = "We cannot tell at the moment";
        let body = html! {
            h1 { (title) }
            p { "Whether " (self.name) " is connected cannot be found out just now: the service that knows it does \
                 not answer. Nothing is lost. Check again in a few minutes." }
            div.actions {
                a.button href=(self.to("complete")) { "Check again" }
                a href="/clients/ow/manage" { "Your choices" }
            }
        };
        (title, body)
    }
}

type Outcome = (&'static str, Markup);

/// `is_open` says whether the study asks for something more that the device measures.
fn connected(name: &str, interval: &str, is_open: bool) -> Outcome {
    let body = html! {
        h1 { "Successfully Connected" }
        p.lead { (name) " is connected. You need not do anything more." }
        h2 { "What happens next" }
        ul {
            li { "Keep wearing and syncing your device as you always do." }
            li { "We look for new measurements every " (interval) ". The first ones can take an hour." }
            @if is_open {
                li { "Your study also asks for something that you have not agreed to. You can read it on the page “Your \
                      choices”; you need not agree." }
            }
            li { "You can look at your data, change your mind, or disconnect at any time on the page “Your \
                  choices”." }
        }
        p { a.button href="/clients/ow/manage" { "Your choices" } }
    };
    ("Successfully Connected", body)
}

/// Whoever began in an app, or in another browser.
fn elsewhere(app: &App) -> Response {
    page(
        app,
        "Back from your device’s page",
        &html! {
            h1 { "Please go back to where you began" }
            p { "If you began in an app, go back to it: it shows whether your device is connected. If you began \
                 with a link from your study, open it in the browser you used then." }
        },
    )
}
