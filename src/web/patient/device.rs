//! The device that a consent question is about: scopes that it does not measure are not asked. Where the
//! devices that a study accepts measure different things, the patient first says which one it is.

use maud::html;
use tokio::time::timeout;
use warp::reply::Response;

use crate::app::{device_offers, offer_cache::Offer, patient_tokens::JHE_TIMEOUT, state::App};
use crate::i18n::language::Language;
use crate::model::{patient::PatientId, study::StudyId};
use crate::store::samples::code::DataSourceCodes;
use crate::web::patient::consent_questions::{ConsentQuestion, find_questions};
use crate::web::patient::{selected_devices::SelectedDevices, signed_in::page_response};
use crate::web::{reader::Reader, response::Refusal};

/// The next question to a patient.
pub(crate) enum NextQuestion {
    /// The scopes to consent to, and the devices they are about.
    Consent(Vec<ConsentQuestion>, SelectedDevices),
    /// One of these devices.
    Device(Vec<Offer>),
}

/// Finds the questions for a patient. OW is asked for the devices only where these make a difference; without
/// its answer the patient is asked for everything that a device of the study measures.
pub(crate) async fn find_next_question(
    app: &App,
    patient: PatientId,
    only: Option<StudyId>,
    selected: SelectedDevices,
    language: Language,
) -> Result<NextQuestion, Refusal> {
    let providers = selected.providers.clone();
    let read = move |db: &_| {
        Ok((find_questions(db, patient, only, &providers, language)?, DataSourceCodes::load(db)?))
    };
    let (found, deliveries) = app.store.read(read).await?;
    let undecided: Vec<&ConsentQuestion> =
        found.iter().filter(|one| one.depends_on_device(&deliveries)).collect();
    if !selected.providers.is_empty() || undecided.is_empty() {
        return Ok(NextQuestion::Consent(found, selected));
    }
    let offers = match timeout(JHE_TIMEOUT, device_offers::list_for(app, patient)).await {
        Ok(offers) => offers.map_err(|error| error.to_string()),
        Err(_) => Err("OW did not answer in time".to_owned()),
    };
    let mut offers = match offers {
        Ok(offers) => offers,
        Err(reason) => {
            tracing::warn!(%patient, "is asked for what any device measures: {reason}");
            return Ok(NextQuestion::Consent(found, selected));
        }
    };
    let opens = |offer: &Offer| {
        let provider = &offer.provider.provider;
        undecided.iter().flat_map(|one| one.opened_by(provider, &deliveries)).collect::<Vec<_>>()
    };
    offers.retain(|offer| !opens(offer).is_empty());
    let Some(first) = offers.first().map(opens) else { return Ok(NextQuestion::Consent(found, selected)) };
    if offers.iter().any(|offer| opens(offer) != first) {
        return Ok(NextQuestion::Device(offers));
    }
    let providers: Vec<String> = offers.into_iter().map(|offer| offer.provider.provider).collect();
    let offered = providers.clone();
    let found = app.store.read(move |db| find_questions(db, patient, only, &offered, language)).await?;
    Ok(NextQuestion::Consent(found, SelectedDevices { providers, is_chosen: false }))
}

/// Renders the choice of a device; `href` ends with the name of the parameter for it.
pub(crate) fn render_device_choice(app: &App, reader: &Reader, offers: &[Offer], href: &str) -> Response {
    let body = html! {
        p.fine { (reader.get("step-1")) }
        h1 { (reader.get("which-device")) }
        p { (reader.get("which-device-text")) }
        ul.devices {
            @for offer in offers {
                li { a.button href={ (href) (offer.provider.provider) } { (offer.provider.name) } }
            }
        }
    };
    page_response(app, reader, &reader.get("which-device-title"), &body)
}
