//! The way in which a provider measures a series type. It follows from series type and provider and is not stored.

use crate::model::catalog::series_type::{Aggregation, SeriesType};

/// The descriptive statistic of a value, in OMH's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    Average,
    Minimum,
    Sum,
}

impl Statistic {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Minimum => "minimum",
            Self::Sum => "sum",
        }
    }
}

/// The wearer's state during a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WearerState {
    AtRest,
    Asleep,
}

/// A provider's method for a series type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// None for a single measurement.
    pub statistic: Option<Statistic>,
    pub wearer: Option<WearerState>,
    /// True if a value describes a local day and no instant.
    pub covers_day: bool,
    /// Length in seconds of a part of a total; none if the provider does not say.
    pub interval_seconds: Option<u64>,
    /// True if the wearer typed the value into a profile.
    pub self_reported: bool,
}

const SINGLE: Method =
    Method { statistic: None, wearer: None, covers_day: false, interval_seconds: None, self_reported: false };
const ASLEEP: Method = Method { wearer: Some(WearerState::Asleep), ..SINGLE };
const AVERAGE_ASLEEP: Method = Method { statistic: Some(Statistic::Average), ..ASLEEP };
const AT_REST: Method = Method { wearer: Some(WearerState::AtRest), ..SINGLE };
const AVERAGE: Method = Method { statistic: Some(Statistic::Average), ..SINGLE };
const PROFILE: Method = Method { self_reported: true, ..SINGLE };

/// Series types, providers (none: all others) and their method; the first match counts. From OW's provider modules and
/// the providers' documentation.
const METHODS: &[(&[&str], &[&str], Method)] = &[
    // The lowest rate of the night.
    (&["resting_heart_rate"], &["oura", "suunto"], Method { statistic: Some(Statistic::Minimum), ..ASLEEP }),
    (&["resting_heart_rate"], &["whoop", "sensorbio"], ASLEEP),
    // An estimate over the day, also from times awake.
    (&["resting_heart_rate"], &["garmin", "google"], Method { covers_day: true, ..AT_REST }),
    (&["resting_heart_rate"], &[], AT_REST),
    (&["respiratory_rate"], &["oura"], AVERAGE_ASLEEP),
    (&["respiratory_rate"], &["google"], Method { covers_day: true, ..AVERAGE_ASLEEP }),
    // OW stamps the mean of the night with the bare date.
    (&["oxygen_saturation"], &["oura"], Method { covers_day: true, ..AVERAGE_ASLEEP }),
    // Whoop's recovery and Sensorbio's scores summarize the night.
    (
        &["oxygen_saturation", "heart_rate_variability_rmssd", "skin_temperature"],
        &["whoop", "sensorbio"],
        AVERAGE_ASLEEP,
    ),
    (&["walking_heart_rate_average", "average_met"], &[], AVERAGE),
    (&["weight", "height"], &["oura", "whoop"], PROFILE),
];

/// The lengths of parts in seconds, by provider. OW sends the start of a part and not its end. Other providers' parts vary
/// in length, or OW's setting of their granularity decides it, which may have changed since.
const PART_SECONDS: &[(&str, u64)] = &[("garmin", 15 * 60), ("suunto", 10 * 60)];

/// Returns the method of a provider of OW. `daily_total` is OW's flag: the value is the total of a day.
pub fn find(series: &SeriesType, provider: &str, daily_total: bool) -> Method {
    let is_for = |(types, providers, _): &&(&[&str], &[&str], Method)| {
        types.contains(&series.series_type) && (providers.is_empty() || providers.contains(&provider))
    };
    let method = METHODS.iter().find(is_for).map_or(SINGLE, |(.., method)| *method);
    let method = Method { covers_day: method.covers_day || daily_total, ..method };
    if series.aggregation != Aggregation::Sum || series.is_by_day() {
        return method;
    }
    let part = PART_SECONDS.iter().find(|(name, _)| *name == provider).map(|(_, seconds)| *seconds);
    Method { statistic: Some(Statistic::Sum), interval_seconds: part.filter(|_| !daily_total), ..method }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series;

    fn of(series_type: &str, provider: &str, daily_total: bool) -> Method {
        find(series::find(series_type).unwrap(), provider, daily_total)
    }

    #[test]
    fn a_resting_rate_is_measured_asleep_by_some_providers_and_at_rest_by_others() {
        for (provider, wearer) in [
            ("oura", WearerState::Asleep),
            ("whoop", WearerState::Asleep),
            ("garmin", WearerState::AtRest),
            ("apple", WearerState::AtRest),
        ] {
            assert_eq!(of("resting_heart_rate", provider, false).wearer, Some(wearer), "{provider}");
        }
        assert_eq!(of("heart_rate", "oura", false), SINGLE);
    }

    #[test]
    fn a_part_has_a_length_only_if_its_provider_says_so() {
        assert_eq!(of("steps", "garmin", false).interval_seconds, Some(900));
        assert_eq!(of("steps", "google", false).interval_seconds, None);
        let total = of("steps", "garmin", true);
        assert_eq!((total.covers_day, total.interval_seconds), (true, None));
    }

    #[test]
    fn every_method_is_of_a_known_series_type() {
        for series_type in METHODS.iter().flat_map(|(types, ..)| *types) {
            assert!(series::find(series_type).is_some(), "{series_type}");
        }
    }
}
