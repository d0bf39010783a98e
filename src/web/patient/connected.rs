//! The page after the provider's: whether the device is connected, as OW itself says.

use std::time::Duration;

use maud::{Markup, html};
use warp::reply::Response;

use crate::app::connect_device::{self, ConnectError};
use crate::app::state::App;
use crate::model::consent_standing::ConsentStanding;
use crate::web::patient::connect::{display_name, nothing_shared};
use crate::web::patient::consent_questions::load_questions;
use crate::web::patient::{selected_devices::SelectedDevices, signed_in::page_response};
use crate::web::patient_access::{Anyone, CHOICES, RATE_LIMITED, SignedInPatient, find_patient};
use crate::web::route::{Route, get};
use crate::web::{reader::Reader, request::Request, response::HandlerResult};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/clients/ow/complete", RATE_LIMITED, show)]
}

/// Says that a device is connected only if OW's own list has it.
async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let Some(patient) = find_patient(app, request).await? else {
        return Ok(other_browser_page(app, &request.reader));
    };
    let reader = patient.reader();
    let standing = connect_device::find_standing(app, patient.id()).await?;
    if !standing.is_active() {
        return Ok(shares_nothing_page(app, reader, standing, request.query.get("result")));
    }
    let provider = ProviderReturn::find(app, request, &patient).await;
    let (title, body) = match request.query.get("result") {
        "refused" => provider.not_connected("device-refused", "device-refused-text"),
        "stale" => provider.not_connected("device-stale", "device-stale-text"),
        "failed" => provider.not_connected("device-failed", "device-failed-text"),
        _ => match connect_device::refresh_active(app, patient.id()).await {
            Ok(active) if active.iter().any(|one| provider.includes(&one.provider)) => {
                let interval = app.store.settings().await?.poll_interval();
                let questions = load_questions(app, &patient, &SelectedDevices::default()).await?;
                let has_open_scopes = questions.iter().any(|one| !one.open_scopes().is_empty());
                connected(reader, &provider.name, interval, has_open_scopes)
            }
            Ok(_) | Err(ConnectError::NoUser) => {
                provider.not_connected("device-unconfirmed", "device-unconfirmed-text")
            }
            Err(error) => {
                tracing::warn!("OW did not say whether a device is connected: {error}");
                provider.unknown()
            }
        },
    };
    Ok(page_response(app, reader, &title, &body))
}

/// The provider from which the patient comes back.
struct ProviderReturn {
    reader: Reader,
    /// None if the address names none.
    provider: Option<String>,
    name: String,
}

impl ProviderReturn {
    async fn find(app: &App, request: &Request, patient: &SignedInPatient) -> Self {
        let reader = patient.reader().clone();
        let provider =
            Some(request.query.get("provider")).filter(|name| connect_device::is_provider_name(name));
        let name = match provider {
            Some(provider) => display_name(app, patient.id(), provider).await,
            None => reader.get("your-device"),
        };
        Self { reader, provider: provider.map(str::to_owned), name }
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

    fn not_connected(&self, title: &str, text: &str) -> TitleAndBody {
        let again = if self.provider.is_some() { self.to("leave") } else { self.to("connect") };
        let reader = &self.reader;
        let title = reader.get(title);
        let body = html! {
            h1 { (title) }
            p { (reader.get_with(text, &[("device", &self.name)])) }
            div.actions {
                a.button href=(again) { (reader.get("try-again")) }
                a href=(self.to("complete")) { (reader.get("check-again")) }
                a href=(CHOICES) { (reader.get("choices-title")) }
            }
        };
        (title, body)
    }

    fn unknown(&self) -> TitleAndBody {
        let reader = &self.reader;
        let title = reader.get("device-unknown");
        let body = html! {
            h1 { (title) }
            p { (reader.get_with("device-unknown-text", &[("device", &self.name)])) }
            div.actions {
                a.button href=(self.to("complete")) { (reader.get("check-again")) }
                a href=(CHOICES) { (reader.get("choices-title")) }
            }
        };
        (title, body)
    }
}

type TitleAndBody = (String, Markup);

/// `has_open_scopes`: the study asks for more that the device measures.
fn connected(reader: &Reader, name: &str, interval: Duration, has_open_scopes: bool) -> TitleAndBody {
    let minutes = interval.as_secs().div_ceil(60);
    let title = reader.get("connected");
    let body = html! {
        p.fine { (reader.get("step-3")) }
        h1 { (title) }
        p.lead { (reader.get_with("connected-text", &[("device", name)])) }
        section.card {
            h2 { (reader.get("next")) }
            ol {
                li { (reader.get("next-wear")) }
                li { (reader.texts.get_with("next-first", &[("minutes", minutes.into())])) }
                @if has_open_scopes { li { (reader.get("next-more")) } }
                li { (reader.get("next-choices")) }
            }
        }
        div.pair-of-buttons {
            a.button href=(CHOICES) { (reader.get("see-choices")) }
            a.button.quiet href="/clients/ow/connect" { (reader.get("connect-another")) }
        }
    };
    (title, body)
}

/// Answers a patient without an active consent; OW is not asked about the device.
fn shares_nothing_page(app: &App, reader: &Reader, standing: ConsentStanding, result: &str) -> Response {
    let title = reader.get("not-connected");
    let body = html! {
        h1 { (title) }
        @match result {
            "withdrawn" => p { (reader.get("withdrew-meanwhile")) },
            "still-connected" => p { (reader.get("withdrew-still-connected")) },
            _ => {}
        }
        p { (reader.get(nothing_shared(standing))) }
        p { a.button href=(CHOICES) { (reader.get("choices-title")) } }
    };
    page_response(app, reader, &title, &body)
}

/// Answers a patient who began in an app or in another browser.
fn other_browser_page(app: &App, reader: &Reader) -> Response {
    let body = html! {
        h1 { (reader.get("go-back")) }
        p { (reader.get("go-back-text")) }
        p { (reader.get("go-back-link")) }
    };
    page_response(app, reader, &reader.get("go-back"), &body)
}
