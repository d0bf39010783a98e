//! The series types of a provider's endpoint that a patient consents to. Pure.

use crate::model::catalog::endpoint::{self, ProviderEndpoint};
use crate::model::catalog::series_type::SeriesType;
use crate::model::consent_intervals::ConsentIntervals;
use crate::store::{operations::poll_plan::SeriesPlan, samples::raw_object};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ConsentedSeries {
    /// Series types of the endpoint with consent.
    pub(crate) series: Vec<&'static SeriesType>,
    /// Series types of the endpoint without consent.
    left_out: Vec<&'static str>,
    /// Hash of the consent to all of them.
    fingerprint: String,
}

impl ConsentedSeries {
    pub(crate) fn new(endpoint: &ProviderEndpoint, wanted: &[SeriesPlan]) -> Self {
        let no_consent = ConsentIntervals::default();
        let mut consented = Self::default();
        let mut allowed = Vec::with_capacity(endpoint.series.len());
        for name in endpoint.series {
            let found = wanted.iter().find(|wanted| wanted.series.series_type == *name);
            allowed.push(found.map_or(&no_consent, |wanted| &wanted.allowed));
            match found {
                Some(wanted) => consented.series.push(wanted.series),
                None => consented.left_out.push(name),
            }
        }
        consented.fingerprint = ConsentIntervals::fingerprint(allowed);
        consented
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Returns the text to store with an object of which `withheld` samples were left out; none if all were
    /// stored.
    pub(crate) fn withheld_text(&self, withheld: u64) -> Option<String> {
        let is_partial = withheld > 0 || !self.left_out.is_empty();
        is_partial.then(|| raw_object::format_withheld(withheld, &self.left_out, &self.fingerprint))
    }

    /// Returns whether the consent has changed since an object was stored with this text, so that it must be
    /// read again.
    pub(crate) fn has_changed_since(&self, withheld_text: &str) -> bool {
        !self.is_empty() && !raw_object::is_withheld_under(withheld_text, &self.fingerprint)
    }
}

/// Returns the plans of series types that payloads contain.
pub(crate) fn payload_series(wanted: &[SeriesPlan]) -> Vec<SeriesPlan> {
    let is_in_payloads =
        |one: &&SeriesPlan| endpoint::list_for_series(one.series.series_type).next().is_some();
    wanted.iter().filter(is_in_payloads).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::model::catalog::series;
    use crate::model::consent_intervals::Grant;

    fn wanted(names: &[&str], granted: i64) -> Vec<SeriesPlan> {
        let grant =
            |withdrawn| Grant { granted: Timestamp::from_micros(granted), withdrawn, covers_from: None };
        let allowed = ConsentIntervals::from_grants(&[
            Grant {
                granted: Timestamp::from_micros(0),
                withdrawn: Some(Timestamp::from_micros(1)),
                covers_from: None,
            },
            grant(None),
        ]);
        let series = names.iter().map(|name| series::find(name).unwrap());
        series.map(|series| SeriesPlan { series, allowed: allowed.clone(), mark: None }).collect()
    }

    #[test]
    fn an_object_is_read_again_after_a_change_of_consent_to_its_series_and_no_other() {
        let daily = endpoint::find("/v2/usercollection/daily_activity").unwrap();
        let of = |names: &[&str], granted| ConsentedSeries::new(daily, &wanted(names, granted));
        let some = of(&["steps"], 5);
        let text = some.withheld_text(0).unwrap();
        assert!(text.starts_with("0 and all of daily_activity withheld under consent "), "{text}");
        assert!(!some.has_changed_since(&text) && !of(&["steps", "weight"], 5).has_changed_since(&text));
        assert!(of(&["steps", "daily_activity"], 5).has_changed_since(&text));
        assert!(of(&["steps"], 6).has_changed_since(&text) && !of(&[], 5).has_changed_since(&text));
        let all = of(&["steps", "daily_activity"], 5);
        assert_eq!(all.withheld_text(0), None);
        assert!(all.withheld_text(2).is_some_and(|text| text.starts_with("2 withheld under consent ")));
    }
}
