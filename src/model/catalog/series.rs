//! The table of series types that most studies ask for; `more_series` has the others. A new series type is one new row.

use crate::model::catalog::code::{
    ACTIVITY, BLOOD_GLUCOSE, BLOOD_PRESSURE, BODY_TEMPERATURE, CODES, FEV1, FVC, HEART_RATE, HEIGHT,
    HRV_RMSSD, HRV_SDNN, OXYGEN_SATURATION, RESPIRATORY_RATE, SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES,
    STEP_COUNT, TIME_IN_BED, WEIGHT,
};
use crate::model::catalog::more_series::MORE_SERIES;
use crate::model::catalog::series_type::OmhBody::{self, Value};
use crate::model::catalog::series_type::OwEndpoint::{Activity, Sleep, Timeseries, Workouts};
use crate::model::catalog::series_type::{Aggregation, DisplayUnit, Limits, SeriesType, in_unit, row, sum};

const fn hours() -> (Aggregation, DisplayUnit) {
    (Aggregation::Sum, DisplayUnit { unit: "h", per: 3600.0 })
}

/// Every series type. The first column is part of every sample's identity and never changes. Durations are
/// stored in seconds.
pub static SERIES: &[SeriesType] = &ALL;

static ALL: [SeriesType; FIRST.len() + MORE_SERIES.len()] = {
    let mut all = [FIRST[0]; FIRST.len() + MORE_SERIES.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = if place < FIRST.len() { FIRST[place] } else { MORE_SERIES[place - FIRST.len()] };
        place += 1;
    }
    all
};

#[rustfmt::skip]
static FIRST: [SeriesType; 20] = [
    row("heart_rate", (Timeseries(&["heart_rate"]), "bpm"), HEART_RATE,
        Value("heart_rate", "beats/min"), "Heart rate", "heart_rate_bpm", in_unit("bpm"),
        Limits { chart: (30.0, 220.0), possible: (1.0, 400.0), plausible: (25.0, 250.0) }),
    row("resting_heart_rate", (Timeseries(&["resting_heart_rate"]), "bpm"), HEART_RATE,
        Value("heart_rate", "beats/min"), "Resting heart rate", "resting_heart_rate_bpm", in_unit("bpm"),
        Limits { chart: (30.0, 120.0), possible: (1.0, 400.0), plausible: (25.0, 150.0) }),
    row("oxygen_saturation", (Timeseries(&["oxygen_saturation"]), "percent"), OXYGEN_SATURATION,
        Value("oxygen_saturation", "%"), "Blood oxygen", "oxygen_saturation_percent", in_unit("%"),
        Limits { chart: (70.0, 100.0), possible: (1.0, 100.0), plausible: (50.0, 100.0) }),
    row("blood_glucose", (Timeseries(&["blood_glucose"]), "mg_dl"), BLOOD_GLUCOSE,
        Value("blood_glucose", "mg/dL"), "Blood sugar", "blood_glucose_mg_dl", in_unit("mg/dL"),
        Limits { chart: (40.0, 400.0), possible: (0.1, f64::MAX), plausible: (20.0, 600.0) }),
    row("respiratory_rate", (Timeseries(&["respiratory_rate"]), "brpm"), RESPIRATORY_RATE,
        Value("respiratory_rate", "breaths/min"), "Breathing rate", "respiratory_rate_per_min", in_unit("breaths/min"),
        Limits { chart: (5.0, 40.0), possible: (0.1, 200.0), plausible: (4.0, 60.0) }),
    row("weight", (Timeseries(&["weight"]), "kg"), WEIGHT,
        Value("body_weight", "kg"), "Weight", "weight_kg", in_unit("kg"),
        Limits { chart: (30.0, 250.0), possible: (0.1, 1000.0), plausible: (2.0, 400.0) }),
    row("height", (Timeseries(&["height"]), "cm"), HEIGHT,
        Value("body_height", "cm"), "Height", "height_cm", in_unit("cm"),
        Limits { chart: (100.0, 220.0), possible: (1.0, 300.0), plausible: (30.0, 250.0) }),
    row("body_temperature", (Timeseries(&["body_temperature"]), "celsius"), BODY_TEMPERATURE,
        Value("body_temperature", "C"), "Body temperature", "body_temperature_celsius", in_unit("°C"),
        Limits { chart: (33.0, 42.0), possible: (-273.15, f64::MAX), plausible: (30.0, 44.0) }),
    row("heart_rate_variability_sdnn", (Timeseries(&["heart_rate_variability_sdnn"]), "ms"), HRV_SDNN,
        Value("heart_rate_variability_sdnn", "ms"), "Heart rate variability (SDNN)", "sdnn_ms", in_unit("ms"),
        Limits { chart: (0.0, 200.0), possible: (0.0, f64::MAX), plausible: (1.0, 400.0) }),
    row("heart_rate_variability_rmssd", (Timeseries(&["heart_rate_variability_rmssd"]), "ms"), HRV_RMSSD,
        Value("heart_rate_variability_rmssd", "ms"), "Heart rate variability (RMSSD)", "rmssd_ms", in_unit("ms"),
        Limits { chart: (0.0, 200.0), possible: (0.0, f64::MAX), plausible: (1.0, 400.0) }),
    row("blood_pressure", (Timeseries(&["blood_pressure_systolic", "blood_pressure_diastolic"]), "mmHg"), BLOOD_PRESSURE,
        OmhBody::BloodPressure, "Blood pressure", "systolic_mmhg", in_unit("mmHg"),
        Limits { chart: (60.0, 220.0), possible: (1.0, 1000.0), plausible: (30.0, 260.0) }),
    row("forced_vital_capacity", (Timeseries(&["forced_vital_capacity"]), "liters"), FVC,
        Value("forced_vital_capacity", "L"), "Lung capacity (FVC)", "forced_vital_capacity_l", in_unit("L"),
        Limits { chart: (0.5, 8.0), possible: (0.0, f64::MAX), plausible: (0.3, 10.0) }),
    row("forced_expiratory_volume_1", (Timeseries(&["forced_expiratory_volume_1"]), "liters"), FEV1,
        Value("forced_expiratory_volume_1_second", "L"), "Breath volume in one second (FEV1)", "forced_expiratory_volume_1_l", in_unit("L"),
        Limits { chart: (0.5, 6.0), possible: (0.0, f64::MAX), plausible: (0.2, 8.0) }),
    row("steps", (Timeseries(&["steps"]), "count"), STEP_COUNT,
        OmhBody::StepCount, "Steps", "steps_count", sum("steps"),
        Limits { chart: (0.0, 50_000.0), possible: (0.0, f64::MAX), plausible: (0.0, 100_000.0) }),
    row("sleep_duration", (Sleep, "s"), SLEEP_DURATION,
        OmhBody::SleepDuration, "Time asleep", "asleep_s", hours(),
        Limits { chart: (0.0, 14.0), possible: (0.0, f64::MAX), plausible: (0.0, 64_800.0) }),
    row("sleep_episode", (Sleep, "s"), SLEEP_EPISODE,
        OmhBody::SleepEpisode, "Sleep", "episode_s", hours(),
        Limits { chart: (0.0, 14.0), possible: (0.0, f64::MAX), plausible: (0.0, 86_400.0) }),
    row("sleep_stage_summary", (Sleep, "s"), SLEEP_STAGES,
        OmhBody::SleepStages, "Sleep stages", "staged_s", hours(),
        Limits { chart: (0.0, 14.0), possible: (0.0, f64::MAX), plausible: (0.0, 64_800.0) }),
    row("time_in_bed", (Sleep, "s"), TIME_IN_BED,
        OmhBody::TimeInBed, "Time in bed", "in_bed_s", hours(),
        Limits { chart: (0.0, 16.0), possible: (0.0, f64::MAX), plausible: (0.0, 86_400.0) }),
    row("daily_activity", (Activity, "kcal"), ACTIVITY,
        OmhBody::Activity, "Energy of the day's activity", "daily_energy_kcal", sum("kcal"),
        Limits { chart: (0.0, 1500.0), possible: (0.0, f64::MAX), plausible: (0.0, 10_000.0) }),
    row("workout", (Workouts, "s"), ACTIVITY,
        OmhBody::Activity, "Workouts", "duration_s", hours(),
        Limits { chart: (0.0, 12.0), possible: (0.0, f64::MAX), plausible: (0.0, 86_400.0) }),
];

/// Returns true for a code that most studies ask for. Forms show the others on request.
pub fn is_common(code: &str) -> bool {
    FIRST.iter().any(|series| series.code == code)
}

pub fn is_sent_to_jhe(code: &str) -> bool {
    CODES.iter().any(|known| known.code == code && known.is_sent_to_jhe())
}

pub fn find(series_type: &str) -> Option<&'static SeriesType> {
    SERIES.iter().find(|series| series.series_type == series_type)
}
