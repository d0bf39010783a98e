//! The codes that observations carry and patients consent to.

/// A code of an observation, which is also the scope of a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// Terminology.
    pub system: &'static str,
    /// `namespace:name:version` of a schema.
    pub code: &'static str,
    pub display: &'static str,
    /// Sentence for patients before they agree. It names every series type of the code.
    pub patient_description: &'static str,
    /// True if JHE's own seed creates it. Other codes are offered only if JHE lists them.
    pub in_jhe_seed: bool,
}

impl Code {
    /// Returns true if observations of this code are sent to JHE. JHE stores other terminologies without a
    /// consent check and without duplicate detection, and requires a registered source, so those are not
    /// sent.
    pub fn is_sent_to_jhe(&self) -> bool {
        self.system == OPEN_M_HEALTH
    }
}

pub const OPEN_M_HEALTH: &str = "https://w3id.org/openmhealth";
const IEEE_1752: &str = "https://w3id.org/ieee1752";
const FHIR_RESOURCES: &str = "http://hl7.org/fhir/resource-types";
/// Terminology of measures without a schema; the name is omh-shim's.
const LOCAL: &str = "https://openwearables.io/ns/local";

pub const BLOOD_GLUCOSE: &str = "omh:blood-glucose:4.0";
pub const BLOOD_PRESSURE: &str = "omh:blood-pressure:4.0";
pub const BODY_TEMPERATURE: &str = "omh:body-temperature:4.0";
pub const HEART_RATE: &str = "omh:heart-rate:2.0";
pub const OXYGEN_SATURATION: &str = "omh:oxygen-saturation:2.0";
pub const RESPIRATORY_RATE: &str = "omh:respiratory-rate:2.0";
pub const WEIGHT: &str = "omh:body-weight:3.0";
pub const HEIGHT: &str = "omh:body-height:2.0";
pub const FVC: &str = "omh:forced-vital-capacity:1.0";
pub const FEV1: &str = "omh:forced-expiratory-volume-1-second:1.0";
pub const ACTIVITY: &str = "omh:physical-activity:1.2";
pub const STEP_COUNT: &str = "omh:step-count:3.0";
pub const SLEEP_STAGES: &str = "ieee:sleep-stage-summary:1.0";
pub const SLEEP_EPISODE: &str = "omh:sleep-episode:1.1";
pub const SLEEP_DURATION: &str = "omh:sleep-duration:2.0";
pub const TIME_IN_BED: &str = "ieee:time-in-bed:1.0";
/// Neither OMH nor IEEE has a schema for heart rate variability.
pub const HRV: &str = "local:heart-rate-variability:1.0";

const fn jhe(
    system: &'static str,
    (code, display): (&'static str, &'static str),
    patient_description: &'static str,
) -> Code {
    Code { system, code, display, patient_description, in_jhe_seed: true }
}

const fn ours(
    system: &'static str,
    names: (&'static str, &'static str),
    patient_description: &'static str,
) -> Code {
    Code { in_jhe_seed: false, ..jhe(system, names, patient_description) }
}

/// Every code that the seed creates: JHE's own first, then those that JHE lacks.
#[rustfmt::skip]
pub const CODES: &[Code] = &[
    jhe(OPEN_M_HEALTH, (BLOOD_GLUCOSE, "Blood glucose"),
        "Blood sugar, as your sensor or meter measures it."),
    jhe(OPEN_M_HEALTH, (BLOOD_PRESSURE, "Blood pressure"),
        "Blood pressure: the upper and the lower value of each measurement."),
    jhe(OPEN_M_HEALTH, (BODY_TEMPERATURE, "Body temperature"),
        "Body temperature, each time that it is measured."),
    jhe(OPEN_M_HEALTH, (HEART_RATE, "Heart Rate"),
        "Heart rate through day and night, and your resting heart rate."),
    jhe(OPEN_M_HEALTH, (OXYGEN_SATURATION, "Oxygen saturation"),
        "Blood oxygen: how much oxygen your blood carries."),
    jhe(OPEN_M_HEALTH, (RESPIRATORY_RATE, "Respiratory rate"),
        "Breathing rate: how many breaths you take in a minute."),
    jhe(OPEN_M_HEALTH, ("omh:rr-interval:1.0", "RR Interval"),
        "The time from each heartbeat to the next."),
    jhe(OPEN_M_HEALTH, (WEIGHT, "Body weight"),
        "Weight, as your scale or your profile has it."),
    jhe(OPEN_M_HEALTH, (FVC, "Forced vital capacity"),
        "Lung capacity: how much air you can breathe out in one blow."),
    jhe(OPEN_M_HEALTH, (FEV1, "Forced expiratory volume in 1 second"),
        "Breath volume in one second: how much air you breathe out in the first second of a blow."),
    jhe(FHIR_RESOURCES, ("QuestionnaireResponse", "FHIR QuestionnaireResponse"),
        "Your answers to questions."),
    jhe(OPEN_M_HEALTH, (ACTIVITY, "Physical activity"),
        "Workouts, with their kind, time, distance and energy, and the distance and energy of the day's \
         activity."),
    jhe(OPEN_M_HEALTH, (STEP_COUNT, "Step count"),
        "Your steps through the day, and the day's total."),
    jhe(IEEE_1752, (SLEEP_STAGES, "Sleep stage summary"),
        "Sleep stages: how long you were in light, deep and dream sleep, and awake."),
    jhe(OPEN_M_HEALTH, (SLEEP_EPISODE, "Sleep episode"),
        "Sleep: when each night and nap began and ended, and how well you slept."),
    jhe(OPEN_M_HEALTH, (SLEEP_DURATION, "Sleep duration"),
        "Time asleep, in each night and nap."),
    ours(OPEN_M_HEALTH, (HEIGHT, "Body height"),
        "Height, as your profile has it."),
    ours(IEEE_1752, (TIME_IN_BED, "Time in bed"),
        "Time in bed, in each night and nap."),
    ours(LOCAL, (HRV, "Heart rate variability"),
        "Heart rate variability: how much the time between heartbeats varies."),
];

/// Groups of codes on forms.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("Heart and blood", &[HEART_RATE, HRV, BLOOD_PRESSURE, OXYGEN_SATURATION, BLOOD_GLUCOSE]),
    ("Breathing", &[RESPIRATORY_RATE, FVC, FEV1]),
    ("Body", &[WEIGHT, HEIGHT, BODY_TEMPERATURE]),
    ("Activity", &[STEP_COUNT, ACTIVITY]),
    ("Sleep", &[SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED]),
];

pub fn in_jhe_seed(code: &str) -> bool {
    CODES.iter().any(|known| known.code == code && known.in_jhe_seed)
}

pub fn patient_description(code: &str) -> Option<&'static str> {
    CODES.iter().find(|known| known.code == code).map(|known| known.patient_description)
}
