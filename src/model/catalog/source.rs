//! Where data come from: the providers that OW knows, as JHE names its data sources.

use crate::model::catalog::code::{
    ACTIVITY, BLOOD_GLUCOSE, BLOOD_PRESSURE, BODY_TEMPERATURE, FEV1, FVC, HEART_RATE, HEIGHT, HRV,
    OXYGEN_SATURATION, RESPIRATORY_RATE, SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, STEP_COUNT,
    TIME_IN_BED, WEIGHT,
};

/// One of OW's providers as a data source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSource {
    /// Its name: OW's provider, with a capital.
    pub name: &'static str,
    /// JHE's word for what it is.
    pub kind: &'static str,
    /// The codes it can deliver through OW, as OW's `/meta/coverage` tells.
    pub codes: &'static [&'static str],
}

const fn device(name: &'static str, codes: &'static [&'static str]) -> DataSource {
    DataSource { name, kind: "personal_device", codes }
}

/// The data sources that a seed makes: every provider of OW's that delivers something.
#[rustfmt::skip]
pub const DATA_SOURCES: &[DataSource] = &[
    device("Oura", &[HEART_RATE, OXYGEN_SATURATION, RESPIRATORY_RATE, WEIGHT, HEIGHT, HRV, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
    device("Garmin", &[HEART_RATE, OXYGEN_SATURATION, RESPIRATORY_RATE, WEIGHT, HRV, BLOOD_PRESSURE, STEP_COUNT,
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED, ACTIVITY]),
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

/// The data source that a provider of OW's is, where it is one of ours; else OW's own name.
pub fn data_source(provider: &str) -> &str {
    let known = DATA_SOURCES.iter().find(|source| source.name.eq_ignore_ascii_case(provider));
    known.map_or(provider, |source| source.name)
}

/// The providers whose resting heart rate is measured asleep. Others take it over the day, or do not say.
const RESTS_ASLEEP: &[&str] = &["oura", "suunto", "whoop", "sensorbio"];

/// Whether a provider measures the resting heart rate asleep.
pub fn rests_asleep(provider: &str) -> bool {
    RESTS_ASLEEP.contains(&provider)
}

/// How long a provider's samples of steps are, in seconds, where they are no totals of a day. OW says when they begin,
/// and never when they end; of those that are not here the length varies, and a minute is the least it is.
pub fn step_interval(provider: &str) -> u64 {
    match provider {
        "garmin" => 15 * 60,
        "suunto" => 10 * 60,
        _ => 60,
    }
}
