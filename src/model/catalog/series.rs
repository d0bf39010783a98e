//! The table of series types. A new series type is one new row here.

use crate::model::catalog::code::{
    ACTIVITY, BLOOD_GLUCOSE, BLOOD_PRESSURE, BODY_TEMPERATURE, CODES, FEV1, FVC, HEART_RATE, HEIGHT, HRV,
    OXYGEN_SATURATION, RESPIRATORY_RATE, SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, STEP_COUNT,
    TIME_IN_BED, WEIGHT,
};
use crate::model::catalog::series_type::OmhBody::{self, Value};
use crate::model::catalog::series_type::OwEndpoint::{self, Activity, Sleep, Timeseries, Workouts};
use crate::model::catalog::series_type::{Aggregation, DisplayUnit, SeriesType};

const fn row(
    series_type: &'static str,
    (origin, unit): (OwEndpoint, &'static str),
    code: &'static str,
    body: OmhBody,
    name: &'static str,
    chart_range: (f64, f64),
    (aggregation, display): (Aggregation, DisplayUnit),
) -> SeriesType {
    SeriesType { series_type, origin, unit, code, body, name, chart_range, aggregation, display }
}

const fn in_unit(unit: &'static str) -> (Aggregation, DisplayUnit) {
    (Aggregation::Range, DisplayUnit { unit, per: 1.0 })
}

const fn sum(unit: &'static str) -> (Aggregation, DisplayUnit) {
    (Aggregation::Sum, DisplayUnit { unit, per: 1.0 })
}

const fn hours() -> (Aggregation, DisplayUnit) {
    (Aggregation::Sum, DisplayUnit { unit: "h", per: 3600.0 })
}

/// Every series type. The first column is part of every sample's identity and never changes. Durations are
/// stored in seconds.
#[rustfmt::skip]
pub const SERIES: &[SeriesType] = &[
    row("heart_rate", (Timeseries(&["heart_rate"]), "bpm"), HEART_RATE,
        Value("heart_rate", "beats/min"), "Heart rate", (30.0, 220.0), in_unit("bpm")),
    row("resting_heart_rate", (Timeseries(&["resting_heart_rate"]), "bpm"), HEART_RATE,
        Value("heart_rate", "beats/min"), "Resting heart rate", (30.0, 120.0), in_unit("bpm")),
    row("oxygen_saturation", (Timeseries(&["oxygen_saturation"]), "percent"), OXYGEN_SATURATION,
        Value("oxygen_saturation", "%"), "Blood oxygen", (70.0, 100.0), in_unit("%")),
    row("blood_glucose", (Timeseries(&["blood_glucose"]), "mg_dl"), BLOOD_GLUCOSE,
        Value("blood_glucose", "mg/dL"), "Blood sugar", (40.0, 400.0), in_unit("mg/dL")),
    row("respiratory_rate", (Timeseries(&["respiratory_rate"]), "brpm"), RESPIRATORY_RATE,
        Value("respiratory_rate", "breaths/min"), "Breathing rate", (5.0, 40.0), in_unit("breaths/min")),
    row("weight", (Timeseries(&["weight"]), "kg"), WEIGHT,
        Value("body_weight", "kg"), "Weight", (30.0, 250.0), in_unit("kg")),
    row("height", (Timeseries(&["height"]), "cm"), HEIGHT,
        Value("body_height", "cm"), "Height", (100.0, 220.0), in_unit("cm")),
    row("body_temperature", (Timeseries(&["body_temperature"]), "celsius"), BODY_TEMPERATURE,
        Value("body_temperature", "C"), "Body temperature", (33.0, 42.0), in_unit("°C")),
    row("heart_rate_variability_sdnn", (Timeseries(&["heart_rate_variability_sdnn"]), "ms"), HRV,
        Value("heart_rate_variability", "ms"), "Heart rate variability (SDNN)", (0.0, 200.0), in_unit("ms")),
    row("heart_rate_variability_rmssd", (Timeseries(&["heart_rate_variability_rmssd"]), "ms"), HRV,
        Value("heart_rate_variability", "ms"), "Heart rate variability (RMSSD)", (0.0, 200.0), in_unit("ms")),
    row("blood_pressure", (Timeseries(&["blood_pressure_systolic", "blood_pressure_diastolic"]), "mmHg"),
        BLOOD_PRESSURE, OmhBody::BloodPressure, "Blood pressure", (60.0, 220.0), in_unit("mmHg")),
    row("forced_vital_capacity", (Timeseries(&["forced_vital_capacity"]), "liters"), FVC,
        Value("forced_vital_capacity", "L"), "Lung capacity (FVC)", (0.5, 8.0), in_unit("L")),
    row("forced_expiratory_volume_1", (Timeseries(&["forced_expiratory_volume_1"]), "liters"), FEV1,
        Value("forced_expiratory_volume_1_second", "L"),
        "Breath volume in one second (FEV1)", (0.5, 6.0), in_unit("L")),
    row("steps", (Timeseries(&["steps"]), "count"), STEP_COUNT,
        OmhBody::StepCount, "Steps", (0.0, 50_000.0), sum("steps")),
    row("sleep_duration", (Sleep, "s"), SLEEP_DURATION,
        OmhBody::SleepDuration, "Time asleep", (0.0, 14.0), hours()),
    row("sleep_episode", (Sleep, "s"), SLEEP_EPISODE,
        OmhBody::SleepEpisode, "Sleep", (0.0, 14.0), hours()),
    row("sleep_stage_summary", (Sleep, "s"), SLEEP_STAGES,
        OmhBody::SleepStages, "Sleep stages", (0.0, 14.0), hours()),
    row("time_in_bed", (Sleep, "s"), TIME_IN_BED,
        OmhBody::TimeInBed, "Time in bed", (0.0, 16.0), hours()),
    row("daily_activity", (Activity, "kcal"), ACTIVITY,
        OmhBody::Activity, "Energy of the day's activity", (0.0, 1500.0), sum("kcal")),
    row("workout", (Workouts, "s"), ACTIVITY,
        OmhBody::Activity, "Workouts", (0.0, 12.0), hours()),
];

pub fn is_sent_to_jhe(code: &str) -> bool {
    CODES.iter().any(|known| known.code == code && known.is_sent_to_jhe())
}

pub fn find(series_type: &str) -> Option<&'static SeriesType> {
    SERIES.iter().find(|series| series.series_type == series_type)
}
