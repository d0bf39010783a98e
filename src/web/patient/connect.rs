//! Choosing a device, and the way to its maker's own page.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::connect_device::{self, ConnectError};
use crate::app::device_offers;
use crate::app::{offer_cache::Offer, state::App};
use crate::common::time::time_zone_or_utc;
use crate::i18n::phrase::Phrase;
use crate::model::account::VisibleTo;
use crate::model::patient::PatientRef;
use crate::model::{consent_standing::ConsentStanding, patient::PatientId, study::Study};
use crate::ow::connector::CallError;
use crate::store::people::invitation::{self, InvitationState};
use crate::store::people::{consent, patient as patients};
use crate::web::layout::{PageFrame, form, render_page};
use crate::web::patient::consent_questions::{ConsentQuestion, find_questions};
use crate::web::patient::signed_in::page_response;
use crate::web::patient_access::{CHOICES, PATIENT, SignedInPatient};
use crate::web::reader::Reader;
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
    let reader = patient.reader();
    let sharing = Sharing::load(app, patient).await?;
    let offers = match sharing.offers(app).await {
        Ok(offers) => offers,
        Err(error) => return Ok(unavailable_page(app, reader, &error, "/clients/ow/connect")),
    };
    match offers.as_slice() {
        [] => {
            let title = reader.get("no-device-offered");
            let body = html! {
                h1 { (title) }
                p { (reader.get("no-device-offered-text")) }
                p { a href=(CHOICES) { (reader.get("choices-title")) } }
            };
            let response = page_response(app, reader, &title, &body);
            Ok(with_status(StatusCode::SERVICE_UNAVAILABLE, response))
        }
        [only] => Ok(see_other(&format!("/clients/ow/leave?provider={}", only.provider.provider))),
        several => {
            let body = html! {
                p.fine { (reader.get("step-2")) }
                h1 { (reader.get("which-device")) }
                p { (reader.get("provider-signs-in")) }
                (form("/clients/ow/connect", patient.token(), &html! {
                    ul.devices { @for Offer { provider, .. } in several {
                        li {
                            button type="submit" name="provider" value=(provider.provider) { (provider.name) }
                        }
                    } }
                }))
                details {
                    summary { (reader.get("device-missing")) }
                    p { (reader.get("device-missing-text")) }
                }
                (load_link_life(app, patient).await?)
                p { a href=(CHOICES) { (reader.get("later")) } }
            };
            Ok(page_response(app, reader, &reader.get("which-device-title"), &body))
        }
    }
}

/// Tells how long the link of the patient opens again.
async fn load_link_life(app: &App, patient: &SignedInPatient) -> Result<Markup, Refusal> {
    let (id, now, reader) = (patient.id(), app.clock.now(), patient.reader());
    let read = move |db: &_| {
        let who = patients::find(db, PatientRef::Own(id))?;
        let open = invitation::list(db, VisibleTo::Everybody, id, 1)?
            .pop()
            .filter(|one| one.state(now) == InvitationState::Reopenable);
        Ok((who, open))
    };
    let (who, open) = app.store.read(read).await?;
    let text = match open {
        _ if who.jhe_id.is_some() => Some(reader.get("jhe-link-life")),
        Some(open) => {
            let until = reader.texts.date(&time_zone_or_utc(&who.time_zone), open.expires);
            Some(reader.get_with("link-life", &[("date", &until)]))
        }
        None => None,
    };
    Ok(html! { @if let Some(text) = text { p.fine { (text) } } })
}

/// The studies with which the patient shares data.
struct Sharing {
    studies: Vec<Study>,
    /// An active consent names no study; it accepts any device.
    has_consent_without_study: bool,
}

impl Sharing {
    async fn load(app: &App, patient: &SignedInPatient) -> Result<Self, Refusal> {
        let (id, language) = (patient.id(), patient.reader().texts.language());
        let read = move |db: &_| {
            let agreed =
                find_questions(db, id, None, &[], language)?.into_iter().filter(ConsentQuestion::has_consent);
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
        let refusal = Refusal::bad(Phrase::key("choose-one"));
        Err(refusal.link("/clients/ow/connect", Phrase::key("which-device-title")))
    }
}

/// Shows a page that leads to the provider's. A redirect after a form would count as the form's target, which
/// the security policy limits to this origin.
async fn leave(app: &App, request: &Request, patient: &SignedInPatient) -> HandlerResult {
    let provider = request.query.get("provider");
    if !connect_device::is_provider_name(provider) {
        return Err(Refusal::not_found());
    }
    let (here, reader) = (format!("/clients/ow/leave?provider={provider}"), patient.reader());
    if let Err(error) = connect_device::require_consent(app, patient.id()).await {
        return Ok(unavailable_page(app, reader, &error, &here));
    }
    match Sharing::load(app, patient).await?.offers(app).await {
        Ok(offers) if offers.iter().all(|offer| offer.provider.provider != provider) => {
            return Ok(see_other("/clients/ow/connect"));
        }
        Ok(_) => {}
        Err(error) => return Ok(unavailable_page(app, reader, &error, &here)),
    }
    let name = display_name(app, patient.id(), provider).await;
    let started = match start(app, patient, provider).await {
        Ok(started) => started,
        Err(error) => return Ok(unavailable_page(app, reader, &error, &here)),
    };
    let target = started.authorization_url.as_str();
    let named = [("device", &*name)];
    let title = reader.get_with("on-to", &named);
    let body = html! {
        h1 { (title) }
        p { (reader.get_with("on-to-text", &named)) }
        p { a.button href=(target) { (reader.get_with("go-to", &named)) } }
    };
    let shell = PageFrame::Plain { reader, simulated: app.simulated, leads_to: Some(target) };
    Ok(html_answer(render_page(&title, &shell, &body)))
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
        ConsentStanding::Withdrawn => "nothing-shared-withdrawn",
        ConsentStanding::Suspended => "nothing-shared-suspended",
        ConsentStanding::Completed => "nothing-shared-completed",
        ConsentStanding::NeverGiven | ConsentStanding::Active => "nothing-shared-yet",
    }
}

/// Says that the answer is saved and the device can be connected later, or that a consent comes first.
fn unavailable_page(app: &App, reader: &Reader, error: &ConnectError, again: &str) -> Response {
    if let ConnectError::NoConsent(standing) = error {
        let refusal = Refusal::forbidden(Phrase::key(nothing_shared(*standing)));
        return refusal.link_to_choices().into_page(reader);
    }
    tracing::warn!("a patient could not be sent to a provider: {error}");
    let is_wrong = matches!(error, ConnectError::BadAnswer(_));
    let status = match error {
        ConnectError::BadAnswer(_) | ConnectError::Ow(CallError::Unreachable(_)) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let title = reader.get("error-not-now");
    let body = html! {
        h1 { (title) }
        p { (reader.get(if is_wrong { "connect-wrong-answer" } else { "connect-unavailable" })) }
        div.actions {
            a.button href=(again) { (reader.get("try-again")) }
            a href=(CHOICES) { (reader.get("choices-title")) }
        }
    };
    with_status(status, page_response(app, reader, &title, &body))
}
