//! Choosing a device, and the way to its maker's own page.

use http::StatusCode;
use maud::html;
use warp::reply::Response;

use crate::app::connect_device::{self, ConnectError};
use crate::app::device_offers;
use crate::app::{offer_cache::Offer, state::App};
use crate::model::account::VisibleTo;
use crate::model::{consent_standing::ConsentStanding, patient::PatientId, study::Study};
use crate::ow::connector::CallError;
use crate::store::people::consent;
use crate::web::layout::{PageFrame, form, render_page};
use crate::web::patient::consent_questions::{ConsentQuestion, find_questions};
use crate::web::patient::signed_in::page_response;
use crate::web::patient_access::{PATIENT, SignedInPatient};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, html as html_answer, see_other, with_status};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/clients/ow/connect", PATIENT, show),
        post("/clients/ow/connect", PATIENT, submit),
        get("/clients/ow/leave", PATIENT, leave),
    ]
}

/// Shows the devices; the only one is chosen at once.
async fn show(app: &App, _: &Request, patient: &SignedInPatient) -> HandlerResult {
    if !connect_device::find_standing(app, patient.id()).await?.is_active() {
        return Ok(see_other("/clients/ow/manage"));
    }
    let sharing = Sharing::load(app, patient).await?;
    let offers = match sharing.offers(app).await {
        Ok(offers) => offers,
        Err(error) => return Ok(unavailable_page(app, &error, "/clients/ow/connect")),
    };
    match offers.as_slice() {
        [] => {
            let body = html! {
                h1 { "No device can be connected at the moment" }
                p { "Your answer is saved. The study has not set up its devices yet; please tell the person \
                     who sent you the link." }
                p { a href="/clients/ow/manage" { "Your choices" } }
            };
            let response = page_response(app, "No device can be connected", &body);
            Ok(with_status(StatusCode::SERVICE_UNAVAILABLE, response))
        }
        [only] => Ok(see_other(&format!("/clients/ow/leave?provider={}", only.provider.provider))),
        several => {
            let body = html! {
                h1 { "Which device do you wear?" }
                (form("/clients/ow/connect", patient.token(), &html! {
                    ul.devices { @for Offer { provider, .. } in several {
                        li {
                            button type="submit" name="provider" value=(provider.provider) { (provider.name) }
                        }
                    } }
                }))
                p { a href="/clients/ow/manage" { "Later: to your choices" } }
            };
            Ok(page_response(app, "Choose your device", &body))
        }
    }
}

/// The studies with which the patient shares data.
struct Sharing {
    studies: Vec<Study>,
    /// An active consent names no study; it accepts any device.
    has_consent_without_study: bool,
}

impl Sharing {
    async fn load(app: &App, patient: &SignedInPatient) -> Result<Self, Refusal> {
        let id = patient.id();
        let read = move |db: &_| {
            let agreed = find_questions(db, id, None, &[])?.into_iter().filter(ConsentQuestion::has_consent);
            let mut active = consent::list(db, VisibleTo::Everybody, id)?;
            active.retain(|entry| entry.grant.withdrawn.is_none());
            let has_consent_without_study = active.iter().any(|entry| entry.study.is_none());
            Ok(Self { studies: agreed.map(|one| one.study).collect(), has_consent_without_study })
        };
        Ok(app.store.read(read).await?)
    }

    /// Lists the devices that these studies accept.
    async fn offers(&self, app: &App) -> Result<Vec<Offer>, ConnectError> {
        let mut offers = device_offers::list(app).await?;
        let takes =
            |offer: &Offer| self.studies.iter().any(|study| study.accepts_provider(&offer.provider.provider));
        offers.retain(|offer| self.has_consent_without_study || takes(offer));
        Ok(offers)
    }
}

async fn submit(_: &App, request: &Request, _: &SignedInPatient) -> HandlerResult {
    let provider = request.form().get("provider");
    if connect_device::is_provider_name(provider) {
        Ok(see_other(&format!("/clients/ow/leave?provider={provider}")))
    } else {
        Err(Refusal::bad("Please choose one of the devices.").link("/clients/ow/connect", "Choose a device"))
    }
}

/// Shows a page that leads to the provider's. A redirect after a form would count as the form's target, which
/// the security policy limits to this origin.
async fn leave(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let provider = request.query.get("provider");
    if !connect_device::is_provider_name(provider) {
        return Err(Refusal::not_found());
    }
    let here = format!("/clients/ow/leave?provider={provider}");
    if let Err(error) = connect_device::require_consent(app, patient.id()).await {
        return Ok(unavailable_page(app, &error, &here));
    }
    match Sharing::load(app, patient).await?.offers(app).await {
        Ok(offers) if offers.iter().all(|offer| offer.provider.provider != provider) => {
            return Ok(see_other("/clients/ow/connect"));
        }
        Ok(_) => {}
        Err(error) => return Ok(unavailable_page(app, &error, &here)),
    }
    let name = display_name(app, patient.id(), provider).await;
    let started = match start(app, patient, provider).await {
        Ok(started) => started,
        Err(error) => return Ok(unavailable_page(app, &error, &here)),
    };
    let target = started.authorization_url.as_str();
    let body = html! {
        h1 { "On to " (name) }
        p { "You are being taken to " (name) "’s own page. Sign in there as you do in its app, and agree. It \
                                              then brings you back here." }
        p { a.button href=(target) { "Go to " (name) } }
    };
    let shell = PageFrame::Plain { simulated: app.simulated, leads_to: Some(target) };
    Ok(html_answer(render_page(&format!("On to {name}"), &shell, &body)))
}

async fn start(
    app: &App,
    patient: &SignedInPatient,
    provider: &str,
) -> Result<crate::ow::connector::ProviderAuthorization, ConnectError> {
    connect_device::ensure_ow_user(app, patient.id(), patient.actor()).await?;
    connect_device::authorize(app, patient.id(), provider, Some(patient.token().hash()), patient.actor())
        .await
}

/// Returns OW's name of a provider, or the name in its path with a capital.
pub(crate) async fn display_name(app: &App, patient: PatientId, provider: &str) -> String {
    let offers = device_offers::list_for(app, patient).await.unwrap_or_default();
    if let Some(offer) = offers.into_iter().find(|offer| offer.provider.provider == provider) {
        offer.provider.name
    } else {
        let mut letters = provider.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
    }
}

/// Tells a patient without an active consent why nothing is connected.
pub(crate) fn nothing_shared(standing: ConsentStanding) -> &'static str {
    match standing {
        ConsentStanding::Withdrawn => {
            "You have stopped sharing, so nothing is fetched and no device can be connected."
        }
        ConsentStanding::Suspended => {
            "Your earlier answer has to be confirmed, so nothing is fetched and no device can be connected."
        }
        ConsentStanding::Completed => {
            "Your part has ended, so nothing is fetched and no device can be connected."
        }
        ConsentStanding::NeverGiven | ConsentStanding::Active => {
            "You have not agreed to share anything yet, so no device can be connected."
        }
    }
}

/// Says that the answer is saved and the device can be connected later, or that a consent comes first.
pub(crate) fn unavailable_page(app: &App, error: &ConnectError, again: &str) -> Response {
    if let ConnectError::NoConsent(standing) = error {
        let next =
            if *standing == ConsentStanding::Completed { "" } else { " First agree to share something." };
        let text = format!("{}{next}", nothing_shared(*standing));
        return Refusal::forbidden(text).link("/clients/ow/manage", "Your choices").into();
    }
    tracing::warn!("a patient could not be sent to a provider: {error}");
    let is_wrong = matches!(error, ConnectError::BadAnswer(_));
    let status = match error {
        ConnectError::BadAnswer(_) | ConnectError::Ow(CallError::Unreachable(_)) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = html! {
        h1 { "This does not work at the moment" }
        p {
            "Your answer is saved; you need not give it again. The service that connects your device "
            @if is_wrong {
                "gave a wrong answer, so you were sent nowhere. Please tell the person who sent you the link."
            } @else { "does not answer. Please try again in a few minutes, or later in this browser." }
        }
        div.actions {
            a.button href=(again) { "Try again" }
            a href="/clients/ow/manage" { "Your choices" }
        }
    };
    with_status(status, page_response(app, "Not possible at the moment", &body))
}
