//! Which device a patient is asked about: what it does not measure is not asked. Where studies take several that
//! measure different things, the patient says first which one it is.

use maud::html;
use tokio::time::timeout;
use warp::reply::Response;

use crate::app::connect_device;
use crate::app::device_offers::Offer;
use crate::app::patient_tokens::PATIENCE;
use crate::app::state::App;
use crate::model::patient::PatientId;
use crate::model::study::StudyId;
use crate::store::samples::code::Deliveries;
use crate::web::patient::consent_questions::{Asked, asked};
use crate::web::patient::signed_in::page;
use crate::web::patient::wearing::Wearing;
use crate::web::response::Refusal;

/// What a page is to show.
pub(crate) enum Settled {
    /// What is asked, and about which devices.
    Asked(Vec<Asked>, Wearing),
    /// Which of these it is comes first.
    Choose(Vec<Offer>),
}

/// Finds out what a patient is asked. OW is asked which devices can be connected only where that makes a difference;
/// where it does not say, the patient is asked for what any of the study's devices measures.
pub(crate) async fn settle(
    app: &App,
    patient: PatientId,
    only: Option<StudyId>,
    wearing: Wearing,
) -> Result<Settled, Refusal> {
    let worn = wearing.providers.clone();
    let read = move |db: &_| Ok((asked(db, patient, only, &worn)?, Deliveries::load(db)?));
    let (found, deliveries) = app.store.read(read).await?;
    let undecided: Vec<&Asked> = found.iter().filter(|one| one.is_undecided(&deliveries)).collect();
    if !wearing.providers.is_empty() || undecided.is_empty() {
        return Ok(Settled::Asked(found, wearing));
    }
    let mut offers = match timeout(PATIENCE, connect_device::offers(app)).await {
        Ok(Ok(offers)) => offers,
        Ok(Err(error)) => {
            tracing::warn!(%patient, "is asked for what any device measures: {error}");
            return Ok(Settled::Asked(found, wearing));
        }
        Err(_) => {
            tracing::warn!(%patient, "is asked for what any device measures: OW did not answer in time");
            return Ok(Settled::Asked(found, wearing));
        }
    };
    let opens = |offer: &Offer| {
        let provider = &offer.provider.provider;
        undecided.iter().flat_map(|one| one.opened_by(provider, &deliveries)).collect::<Vec<_>>()
    };
    offers.retain(|offer| !opens(offer).is_empty());
    let Some(first) = offers.first().map(opens) else { return Ok(Settled::Asked(found, wearing)) };
    if offers.iter().any(|offer| opens(offer) != first) {
        return Ok(Settled::Choose(offers));
    }
    let providers: Vec<String> = offers.into_iter().map(|offer| offer.provider.provider).collect();
    let worn = providers.clone();
    let found = app.store.read(move |db| asked(db, patient, only, &worn)).await?;
    Ok(Settled::Asked(found, Wearing { providers, is_chosen: false }))
}

/// The page that asks which device it is; `href` is the address that it leads to, with the parameter's name.
pub(crate) fn choose(app: &App, offers: &[Offer], href: &str) -> Response {
    let body = html! {
        h1 { "Which device do you wear?" }
        p { "You are then asked only for what it measures. If you wear several, choose one: you can add another one \
             later." }
        ul.devices {
            @for offer in offers {
                li { a.button href={ (href) (offer.provider.provider) } { (offer.provider.name) } }
            }
        }
    };
    page(app, "Choose your device", &body)
}
