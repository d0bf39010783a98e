//! The page after the provider's: whether the device is connected, as OW itself says.

use maud::{Markup, html};
use warp::reply::Response;

use crate::app::connect_device::{self, ConnectError};
use crate::app::state::App;
use crate::model::{consent_standing::ConsentStanding, patient::PatientId};
use crate::web::patient::connect::{display_name, nothing_shared};
use crate::web::patient::consent_questions::load_questions;
use crate::web::patient::{selected_devices::SelectedDevices, signed_in::page_response};
use crate::web::patient_access::{Anyone, RATE_LIMITED, find_patient};
use crate::web::route::{Route, get};
use crate::web::{layout::length, request::Request, response::HandlerResult};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/clients/ow/complete", RATE_LIMITED, show)]
}

/// Says that a device is connected only if OW's own list has it.
async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let Some(patient) = find_patient(app, request).await? else { return Ok(other_browser_page(app)) };
    let standing = connect_device::find_standing(app, patient.id()).await?;
    if !standing.is_active() {
        return Ok(shares_nothing_page(app, standing, request.query.get("result")));
    }
    let provider = ProviderReturn::find(app, request, patient.id()).await;
    let name = &provider.name;
    let content = match request.query.get("result") {
        "refused" => provider.not_connected(
            "You did not agree",
            &format!(
                "At {name} you chose not to share. Nothing was connected. Your consent here is still \
                      valid."
            ),
        ),
        "stale" => provider.not_connected(
            "That took too long",
            &format!(
                "You took longer than 15 minutes at {name}. Nothing was connected; please start once \
                      more."
            ),
        ),
        "failed" => provider.not_connected(
            "That did not work",
            &format!(
                "{name} or the service that connects it reported an error. Nothing was connected. Please try \
                 again. If it fails again, tell the person who sent you the link."
            ),
        ),
        _ => match connect_device::refresh_active(app, patient.id()).await {
            Ok(active) if active.iter().any(|one| provider.includes(&one.provider)) => {
                let interval = app.store.settings().await?.poll_interval();
                let questions = load_questions(app, &patient, &SelectedDevices::default()).await?;
                let has_open_scopes = questions.iter().any(|one| !one.open_scopes().is_empty());
                connected(name, &length(interval), has_open_scopes)
            }
            Ok(_) | Err(ConnectError::NoUser) => provider.not_connected(
                "Not connected yet",
                &format!(
                    "{name} has not confirmed the connection. If you have just agreed there, check again in \
                     a moment; if you left before the end, start once more."
                ),
            ),
            Err(error) => {
                tracing::warn!("OW did not say whether a device is connected: {error}");
                provider.unknown()
            }
        },
    };
    Ok(page_response(app, content.0, &content.1))
}

/// The provider from which the patient comes back.
struct ProviderReturn {
    /// None if the address names none.
    provider: Option<String>,
    name: String,
}

impl ProviderReturn {
    async fn find(app: &App, request: &Request, patient: PatientId) -> Self {
        let provider =
            Some(request.query.get("provider")).filter(|name| connect_device::is_provider_name(name));
        let name = match provider {
            Some(provider) => display_name(app, patient, provider).await,
            None => "your device".to_owned(),
        };
        Self { provider: provider.map(str::to_owned), name }
    }

    fn includes(&self, provider: &str) -> bool {
        self.provider.as_deref().is_none_or(|name| name == provider)
    }

    /// Returns the address of a page about the same provider.
    fn to(&self, page: &str) -> String {
        match &self.provider {
            Some(provider) => format!("/clients/ow/{page}?provider={provider}"),
            None => format!("/clients/ow/{page}"),
        }
    }

    fn not_connected(&self, title: &'static str, text: &str) -> TitleAndBody {
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

    fn unknown(&self) -> TitleAndBody {
        let title = "We cannot tell at the moment";
        let body = html! {
            h1 { (title) }
            p { "Whether " (self.name) " is connected cannot be found out just now: the service that knows \
                                        it does not answer. Nothing is lost. Check again in a few minutes." }
            div.actions {
                a.button href=(self.to("complete")) { "Check again" }
                a href="/clients/ow/manage" { "Your choices" }
            }
        };
        (title, body)
    }
}

type TitleAndBody = (&'static str, Markup);

/// `has_open_scopes`: the study asks for more that the device measures.
fn connected(name: &str, interval: &str, has_open_scopes: bool) -> TitleAndBody {
    let body = html! {
        h1 { "Successfully Connected" }
        p.lead { (name) " is connected. You are done." }
        h2 { "What happens next" }
        ul {
            li { "Keep wearing and syncing your device as you always do." }
            li { "We look for new measurements every " (interval) ". The first ones can take an hour." }
            @if has_open_scopes {
                li { "Your study also asks for something that you have not agreed to. You can read it on the \
                      page “Your choices”; you need not agree." }
            }
            li { "You can look at your data, change your mind, or disconnect at any time on the page “Your \
                  choices”." }
        }
        p { a.button href="/clients/ow/manage" { "Your choices" } }
    };
    ("Successfully Connected", body)
}

/// Answers a patient without an active consent; OW is not asked about the device.
fn shares_nothing_page(app: &App, standing: ConsentStanding, result: &str) -> Response {
    let body = html! {
        h1 { "Nothing was connected" }
        @match result {
            "withdrawn" => p { "You stopped sharing while your device was being connected, so it was disconnected again." },
            "still-connected" => p {
                "You stopped sharing while your device was being connected. Disconnecting it did not work just now; it is \
                 tried again until it works. Nothing is fetched meanwhile."
            },
            _ => {}
        }
        p { (nothing_shared(standing)) " If you want to connect one, first agree to share something." }
        p { a.button href="/clients/ow/manage" { "Your choices" } }
    };
    page_response(app, "Nothing was connected", &body)
}

/// Answers a patient who began in an app or in another browser.
fn other_browser_page(app: &App) -> Response {
    let body = html! {
        h1 { "Please go back to where you began" }
        p { "If you began in an app, go back to it: it shows whether your device is connected. If you began \
             with a link from your study, open it in the browser you used then." }
    };
    page_response(app, "Back from your device’s page", &body)
}
