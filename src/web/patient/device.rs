//! Which device a patient is asked about: what it does not measure is not asked. Where studies take several that
//! measure different things, the patient says first which one it is.

use maud::{Markup, html};
use tokio::time::timeout;
use warp::reply::Response;

use super::asked::{Asked, asked};
use super::page;
use crate::catalog;
use crate::patient::PatientId;
use crate::store::code::Deliveries;
use crate::study::StudyId;
use crate::web::App;
use crate::web::answer::Refusal;
use crate::web::connect::{self, Offer};
use crate::web::person::PATIENCE;
use crate::web::visit::Fields;

/// The devices that a page is about, beside those that are connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wearing {
    /// OW's names of their providers.
    pub(super) providers: Vec<String>,
    /// Whether the patient chose it, and it is not only what can be had.
    is_chosen: bool,
}

impl Wearing {
    /// What an address says: a choice.
    pub(super) fn chosen(query: &Fields) -> Self {
        let providers = names(query);
        Self { is_chosen: !providers.is_empty(), providers }
    }

    /// What a form says.
    pub(super) fn of_form(form: &Fields) -> Self {
        Self { providers: names(form), is_chosen: form.get("chosen") == "yes" }
    }

    /// What says the same in a form.
    pub(super) fn hidden(&self) -> Markup {
        html! {
            @for provider in &self.providers { input type="hidden" name="device" value=(provider); }
            @if self.is_chosen { input type="hidden" name="chosen" value="yes"; }
        }
    }

    /// The one that the patient chose.
    pub(super) fn choice(&self) -> Option<&str> {
        self.providers.first().filter(|_| self.is_chosen).map(String::as_str)
    }

    /// Where the patient connects a device once something was agreed to.
    pub(super) fn way_on(&self) -> String {
        match self.choice() {
            Some(provider) => format!("/clients/ow/leave?provider={provider}"),
            None => "/clients/ow/connect".to_owned(),
        }
    }

    /// Which device the page is about, with the way back to the choice.
    pub(super) fn note(&self, again: &str) -> Markup {
        html! {
            @if let Some(provider) = self.choice() {
                p { "You are asked for what a device of " (catalog::data_source(provider)) " measures. "
                    a href=(again) { "I wear another one" } }
            }
        }
    }
}

fn names(fields: &Fields) -> Vec<String> {
    let names = fields.all("device").filter(|name| connect::is_provider_name(name));
    names.map(str::to_owned).collect()
}

/// What a page is to show.
pub(super) enum Settled {
    /// What is asked, and about which devices.
    Asked(Vec<Asked>, Wearing),
    /// Which of these it is comes first.
    Choose(Vec<Offer>),
}

/// Finds out what a patient is asked. OW is asked which devices can be connected only where that makes a difference;
/// where it does not say, the patient is asked for what any of the study's devices measures.
pub(super) async fn settle(
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
    let mut offers = match timeout(PATIENCE, connect::offers(app)).await {
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
pub(super) fn choose(app: &App, offers: &[Offer], href: &str) -> Response {
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
