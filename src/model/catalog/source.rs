//! The data sources: OW's providers.

use crate::model::catalog::code::{
    ACTIVITY, BLOOD_GLUCOSE, BLOOD_PRESSURE, BODY_TEMPERATURE, FEV1, FVC, HEART_RATE, HEIGHT, HRV,
    OXYGEN_SATURATION, RESPIRATORY_RATE, SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, STEP_COUNT,
    TIME_IN_BED, WEIGHT,
};

/// A provider of OW as a data source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSource {
    /// OW's provider name, capitalised.
    pub name: &'static str,
    /// JHE's type of the data source.
    pub kind: &'static str,
    /// Codes that it delivers through OW, from OW's `/meta/coverage`.
    pub codes: &'static [&'static str],
}

const fn device(name: &'static str, codes: &'static [&'static str]) -> DataSource {
    DataSource { name, kind: "personal_device", codes }
}

/// Every data source that the seed creates.
#[rustfmt::skip]
pub const DATA_SOURCES: &[DataSource] = &[
    device("Oura", &[HEART_RATE, OXYGEN_SATURATION, RESPIRATORY_RATE, WEIGHT, HEIGHT, HRV, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Garmin", &[HEART_RATE, OXYGEN_SATURATION, RESPIRATORY_RATE, WEIGHT, HRV, BLOOD_PRESSURE,
        STEP_COUNT, SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Fitbit", &[ACTIVITY]),
    device("Whoop", &[HEART_RATE, OXYGEN_SATURATION, WEIGHT, HEIGHT, HRV,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Polar", &[HEART_RATE, OXYGEN_SATURATION, BODY_TEMPERATURE, HRV, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Suunto", &[HEART_RATE, OXYGEN_SATURATION, HRV, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Strava", &[ACTIVITY]),
    device("Google", &[HEART_RATE, OXYGEN_SATURATION, BLOOD_GLUCOSE, RESPIRATORY_RATE, WEIGHT, HEIGHT,
        BODY_TEMPERATURE, HRV, BLOOD_PRESSURE, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Samsung", &[HEART_RATE, OXYGEN_SATURATION, BLOOD_GLUCOSE, RESPIRATORY_RATE, WEIGHT, HEIGHT,
        BODY_TEMPERATURE, HRV, BLOOD_PRESSURE, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Ultrahuman", &[HEART_RATE, HRV, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Apple", &[HEART_RATE, OXYGEN_SATURATION, BLOOD_GLUCOSE, RESPIRATORY_RATE, WEIGHT, HEIGHT,
        BODY_TEMPERATURE, HRV, BLOOD_PRESSURE, FVC, FEV1, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Sensorbio", &[HEART_RATE, OXYGEN_SATURATION, RESPIRATORY_RATE, HRV, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
];

/// Returns the name of a provider's data source; OW's name if the catalogue lacks the provider.
pub fn data_source_name(provider: &str) -> &str {
    let known = DATA_SOURCES.iter().find(|source| source.name.eq_ignore_ascii_case(provider));
    known.map_or(provider, |source| source.name)
}
