//! The data sources: OW's providers.

use crate::model::catalog::series::SERIES;
use crate::model::catalog::series_type::{OwEndpoint, SeriesType};

/// A provider of OW as a data source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSource {
    /// OW's provider name, capitalised.
    pub name: &'static str,
    /// JHE's type of the data source.
    pub kind: &'static str,
    /// OW's series types that it delivers, from OW's `/meta/coverage`.
    pub series: &'static [&'static str],
    pub has_sleep: bool,
    pub has_workouts: bool,
}

impl DataSource {
    /// Returns the codes that it delivers.
    pub fn codes(&self) -> Vec<&'static str> {
        let delivers = |one: &&SeriesType| match one.origin {
            OwEndpoint::Timeseries(types) => types.iter().all(|name| self.series.contains(name)),
            OwEndpoint::Sleep => self.has_sleep,
            // OW sums a day up from energy and distance, also those of workouts.
            OwEndpoint::Workouts | OwEndpoint::Activity => self.has_workouts,
        };
        let mut codes: Vec<&str> = SERIES.iter().filter(delivers).map(|one| one.code).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

const fn device(
    name: &'static str,
    (has_sleep, has_workouts): (bool, bool),
    series: &'static [&'static str],
) -> DataSource {
    DataSource { name, kind: "personal_device", series, has_sleep, has_workouts }
}

/// Every data source that the seed creates.
#[rustfmt::skip]
pub const DATA_SOURCES: &[DataSource] = &[
    device("Oura", (true, true), &[
        "active_time", "breathing_disturbance_index", "cardiovascular_age", "distance_walking_running", "energy",
        "heart_rate", "heart_rate_variability_rmssd", "height", "oxygen_saturation", "respiratory_rate",
        "resting_heart_rate", "skin_temperature_deviation", "skin_temperature_trend_deviation", "steps", "vo2_max",
        "weight",
    ]),
    device("Garmin", (true, true), &[
        "active_time", "air_temperature", "blood_pressure_diastolic", "blood_pressure_systolic",
        "body_fat_percentage", "body_mass_index", "cadence", "distance_walking_running", "elevation", "energy",
        "flights_climbed", "garmin_body_battery", "garmin_fitness_age", "garmin_stress_level", "heart_rate",
        "heart_rate_variability_rmssd", "heart_rate_variability_sdnn", "latitude", "longitude",
        "oxygen_saturation", "power", "respiratory_rate", "resting_heart_rate", "skeletal_muscle_mass",
        "skin_temperature", "speed", "steps", "vo2_max", "weight",
    ]),
    device("Fitbit", (false, true), &[]),
    device("Whoop", (true, true), &[
        "heart_rate_variability_rmssd", "height", "oxygen_saturation", "resting_heart_rate", "skin_temperature",
        "weight",
    ]),
    device("Polar", (true, true), &[
        "active_time", "body_temperature", "distance_walking_running", "energy", "heart_rate",
        "heart_rate_variability_rmssd", "oxygen_saturation", "skin_temperature", "skin_temperature_deviation",
        "steps",
    ]),
    device("Suunto", (true, true), &[
        "energy", "heart_rate", "heart_rate_variability_rmssd", "oxygen_saturation", "resting_heart_rate", "steps",
    ]),
    device("Strava", (false, true), &[
        "cadence", "heart_rate", "power", "speed",
    ]),
    device("Google", (true, true), &[
        "average_met", "basal_energy", "blood_glucose", "blood_pressure_diastolic", "blood_pressure_systolic",
        "body_fat_mass", "body_fat_percentage", "body_mass_index", "body_temperature", "cadence",
        "distance_walking_running", "energy", "flights_climbed", "heart_rate", "heart_rate_variability_rmssd",
        "heart_rate_variability_sdnn", "height", "hydration", "lean_body_mass", "oxygen_saturation", "power",
        "respiratory_rate", "resting_heart_rate", "running_ground_contact_time", "running_stride_length",
        "running_vertical_oscillation", "skeletal_muscle_mass", "speed", "steps", "swimming_stroke_count",
        "vo2_max", "weather_humidity", "weather_temperature", "weight",
    ]),
    device("Samsung", (true, true), &[
        "average_met", "basal_energy", "blood_glucose", "blood_pressure_diastolic", "blood_pressure_systolic",
        "body_fat_mass", "body_fat_percentage", "body_mass_index", "body_temperature", "cadence",
        "distance_walking_running", "energy", "flights_climbed", "heart_rate", "heart_rate_variability_rmssd",
        "height", "hydration", "lean_body_mass", "oxygen_saturation", "power", "respiratory_rate",
        "resting_heart_rate", "running_ground_contact_time", "running_stride_length",
        "running_vertical_oscillation", "skeletal_muscle_mass", "speed", "steps", "swimming_stroke_count",
        "vo2_max", "weather_humidity", "weather_temperature", "weight",
    ]),
    device("Ultrahuman", (true, false), &[
        "active_time", "body_temperature", "heart_rate", "heart_rate_variability_sdnn", "steps", "vo2_max",
    ]),
    device("Apple", (true, true), &[
        "atrial_fibrillation_burden", "average_met", "basal_energy", "blood_alcohol_content", "blood_glucose",
        "blood_pressure_diastolic", "blood_pressure_systolic", "body_fat_percentage", "body_mass_index",
        "body_temperature", "cadence", "distance_cycling", "distance_downhill_snow_sports", "distance_other",
        "distance_swimming", "distance_walking_running", "electrodermal_activity", "energy",
        "environmental_audio_exposure", "environmental_sound_reduction", "estimated_workout_effort_score",
        "exercise_time", "flights_climbed", "forced_expiratory_volume_1", "forced_vital_capacity",
        "headphone_audio_exposure", "heart_rate", "heart_rate_recovery_one_minute", "heart_rate_variability_sdnn",
        "height", "inhaler_usage", "insulin_delivery", "lean_body_mass", "number_of_alcoholic_beverages",
        "number_of_times_fallen", "oxygen_saturation", "peak_expiratory_flow_rate", "peripheral_perfusion_index",
        "physical_effort", "power", "push_count", "respiratory_rate", "resting_heart_rate",
        "running_ground_contact_time", "running_power", "running_speed", "running_stride_length",
        "running_vertical_oscillation", "six_minute_walk_test_distance", "sleeping_breathing_disturbances",
        "speed", "stair_ascent_speed", "stair_descent_speed", "stand_time", "steps", "swimming_stroke_count",
        "time_in_daylight", "uv_exposure", "vo2_max", "waist_circumference", "walking_asymmetry_percentage",
        "walking_double_support_percentage", "walking_heart_rate_average", "walking_speed", "walking_steadiness",
        "walking_step_length", "water_temperature", "weather_humidity", "weather_temperature", "weight",
        "workout_effort_score",
    ]),
    device("Sensorbio", (true, true), &[
        "distance_walking_running", "energy", "heart_rate", "heart_rate_variability_rmssd", "oxygen_saturation",
        "respiratory_rate", "resting_heart_rate", "steps",
    ]),
];

/// Returns the name of a provider's data source; OW's name if the catalogue lacks the provider.
pub fn data_source_name(provider: &str) -> &str {
    let known = DATA_SOURCES.iter().find(|source| source.name.eq_ignore_ascii_case(provider));
    known.map_or(provider, |source| source.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn each_data_source_delivers_what_ow_says() {
        let captured =
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/meta-coverage.json"));
        let coverage: Value = serde_json::from_str(captured).unwrap();
        let metrics = coverage["timeseries"].as_array().unwrap().iter();
        let metrics: Vec<&Value> = metrics.flat_map(|group| group["metrics"].as_array().unwrap()).collect();
        for source in DATA_SOURCES {
            let provider = source.name.to_lowercase();
            let delivers = |metric: &&&Value| {
                metric["providers"].as_array().unwrap().contains(&provider.as_str().into())
            };
            let mut expected: Vec<&str> =
                metrics.iter().filter(delivers).map(|metric| metric["code"].as_str().unwrap()).collect();
            expected.sort_unstable();
            let mut listed = source.series.to_vec();
            listed.sort_unstable();
            assert_eq!(listed, expected, "{provider}");
            let has = |fields: &str| {
                let fields = coverage[fields].as_array().unwrap().iter();
                fields.flat_map(|field| field["providers"].as_array().unwrap()).any(|one| *one == *provider)
            };
            assert_eq!(
                (source.has_sleep, source.has_workouts),
                (has("sleep_fields"), has("workout_fields")),
                "{provider}"
            );
        }
    }
}
