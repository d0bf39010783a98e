//! LOINC codes, UCUM units and FHIR categories of the series types, for `observations --format fhir-vitals`.
//!
//! Vital signs have the codes and units that the published FHIR R4 and R5 vital-signs profiles fix. The other
//! codes are those of published mappings of wearables to FHIR (HL7's physical-activity guide, Stanford's
//! mapping of Apple Health). A code that says more than the sample is left out: LOINC has none for RMSSD, and those
//! for walking distance and waist circumference name a method.

use crate::model::sample_details::Measure;

/// The system of LOINC codes.
pub(crate) const SYSTEM: &str = "http://loinc.org";
/// The system of FHIR's categories of observations.
pub(crate) const CATEGORY_SYSTEM: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// A LOINC code and its name there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loinc {
    pub(crate) code: &'static str,
    pub(crate) display: &'static str,
}

/// A unit: its UCUM code and its text for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) ucum: &'static str,
    pub(crate) text: &'static str,
}

/// A code of FHIR's `observation-category` and its name.
pub(crate) type Category = (&'static str, &'static str);

/// The codes of a series type; the code that a FHIR profile requires is the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClinicalCodes {
    pub(crate) series_type: &'static str,
    pub(crate) category: Option<Category>,
    pub(crate) loinc: &'static [Loinc],
}

const VITAL_SIGNS: Category = ("vital-signs", "Vital Signs");
const LABORATORY: Category = ("laboratory", "Laboratory");
const PROCEDURE: Category = ("procedure", "Procedure");
const EXAM: Category = ("exam", "Exam");
const ACTIVITY: Category = ("activity", "Activity");

const fn loinc(code: &'static str, display: &'static str) -> Loinc {
    Loinc { code, display }
}

const fn row(series_type: &'static str, category: Category, loinc: &'static [Loinc]) -> ClinicalCodes {
    ClinicalCodes { series_type, category: Some(category), loinc }
}

pub(crate) const SYSTOLIC: Loinc = loinc("8480-6", "Systolic blood pressure");
const EXERCISE_DURATION: Loinc = loinc("55411-3", "Exercise duration");
const DIASTOLIC: Loinc = loinc("8462-4", "Diastolic blood pressure");
const HEART_RATE: Loinc = loinc("8867-4", "Heart rate");
const CALORIES: Loinc = loinc("41981-2", "Calories burned");
pub(crate) const SLEEP_DURATION: Loinc = loinc("93832-4", "Sleep duration");

#[rustfmt::skip]
const CODES: &[ClinicalCodes] = &[
    row("heart_rate", VITAL_SIGNS, &[HEART_RATE]),
    row("resting_heart_rate", VITAL_SIGNS, &[HEART_RATE, loinc("40443-4", "Heart rate --resting")]),
    row("oxygen_saturation", VITAL_SIGNS, &[
        loinc("2708-6", "Oxygen saturation in Arterial blood"),
        loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry")]),
    row("respiratory_rate", VITAL_SIGNS, &[loinc("9279-1", "Respiratory rate")]),
    row("body_temperature", VITAL_SIGNS, &[loinc("8310-5", "Body temperature")]),
    row("weight", VITAL_SIGNS, &[loinc("29463-7", "Body weight")]),
    row("height", VITAL_SIGNS, &[loinc("8302-2", "Body height")]),
    row("body_mass_index", VITAL_SIGNS, &[loinc("39156-5", "Body mass index (BMI) [Ratio]")]),
    row("blood_pressure", VITAL_SIGNS, &[
        loinc("85354-9", "Blood pressure panel with all children optional")]),
    row("blood_glucose", LABORATORY, &[loinc("2339-0", "Glucose [Mass/volume] in Blood")]),
    row("blood_alcohol_content", LABORATORY, &[]),
    ClinicalCodes { category: None, ..row("heart_rate_variability_sdnn", EXAM, &[
        loinc("80404-7", "R-R interval.standard deviation (Heart rate variability)")]) },
    row("forced_vital_capacity", PROCEDURE, &[
        loinc("19870-5", "Forced vital capacity [Volume] Respiratory system")]),
    row("forced_expiratory_volume_1", PROCEDURE, &[loinc("20150-9", "FEV1")]),
    row("peak_expiratory_flow_rate", PROCEDURE, &[
        loinc("33452-4", "Maximum expiratory gas flow Respiratory system airway")]),
    row("body_fat_percentage", EXAM, &[loinc("41982-0", "Percentage of body fat Measured")]),
    row("lean_body_mass", EXAM, &[loinc("91557-9", "Lean body weight")]),
    row("body_fat_mass", EXAM, &[]),
    row("skeletal_muscle_mass", EXAM, &[]),
    row("waist_circumference", EXAM, &[]),
    row("six_minute_walk_test_distance", EXAM, &[loinc("64098-7", "Six minute walk test")]),
    row("vo2_max", ACTIVITY, &[
        loinc("94122-9", "Oxygen consumption (VO2)/Body weight [Volume Rate Content] --peak during exercise")]),
    row("steps", ACTIVITY, &[loinc("55423-8", "Number of steps in unspecified time Pedometer")]),
    row("energy", ACTIVITY, &[CALORIES]),
    row("exercise_time", ACTIVITY, &[EXERCISE_DURATION]),
    row("flights_climbed", ACTIVITY, &[loinc("100304-5", "Flights climbed [#] Reporting Period")]),
    row("distance_swimming", ACTIVITY, &[loinc("93816-7", "Swimming distance unspecified time")]),
    row("push_count", ACTIVITY, &[loinc("96502-0", "Number of wheelchair pushes per time period")]),
    row("workout", ACTIVITY, &[loinc("73985-4", "Exercise activity")]),
    row("sleep_duration", ACTIVITY, &[SLEEP_DURATION]),
];
/// Steps of a whole day have a code of their own.
const STEPS_OF_A_DAY: ClinicalCodes =
    row("steps", ACTIVITY, &[loinc("41950-7", "Number of steps in 24 hour Measured")]);
/// Beginnings of further series types of physical activity and sleep, without a LOINC code.
#[rustfmt::skip]
const ACTIVITIES: &[&str] = &[
    "active_time", "average_met", "basal_energy", "cadence", "daily_activity", "distance_", "physical_effort", "power",
    "running_", "sleep_", "speed", "stair_", "stand_time", "swimming_", "time_in_bed", "walking_", "workout_",
];

/// OW's units in UCUM.
#[rustfmt::skip]
const UNITS: &[(&str, Unit)] = &[
    ("bpm", unit("/min", "beats/min")),
    ("brpm", unit("/min", "breaths/min")),
    ("rpm", unit("/min", "/min")),
    ("percent", unit("%", "%")),
    ("mg_dl", unit("mg/dL", "mg/dL")),
    ("mmHg", MMHG),
    ("kg", unit("kg", "kg")),
    ("kg_m2", unit("kg/m2", "kg/m2")),
    ("celsius", unit("Cel", "Cel")),
    ("cm", unit("cm", "cm")),
    ("meters", METERS),
    ("m_per_s", unit("m/s", "m/s")),
    ("ms", unit("ms", "ms")),
    ("s", SECONDS),
    ("minutes", unit("min", "min")),
    ("years", unit("a", "years")),
    ("liters", unit("L", "L")),
    ("mL", unit("mL", "mL")),
    ("L/min", unit("L/min", "L/min")),
    ("ml_kg_min", unit("mL/kg/min", "mL/kg/min")),
    ("kcal", KILOCALORIES),
    ("watts", unit("W", "W")),
    ("met", unit("{MET}", "MET")),
    ("dB", unit("dB", "dB")),
    ("degrees", unit("deg", "degrees")),
    ("count", unit("{count}", "count")),
    ("score", unit("{score}", "score")),
];

pub(crate) const MMHG: Unit = unit("mm[Hg]", "mmHg");
const METERS: Unit = unit("m", "m");
const KILOCALORIES: Unit = unit("kcal", "kcal");
pub(crate) const SECONDS: Unit = unit("s", "s");

const fn unit(ucum: &'static str, text: &'static str) -> Unit {
    Unit { ucum, text }
}

/// Returns the codes of a series type, for one that the table lacks without LOINC.
pub(crate) fn find(series_type: &'static str, daily_total: bool) -> ClinicalCodes {
    if series_type == STEPS_OF_A_DAY.series_type && daily_total {
        return STEPS_OF_A_DAY;
    }
    let is_activity = ACTIVITIES.iter().any(|start| series_type.starts_with(start));
    let other = ClinicalCodes { series_type, category: is_activity.then_some(ACTIVITY), loinc: &[] };
    CODES.iter().find(|codes| codes.series_type == series_type).copied().unwrap_or(other)
}

/// Returns the unit of a series type's values. A difference of temperatures is in kelvins: UCUM's degree
/// Celsius is a point on a scale.
pub(crate) fn find_unit(series_type: &str, daily_total: bool, ow_unit: &str) -> Option<Unit> {
    match series_type {
        "steps" if daily_total => Some(unit("{steps}/d", "steps/day")),
        "steps" => Some(unit("{steps}", "steps")),
        name if name.ends_with("_deviation") => Some(unit("K", "K")),
        _ => UNITS.iter().find(|(name, _)| *name == ow_unit).map(|(_, unit)| *unit),
    }
}

/// Returns the name, the LOINC code and the unit of a further measure.
pub(crate) fn describe(measure: Measure) -> (&'static str, Option<Loinc>, Unit) {
    match measure {
        Measure::Diastolic => ("Diastolic blood pressure", Some(DIASTOLIC), MMHG),
        Measure::TotalSleep => ("Time asleep", Some(SLEEP_DURATION), SECONDS),
        Measure::LightSleep => ("Light sleep", Some(loinc("93830-8", "Light sleep duration")), SECONDS),
        Measure::DeepSleep => ("Deep sleep", Some(loinc("93831-6", "Deep sleep duration")), SECONDS),
        Measure::RemSleep => ("REM sleep", Some(loinc("93829-0", "REM sleep duration")), SECONDS),
        Measure::Awake => ("Time awake after falling asleep", None, SECONDS),
        Measure::Latency => ("Time from going to bed to falling asleep", None, SECONDS),
        Measure::Efficiency => ("Time asleep in percent of the time in bed", None, unit("%", "%")),
        Measure::Distance => ("Distance", None, METERS),
        Measure::Energy => ("Energy burned by activity", Some(CALORIES), KILOCALORIES),
        Measure::Duration => ("Duration without pauses", Some(EXERCISE_DURATION), SECONDS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::SERIES;

    /// `http://hl7.org/fhir/ValueSet/observation-vitalsignresult`, and the units that the profiles fix.
    const PROFILES: &[(&str, &str)] = &[
        ("9279-1", "/min"),
        ("8867-4", "/min"),
        ("2708-6", "%"),
        ("8310-5", "Cel"),
        ("8302-2", "cm"),
        ("29463-7", "kg"),
        ("39156-5", "kg/m2"),
        ("85354-9", "mm[Hg]"),
    ];

    /// LOINC's check digit.
    fn check_digit(number: &str) -> u32 {
        let digits = number.chars().rev().filter_map(|digit| digit.to_digit(10)).enumerate();
        let doubled = digits.map(|(place, digit)| match place % 2 {
            0 if digit > 4 => digit * 2 - 9,
            0 => digit * 2,
            _ => digit,
        });
        (10 - doubled.sum::<u32>() % 10) % 10
    }

    #[test]
    fn the_check_digit_of_each_code_is_right() {
        let measures = [Measure::Diastolic, Measure::LightSleep, Measure::DeepSleep, Measure::RemSleep];
        let listed = CODES.iter().chain([&STEPS_OF_A_DAY]).flat_map(|row| row.loinc).copied();
        for Loinc { code, .. } in
            listed.chain(measures.into_iter().filter_map(|one| describe(one).1)).chain([SYSTOLIC])
        {
            let (number, check) = code.split_once('-').unwrap();
            assert_eq!(check_digit(number).to_string(), check, "{code}");
        }
    }

    #[test]
    fn only_the_codes_of_the_published_profiles_are_vital_signs() {
        for row in CODES {
            let profile =
                row.loinc.first().and_then(|one| PROFILES.iter().find(|(code, _)| *code == one.code));
            assert_eq!(row.category == Some(VITAL_SIGNS), profile.is_some(), "{}", row.series_type);
            let series = SERIES.iter().find(|series| series.series_type == row.series_type);
            if let (Some((_, ucum)), Some(series)) = (profile, series) {
                assert_eq!(
                    find_unit(row.series_type, false, series.unit).unwrap().ucum,
                    *ucum,
                    "{}",
                    row.series_type
                );
            }
        }
    }

    #[test]
    fn each_series_type_has_a_unit() {
        for series in SERIES {
            assert!(find_unit(series.series_type, false, series.unit).is_some(), "{}", series.series_type);
        }
    }
}
