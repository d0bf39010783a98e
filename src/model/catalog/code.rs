//! What patients consent to, and what observations are.

/// A concept that a patient consents to and that an observation carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The terminology it belongs to.
    pub system: &'static str,
    /// The code itself: `namespace:name:version` for a schema.
    pub code: &'static str,
    /// What people call it.
    pub display: &'static str,
    /// What it covers, in a sentence that patients read before they agree: the catalogue's names of all that carries it.
    pub covers: &'static str,
    /// Whether JHE's own seed makes it. What it does not make is offered only where JHE lists it all the same.
    pub is_of_jhe: bool,
}

impl Code {
    /// Whether JHE takes observations of it over FHIR. Those of other terminologies it puts where no consent is looked
    /// at and nothing is recognised, for a source that the patient has to register: they are not sent.
    pub fn goes_to_jhe(&self) -> bool {
        self.system == OPEN_M_HEALTH
    }
}

/// The terminology of Open mHealth's schemas.
pub const OPEN_M_HEALTH: &str = "https://w3id.org/openmhealth";
const IEEE_1752: &str = "https://w3id.org/ieee1752";
const FHIR_RESOURCES: &str = "http://hl7.org/fhir/resource-types";
/// Of what no schema exists anywhere: the name is the reference converter's.
const LOCAL: &str = "https://openwearables.io/ns/local";

/// Blood glucose.
pub const BLOOD_GLUCOSE: &str = "omh:blood-glucose:4.0";
/// Blood pressure.
pub const BLOOD_PRESSURE: &str = "omh:blood-pressure:4.0";
/// Body temperature.
pub const BODY_TEMPERATURE: &str = "omh:body-temperature:4.0";
/// Heart rate, as OMH's schema names it.
pub const HEART_RATE: &str = "omh:heart-rate:2.0";
/// Oxygen saturation.
pub const OXYGEN_SATURATION: &str = "omh:oxygen-saturation:2.0";
/// Respiratory rate.
pub const RESPIRATORY_RATE: &str = "omh:respiratory-rate:2.0";
/// Body weight.
pub const WEIGHT: &str = "omh:body-weight:3.0";
/// Body height.
pub const HEIGHT: &str = "omh:body-height:2.0";
/// Forced vital capacity.
pub const FVC: &str = "omh:forced-vital-capacity:1.0";
/// Forced expiratory volume in one second.
pub const FEV1: &str = "omh:forced-expiratory-volume-1-second:1.0";
/// Physical activity.
pub const ACTIVITY: &str = "omh:physical-activity:1.2";
/// Step count.
pub const STEP_COUNT: &str = "omh:step-count:3.0";
/// Stages of a sleep.
pub const SLEEP_STAGES: &str = "ieee:sleep-stage-summary:1.0";
/// A sleep.
pub const SLEEP_EPISODE: &str = "omh:sleep-episode:1.1";
/// Time asleep.
pub const SLEEP_DURATION: &str = "omh:sleep-duration:2.0";
/// Time in bed.
pub const TIME_IN_BED: &str = "ieee:time-in-bed:1.0";
/// Heart rate variability, for which neither OMH nor IEEE has a schema.
pub const HRV: &str = "local:heart-rate-variability:1.0";

const fn of_jhe(
    system: &'static str,
    (code, display): (&'static str, &'static str),
    covers: &'static str,
) -> Code {
    Code { system, code, display, covers, is_of_jhe: true }
}

const fn ours(
    system: &'static str,
    (code, display): (&'static str, &'static str),
    covers: &'static str,
) -> Code {
    Code { system, code, display, covers, is_of_jhe: false }
}

/// Every code that a seed makes: JHE's own, and behind them those that JHE does not have yet.
#[rustfmt::skip]
pub const CODES: &[Code] = &[
    of_jhe(OPEN_M_HEALTH, (BLOOD_GLUCOSE, "Blood glucose"),
        "Blood sugar, as your sensor or meter measures it."),
    of_jhe(OPEN_M_HEALTH, (BLOOD_PRESSURE, "Blood pressure"),
        "Blood pressure: the upper and the lower value of each measurement."),
    of_jhe(OPEN_M_HEALTH, (BODY_TEMPERATURE, "Body temperature"),
        "Body temperature, each time that it is measured."),
    of_jhe(OPEN_M_HEALTH, (HEART_RATE, "Heart Rate"),
        "Heart rate through day and night, and your resting heart rate."),
    of_jhe(OPEN_M_HEALTH, (OXYGEN_SATURATION, "Oxygen saturation"),
        "Blood oxygen: how much oxygen your blood carries."),
    of_jhe(OPEN_M_HEALTH, (RESPIRATORY_RATE, "Respiratory rate"),
        "Breathing rate: how many breaths you take in a minute."),
    of_jhe(OPEN_M_HEALTH, ("omh:rr-interval:1.0", "RR Interval"),
        "The time from each heartbeat to the next."),
    of_jhe(OPEN_M_HEALTH, (WEIGHT, "Body weight"),
        "Weight, as your scale or your profile has it."),
    of_jhe(OPEN_M_HEALTH, (FVC, "Forced vital capacity"),
        "Lung capacity: how much air you can breathe out in one blow."),
    of_jhe(OPEN_M_HEALTH, (FEV1, "Forced expiratory volume in 1 second"),
        "Breath volume in one second: how much air you breathe out in the first second of a blow."),
    of_jhe(FHIR_RESOURCES, ("QuestionnaireResponse", "FHIR QuestionnaireResponse"),
        "Your answers to questions."),
    of_jhe(OPEN_M_HEALTH, (ACTIVITY, "Physical activity"),
        "Workouts, with their kind, time, distance and energy, and the distance and energy of the day's activity."),
    of_jhe(OPEN_M_HEALTH, (STEP_COUNT, "Step count"),
        "Steps, through the day and in all."),
    of_jhe(IEEE_1752, (SLEEP_STAGES, "Sleep stage summary"),
        "Sleep stages: how long you slept lightly, deeply or dreaming, and lay awake."),
    of_jhe(OPEN_M_HEALTH, (SLEEP_EPISODE, "Sleep episode"),
        "Sleep: when each night and nap began and ended, and how well you slept."),
    of_jhe(OPEN_M_HEALTH, (SLEEP_DURATION, "Sleep duration"),
        "Time asleep, in each night and nap."),
    ours(OPEN_M_HEALTH, (HEIGHT, "Body height"),
        "Height, as your profile has it."),
    ours(IEEE_1752, (TIME_IN_BED, "Time in bed"),
        "Time in bed, in each night and nap."),
    ours(LOCAL, (HRV, "Heart rate variability"),
        "Heart rate variability: how much the time between heartbeats varies."),
];

/// What belongs together where codes are chosen from.
pub const GROUPS: &[(&str, &[&str])] = &[
    ("Heart and blood", &[HEART_RATE, HRV, BLOOD_PRESSURE, OXYGEN_SATURATION, BLOOD_GLUCOSE]),
    ("Breathing", &[RESPIRATORY_RATE, FVC, FEV1]),
    ("Body", &[WEIGHT, HEIGHT, BODY_TEMPERATURE]),
    ("Activity", &[STEP_COUNT, ACTIVITY]),
    ("Sleep", &[SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED]),
];

/// Whether JHE's own seed makes a code.
pub fn is_of_jhe(code: &str) -> bool {
    CODES.iter().any(|known| known.code == code && known.is_of_jhe)
}

/// What a code covers, in a sentence for patients.
pub fn covers(code: &str) -> Option<&'static str> {
    CODES.iter().find(|known| known.code == code).map(|known| known.covers)
}
