use maud::{Markup, html};

use crate::app::connect_device;
use crate::model::catalog::source;
use crate::web::request::Fields;

/// The devices that a page is about, beside those that are connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wearing {
    /// OW's names of their providers.
    pub(crate) providers: Vec<String>,
    /// Whether the patient chose it, and it is not only what can be had.
    pub(crate) is_chosen: bool,
}

impl Wearing {
    /// What an address says: a choice.
    pub(crate) fn chosen(query: &Fields) -> Self {
        let providers = names(query);
        Self { is_chosen: !providers.is_empty(), providers }
    }

    /// What a form says.
    pub(crate) fn of_form(form: &Fields) -> Self {
        Self { providers: names(form), is_chosen: form.get("chosen") == "yes" }
    }

    /// What says the same in a form.
    pub(crate) fn hidden(&self) -> Markup {
        html! {
            @for provider in &self.providers { input type="hidden" name="device" value=(provider); }
            @if self.is_chosen { input type="hidden" name="chosen" value="yes"; }
        }
    }

    /// The one that the patient chose.
    pub(crate) fn choice(&self) -> Option<&str> {
        self.providers.first().filter(|_| self.is_chosen).map(String::as_str)
    }

    /// Where the patient connects a device once something was agreed to.
    pub(crate) fn way_on(&self) -> String {
        match self.choice() {
            Some(provider) => format!("/clients/ow/leave?provider={provider}"),
            None => "/clients/ow/connect".to_owned(),
        }
    }

    /// Which device the page is about, with the way back to the choice.
    pub(crate) fn note(&self, again: &str) -> Markup {
        html! {
            @if let Some(provider) = self.choice() {
                p { "You are asked for what a device of " (source::data_source(provider)) " measures. "
                    a href=(again) { "I wear another one" } }
            }
        }
    }
}

pub(crate) fn names(fields: &Fields) -> Vec<String> {
    let names = fields.all("device").filter(|name| connect_device::is_provider_name(name));
    names.map(str::to_owned).collect()
}
