//! What a patient consents to of an endpoint of the provider's. Pure.

use crate::model::catalog::endpoint;
use crate::model::catalog::endpoint::Endpoint;
use crate::model::catalog::series_type::Series;
use crate::model::consent_intervals::Allowed;
use crate::store::operations::poll_plan::Wanted;
use crate::store::samples::raw_object;

/// What becomes of the records of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Consented {
    /// The rows of the catalogue that they become.
    pub(crate) series: Vec<&'static Series>,
    /// The rows that they would become, had the patient consented to them.
    left_out: Vec<&'static str>,
    /// Names the consent to all of them.
    fingerprint: String,
}

impl Consented {
    /// What of an endpoint is wanted.
    pub(crate) fn of(endpoint: &Endpoint, wanted: &[Wanted]) -> Self {
        let nothing = Allowed::default();
        let (mut one, mut allowed) = (Self::default(), Vec::with_capacity(endpoint.series.len()));
        for name in endpoint.series {
            let found = wanted.iter().find(|wanted| wanted.series.series_type == *name);
            match found.map(|wanted| wanted.series) {
                Some(series) => one.series.push(series),
                None => one.left_out.push(name),
            }
            allowed.push(found.map_or(&nothing, |wanted| &wanted.allowed));
        }
        one.fingerprint = Allowed::fingerprint(allowed);
        one
    }

    /// Whether nothing of it is.
    pub(crate) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// What is noted of an object of which so many samples were withheld; nothing where all of it is kept.
    pub(crate) fn note(&self, withheld: u64) -> Option<String> {
        let is_whole = withheld == 0 && self.left_out.is_empty();
        (!is_whole).then(|| raw_object::withheld(withheld, &self.left_out, &self.fingerprint))
    }

    /// Whether an object of which this was noted would bring more, or less, now.
    pub(crate) fn is_other_than(&self, noted: &str) -> bool {
        !self.is_empty() && !raw_object::was_withheld_under(noted, &self.fingerprint)
    }
}

/// The types of which the payloads tell: no others are read, and none has a mark.
pub(crate) fn of_payloads(wanted: &[Wanted]) -> Vec<Wanted> {
    let is_told = |one: &&Wanted| endpoint::endpoints_of(one.series.series_type).next().is_some();
    wanted.iter().filter(is_told).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::time::Timestamp;
    use crate::model::catalog::series;
    use crate::model::consent_intervals::Grant;

    fn wanted(names: &[&str], granted: i64) -> Vec<Wanted> {
        let grant = |withdrawn| Grant { granted: Timestamp::from_micros(granted), withdrawn };
        let allowed = Allowed::from_grants(&[
            Grant { granted: Timestamp::from_micros(0), withdrawn: Some(Timestamp::from_micros(1)) },
            grant(None),
        ]);
        let series = names.iter().map(|name| series::series(name).unwrap());
        series.map(|series| Wanted { series, allowed: allowed.clone(), mark: None }).collect()
    }

    #[test]
    fn an_object_is_read_again_under_another_consent_to_what_it_tells_of_and_no_other() {
        let daily = endpoint::endpoint("/v2/usercollection/daily_activity").unwrap();
        let of = |names: &[&str], granted| Consented::of(daily, &wanted(names, granted));
        let some = of(&["steps"], 5);
        let noted = some.note(0).unwrap();
        assert!(noted.starts_with("0 and all of daily_activity withheld under consent "), "{noted}");
        assert!(!some.is_other_than(&noted) && !of(&["steps", "weight"], 5).is_other_than(&noted));
        assert!(of(&["steps", "daily_activity"], 5).is_other_than(&noted));
        assert!(of(&["steps"], 6).is_other_than(&noted) && !of(&[], 5).is_other_than(&noted));
        let all = of(&["steps", "daily_activity"], 5);
        assert_eq!(all.note(0), None);
        assert!(all.note(2).is_some_and(|noted| noted.starts_with("2 withheld under consent ")));
    }
}
