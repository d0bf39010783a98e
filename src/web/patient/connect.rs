//! Which device, and off to its maker's own page.

use http::StatusCode;
use maud::html;
use warp::reply::Response;

use crate::app::connect_device;
use crate::app::connect_device::ConnectError;
use crate::app::device_offers::Offer;
use crate::app::state::App;
use crate::model::study::Study;
use crate::ow::connector::CallError;
use crate::store::people::consent;
use crate::web::layout::{Shell, form, page as whole_page};
use crate::web::patient::consent_questions::{Asked, asked};
use crate::web::patient::signed_in::{Patient, page};
use crate::web::request::Visit;
use crate::web::response::{Refusal, html as html_answer, see_other, with_status};

/// `GET /clients/ow/connect`: which device; where there is only one to choose, it is taken.
pub(crate) async fn choose(app: &App, patient: &Patient) -> Result<Response, Refusal> {
    let sharing = Sharing::load(app, patient).await?;
    if sharing.is_nothing() {
        return Ok(see_other("/clients/ow/manage"));
    }
    let offers = match sharing.offers(app).await {
        Ok(offers) => offers,
        Err(error) => return Ok(trouble(app, &error, "/clients/ow/connect")),
    };
    match offers.as_slice() {
        [] => Ok(with_status(
            StatusCode::SERVICE_UNAVAILABLE,
            page(
                app,
                "No device can be connected",
                &html! {
                    h1 { "No device can be connected at the moment" }
                    p { "Your answer is saved. The study has not set up its devices yet; please tell the person \
                         who sent you the link." }
                    p { a href="/clients/ow/manage" { "Your choices" } }
                },
            ),
        )),
        [only] => Ok(see_other(&format!("/clients/ow/leave?provider={}", only.provider.provider))),
        several => Ok(page(
            app,
            "Choose your device",
            &html! {
                h1 { "Which device do you wear?" }
                (form("/clients/ow/connect", &patient.token, &html! {
                    ul.devices {
                        @for offer in several {
                            li { button type="submit" name="provider" value=(offer.provider.provider) {
                                (offer.provider.name)
                            } }
                        }
                    }
                }))
                p { a href="/clients/ow/manage" { "Later: to your choices" } }
            },
        )),
    }
}

/// Whom the patient shares anything with.
struct Sharing {
    studies: Vec<Study>,
    /// A consent stands that names no study: it takes any device.
    by_hand: bool,
}

impl Sharing {
    async fn load(app: &App, patient: &Patient) -> Result<Self, Refusal> {
        let id = patient.id;
        let read = move |db: &_| {
            let agreed = asked(db, id, None, &[])?.into_iter().filter(Asked::is_agreed);
            let mut standing = consent::entries(db, id)?;
            standing.retain(|entry| entry.grant.withdrawn.is_none());
            let by_hand = standing.iter().any(|entry| entry.study.is_none());
            Ok(Self { studies: agreed.map(|one| one.study).collect(), by_hand })
        };
        Ok(app.store.read(read).await?)
    }

    fn is_nothing(&self) -> bool {
        self.studies.is_empty() && !self.by_hand
    }

    /// The devices that may be connected.
    async fn offers(&self, app: &App) -> Result<Vec<Offer>, ConnectError> {
        let mut offers = connect_device::offers(app).await?;
        let takes = |offer: &Offer| self.studies.iter().any(|study| study.takes(&offer.provider.provider));
        offers.retain(|offer| self.by_hand || takes(offer));
        Ok(offers)
    }
}

/// `POST /clients/ow/connect`.
pub(crate) fn chosen(visit: &Visit) -> Result<Response, Refusal> {
    let provider = visit.form.get("provider");
    if connect_device::is_provider_name(provider) {
        Ok(see_other(&format!("/clients/ow/leave?provider={provider}")))
    } else {
        Err(Refusal::bad("Please choose one of the devices.").next("/clients/ow/connect", "Choose a device"))
    }
}

/// `GET /clients/ow/leave`: a page that leads to the provider's own. It is no redirect: browsers count one
/// after a form as the form's target, which has to be here.
pub(crate) async fn leave(app: &App, visit: &Visit, patient: &Patient) -> Result<Response, Refusal> {
    let provider = visit.query.get("provider");
    if !connect_device::is_provider_name(provider) {
        return Err(Refusal::not_found());
    }
    let here = format!("/clients/ow/leave?provider={provider}");
    match Sharing::load(app, patient).await?.offers(app).await {
        Ok(offers) if offers.iter().all(|offer| offer.provider.provider != provider) => {
            return Ok(see_other("/clients/ow/connect"));
        }
        Ok(_) => {}
        Err(error) => return Ok(trouble(app, &error, &here)),
    }
    let name = display_name(app, provider).await;
    let begun = match begin(app, patient, provider).await {
        Ok(begun) => begun,
        Err(error) => return Ok(trouble(app, &error, &here)),
    };
    let Some(target) = begun.page() else {
        let error = CallError::Unreachable("OW names a page that no browser opens".to_owned());
        return Ok(trouble(app, &error.into(), &here));
    };
    let body = html! {
        h1 { "On to " (name) }
        p { "You are being taken to " (name) "’s own page. Sign in there as you do in its app, and agree. It then \
             brings you back here." }
        p { a.button href=(target) { "Go to " (name) } }
    };
    let shell = Shell::Plain { simulated: app.simulated, leads_to: Some(target) };
    Ok(html_answer(whole_page(&format!("On to {name}"), &shell, &body)))
}

async fn begin(
    app: &App,
    patient: &Patient,
    provider: &str,
) -> Result<crate::ow::connector::Authorize, ConnectError> {
    connect_device::ensure_user(app, patient.id, patient.actor()).await?;
    connect_device::authorize(app, patient.id, provider, Some(patient.token.hash()), patient.actor()).await
}

/// What people call a provider: OW's name for it, else its path's with a capital.
pub(crate) async fn display_name(app: &App, provider: &str) -> String {
    let offers = connect_device::offers(app).await.unwrap_or_default();
    if let Some(offer) = offers.into_iter().find(|offer| offer.provider.provider == provider) {
        offer.provider.name
    } else {
        let mut letters = provider.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
    }
}

/// Something between here and the provider does not work: what was answered is saved, and the way goes on
/// later.
pub(crate) fn trouble(app: &App, error: &ConnectError, again: &str) -> Response {
    tracing::warn!("a patient could not be sent to a provider: {error}");
    let status = match error {
        ConnectError::Ow(CallError::Unreachable(_)) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = html! {
        h1 { "This does not work at the moment" }
        p { "Your answer is saved; you need not give it again. The service that connects your device does not \
             answer. Please try again in a few minutes, or later in this browser." }
        div.actions {
            a.button href=(again) { "Try again" }
            a href="/clients/ow/manage" { "Your choices" }
        }
    };
    with_status(status, page(app, "Not possible at the moment", &body))
}
