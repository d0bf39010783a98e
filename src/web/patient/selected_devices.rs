//! The devices that a patient has selected or could connect, as addresses and forms carry them.

use maud::{Markup, html};

use crate::app::connect_device;
use crate::model::catalog::source;
use crate::web::{reader::Reader, request::FormFields};

/// The devices that a page is about, besides those that are connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SelectedDevices {
    /// In OW's names.
    pub(crate) providers: Vec<String>,
    /// Chosen by the patient; otherwise all the devices that can be connected.
    pub(crate) is_chosen: bool,
}

impl SelectedDevices {
    pub(crate) fn from_query(query: &FormFields) -> Self {
        let providers = parse_providers(query);
        Self { is_chosen: !providers.is_empty(), providers }
    }

    pub(crate) fn from_form(form: &FormFields) -> Self {
        Self { providers: parse_providers(form), is_chosen: form.get("chosen") == "yes" }
    }

    pub(crate) fn hidden_fields(&self) -> Markup {
        html! {
            @for provider in &self.providers { input type="hidden" name="device" value=(provider); }
            @if self.is_chosen { input type="hidden" name="chosen" value="yes"; }
        }
    }

    pub(crate) fn chosen_provider(&self) -> Option<&str> {
        self.providers.first().filter(|_| self.is_chosen).map(String::as_str)
    }

    /// Returns the page after a consent, where the device is connected.
    pub(crate) fn next_page(&self) -> String {
        match self.chosen_provider() {
            Some(provider) => format!("/clients/ow/leave?provider={provider}"),
            None => "/clients/ow/connect".to_owned(),
        }
    }

    /// Names the chosen device, with a link back to the choice.
    pub(crate) fn describe(&self, reader: &Reader, again: &str) -> Markup {
        html! {
            @if let Some(provider) = self.chosen_provider() {
                @let device = source::data_source_name(provider);
                p { (reader.get_with("asked-for-device", &[("device", device)])) " "
                    a href=(again) { (reader.get("other-device")) } }
            }
        }
    }
}

fn parse_providers(fields: &FormFields) -> Vec<String> {
    let providers = fields.all("device").filter(|name| connect_device::is_provider_name(name));
    providers.map(str::to_owned).collect()
}
