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

/// The code of a series type without a schema of OMH or IEEE: `local:<series type>:1.0`.
macro_rules! local {
    ($series_type:literal) => {
        concat!("local:", $series_type, ":1.0")
    };
}
pub(super) use local;

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
pub const BODY_FAT: &str = "omh:body-fat-percentage:2.0";
pub const BMI: &str = "omh:body-mass-index:3.0";
pub const CALORIES: &str = "omh:calories-burned:2.0";
pub const SPEED: &str = "omh:speed:1.0";
pub const AMBIENT_SOUND: &str = "ieee:ambient-sound:1.0";
pub const AMBIENT_TEMPERATURE: &str = "ieee:ambient-temperature:1.0";
pub const HRV_SDNN: &str = local!("heart_rate_variability_sdnn");
pub const HRV_RMSSD: &str = local!("heart_rate_variability_rmssd");

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
    ours(LOCAL, (HRV_SDNN, "Heart rate variability (SDNN)"),
        "Heart rate variability: how much the time between heartbeats varies."),
    ours(LOCAL, (HRV_RMSSD, "Heart rate variability (RMSSD)"),
        "Heart rate variability: how much the time from one heartbeat to the next changes."),
    ours(LOCAL, (local!("heart_rate_recovery_one_minute"), "Heart rate recovery"),
        "Heart rate recovery: how far your heart rate falls in the first minute after exercise."),
    ours(LOCAL, (local!("walking_heart_rate_average"), "Walking heart rate"),
        "Walking heart rate: the average of your heart rate while you walk."),
    ours(LOCAL, (local!("atrial_fibrillation_burden"), "Atrial fibrillation burden"),
        "Atrial fibrillation burden: the share of time with signs of an irregular heartbeat."),
    ours(LOCAL, (local!("blood_alcohol_content"), "Blood alcohol"),
        "Blood alcohol: alcohol in your blood, as a device measures it."),
    ours(LOCAL, (local!("peripheral_perfusion_index"), "Perfusion index"),
        "Perfusion index: how strong the pulse is at your finger or wrist."),
    ours(LOCAL, (local!("sleeping_breathing_disturbances"), "Breathing disturbances"),
        "Breathing disturbances: how often your breathing is disturbed in your sleep."),
    ours(LOCAL, (local!("breathing_disturbance_index"), "Breathing disturbance index"),
        "Breathing disturbance index: the provider's score of disturbed breathing in your sleep."),
    ours(LOCAL, (local!("peak_expiratory_flow_rate"), "Peak expiratory flow"),
        "Peak expiratory flow: how fast you can breathe out."),
    ours(LOCAL, (local!("inhaler_usage"), "Inhaler use"),
        "Inhaler use: how often you use an inhaler."),
    ours(OPEN_M_HEALTH, (BODY_FAT, "Body fat"),
        "Body fat: the share of fat in your body."),
    ours(OPEN_M_HEALTH, (BMI, "Body mass index"),
        "Body mass index: your weight in relation to your height."),
    ours(LOCAL, (local!("lean_body_mass"), "Lean body mass"),
        "Lean body mass: your weight without fat."),
    ours(LOCAL, (local!("skin_temperature"), "Skin temperature"),
        "Skin temperature: the temperature of your skin."),
    ours(LOCAL, (local!("skin_temperature_deviation"), "Skin temperature deviation"),
        "Skin temperature deviation: how far your skin's temperature is from your usual one."),
    ours(LOCAL, (local!("skin_temperature_trend_deviation"), "Skin temperature trend"),
        "Skin temperature trend: how your skin's temperature changes over days."),
    ours(LOCAL, (local!("waist_circumference"), "Waist circumference"),
        "Waist circumference: the size of your waist."),
    ours(LOCAL, (local!("body_fat_mass"), "Body fat mass"),
        "Body fat mass: the weight of fat in your body."),
    ours(LOCAL, (local!("skeletal_muscle_mass"), "Muscle mass"),
        "Muscle mass: the weight of your muscles."),
    ours(LOCAL, (local!("garmin_skin_temperature"), "Skin temperature deviation (Garmin)"),
        "Skin temperature deviation: how far your skin's temperature is from your usual one, as Garmin gives it."),
    ours(LOCAL, (local!("electrodermal_activity"), "Skin conductance"),
        "Skin conductance: changes of your skin by sweat."),
    ours(LOCAL, (local!("vo2_max"), "Fitness (VO2 max)"),
        "Fitness: how much oxygen your body can use."),
    ours(LOCAL, (local!("six_minute_walk_test_distance"), "Six-minute walk"),
        "Six-minute walk: how far you walk in six minutes."),
    ours(LOCAL, (local!("cardiovascular_age"), "Cardiovascular age"),
        "Cardiovascular age: the provider's estimate of the age of your blood vessels."),
    ours(LOCAL, (local!("garmin_fitness_age"), "Fitness age"),
        "Fitness age: Garmin's estimate of the age that your fitness corresponds to."),
    ours(LOCAL, (local!("garmin_stress_level"), "Stress level"),
        "Stress level: Garmin's score of your stress."),
    ours(LOCAL, (local!("garmin_body_battery"), "Body battery"),
        "Body battery: Garmin's estimate of your energy reserves."),
    ours(LOCAL, (local!("workout_effort_score"), "Effort of workouts"),
        "Effort of workouts: how hard you found a workout."),
    ours(LOCAL, (local!("estimated_workout_effort_score"), "Estimated effort of workouts"),
        "Estimated effort of workouts: how hard a workout was by the provider's estimate."),
    ours(LOCAL, (local!("physical_effort"), "Physical effort"),
        "Physical effort: how hard your body works."),
    ours(LOCAL, (local!("average_met"), "Metabolic rate"),
        "Metabolic rate: how much energy your body uses in relation to rest."),
    ours(OPEN_M_HEALTH, (CALORIES, "Active energy"),
        "Active energy: the energy that you burn by moving."),
    ours(LOCAL, (local!("basal_energy"), "Resting energy"),
        "Resting energy: the energy that your body burns at rest."),
    ours(LOCAL, (local!("stand_time"), "Standing time"),
        "Standing time: how long you stand."),
    ours(LOCAL, (local!("exercise_time"), "Exercise time"),
        "Exercise time: how long you exercise."),
    ours(LOCAL, (local!("active_time"), "Active time"),
        "Active time: how long you are active in a day."),
    ours(LOCAL, (local!("flights_climbed"), "Floors climbed"),
        "Floors climbed: how many floors you climb."),
    ours(LOCAL, (local!("distance_walking_running"), "Distance on foot"),
        "Distance on foot: how far you walk and run."),
    ours(LOCAL, (local!("distance_cycling"), "Distance by bicycle"),
        "Distance by bicycle: how far you cycle."),
    ours(LOCAL, (local!("distance_swimming"), "Distance swum"),
        "Distance swum: how far you swim."),
    ours(LOCAL, (local!("distance_downhill_snow_sports"), "Distance on snow"),
        "Distance on snow: how far you ski or ride downhill."),
    ours(LOCAL, (local!("distance_other"), "Other distance"),
        "Other distance: how far you go in other ways."),
    ours(LOCAL, (local!("push_count"), "Wheelchair pushes"),
        "Wheelchair pushes: how often you push a wheelchair."),
    ours(LOCAL, (local!("swimming_stroke_count"), "Swimming strokes"),
        "Swimming strokes: how many strokes you swim."),
    ours(LOCAL, (local!("nike_fuel"), "Nike Fuel"),
        "Nike Fuel: Nike's points for activity."),
    ours(LOCAL, (local!("walking_step_length"), "Step length"),
        "Step length: the length of your steps."),
    ours(LOCAL, (local!("walking_speed"), "Walking speed"),
        "Walking speed: how fast you walk."),
    ours(LOCAL, (local!("walking_double_support_percentage"), "Double support"),
        "Double support: the share of a step with both feet on the ground."),
    ours(LOCAL, (local!("walking_asymmetry_percentage"), "Walking asymmetry"),
        "Walking asymmetry: how often your steps differ between left and right."),
    ours(LOCAL, (local!("walking_steadiness"), "Walking steadiness"),
        "Walking steadiness: how steadily you walk."),
    ours(LOCAL, (local!("stair_descent_speed"), "Speed down stairs"),
        "Speed down stairs: how fast you go down stairs."),
    ours(LOCAL, (local!("stair_ascent_speed"), "Speed up stairs"),
        "Speed up stairs: how fast you go up stairs."),
    ours(LOCAL, (local!("number_of_times_fallen"), "Falls"),
        "Falls: how often your device notices a fall."),
    ours(LOCAL, (local!("running_power"), "Running power"),
        "Running power: how much power you run with."),
    ours(LOCAL, (local!("running_speed"), "Running speed"),
        "Running speed: how fast you run."),
    ours(LOCAL, (local!("running_vertical_oscillation"), "Vertical oscillation"),
        "Vertical oscillation: how far you bounce while you run."),
    ours(LOCAL, (local!("running_ground_contact_time"), "Ground contact time"),
        "Ground contact time: how long your foot is on the ground while you run."),
    ours(LOCAL, (local!("running_stride_length"), "Stride length"),
        "Stride length: the length of your strides while you run."),
    ours(LOCAL, (local!("running_vertical_ratio"), "Vertical ratio"),
        "Vertical ratio: your bouncing in relation to your strides."),
    ours(LOCAL, (local!("running_stance_time_balance"), "Stance balance"),
        "Stance balance: how evenly your feet share the time on the ground."),
    ours(LOCAL, (local!("cadence"), "Cadence"),
        "Cadence: how fast your steps or pedals turn."),
    ours(LOCAL, (local!("power"), "Power"),
        "Power: how much power you put into an exercise."),
    ours(OPEN_M_HEALTH, (SPEED, "Speed"),
        "Speed: how fast you move in an exercise."),
    ours(LOCAL, (local!("underwater_depth"), "Diving depth"),
        "Diving depth: how deep you dive."),
    ours(LOCAL, (local!("latitude"), "Place (latitude)"),
        "Place: the place where you are, north or south."),
    ours(LOCAL, (local!("longitude"), "Place (longitude)"),
        "Place: the place where you are, east or west."),
    ours(LOCAL, (local!("elevation"), "Elevation"),
        "Elevation: how high above the sea you are."),
    ours(IEEE_1752, (AMBIENT_SOUND, "Noise around you"),
        "Noise around you: how loud it is around you."),
    ours(LOCAL, (local!("headphone_audio_exposure"), "Loudness of headphones"),
        "Loudness of headphones: how loud your headphones are."),
    ours(LOCAL, (local!("environmental_sound_reduction"), "Sound reduction"),
        "Sound reduction: how far your headphones lower the noise."),
    ours(LOCAL, (local!("time_in_daylight"), "Time in daylight"),
        "Time in daylight: how long you are in daylight."),
    ours(LOCAL, (local!("uv_exposure"), "UV exposure"),
        "UV exposure: how strong the sun is on you."),
    ours(LOCAL, (local!("water_temperature"), "Water temperature"),
        "Water temperature: the temperature of the water you are in."),
    ours(IEEE_1752, (AMBIENT_TEMPERATURE, "Air temperature"),
        "Air temperature and outdoor temperature: how warm it is around you and where you exercise."),
    ours(LOCAL, (local!("weather_humidity"), "Humidity"),
        "Humidity: the humidity of the air where you exercise."),
    ours(LOCAL, (local!("insulin_delivery"), "Insulin"),
        "Insulin: the insulin that you take or a pump gives you."),
    ours(LOCAL, (local!("number_of_alcoholic_beverages"), "Alcoholic drinks"),
        "Alcoholic drinks: how many alcoholic drinks you note."),
    ours(LOCAL, (local!("hydration"), "Drinks"),
        "Drinks: how much you drink."),
];

/// Groups of codes on forms. The first codes of a group are those that most studies ask for.
#[rustfmt::skip]
pub const GROUPS: &[(&str, &[&str])] = &[
    ("Heart and blood", &[
        HEART_RATE, HRV_SDNN, HRV_RMSSD, BLOOD_PRESSURE, OXYGEN_SATURATION, BLOOD_GLUCOSE,
        local!("heart_rate_recovery_one_minute"), local!("walking_heart_rate_average"),
        local!("atrial_fibrillation_burden"), local!("blood_alcohol_content"),
        local!("peripheral_perfusion_index"),
    ]),
    ("Breathing", &[
        RESPIRATORY_RATE, FVC, FEV1, local!("sleeping_breathing_disturbances"),
        local!("breathing_disturbance_index"), local!("peak_expiratory_flow_rate"), local!("inhaler_usage"),
    ]),
    ("Body", &[
        WEIGHT, HEIGHT, BODY_TEMPERATURE, BODY_FAT, BMI, local!("lean_body_mass"), local!("skin_temperature"),
        local!("skin_temperature_deviation"), local!("skin_temperature_trend_deviation"),
        local!("waist_circumference"), local!("body_fat_mass"), local!("skeletal_muscle_mass"),
        local!("garmin_skin_temperature"), local!("electrodermal_activity"),
    ]),
    ("Activity", &[
        STEP_COUNT, ACTIVITY, CALORIES, local!("basal_energy"), local!("stand_time"), local!("exercise_time"),
        local!("active_time"), local!("flights_climbed"), local!("distance_walking_running"),
        local!("distance_cycling"), local!("distance_swimming"), local!("distance_downhill_snow_sports"),
        local!("distance_other"), local!("push_count"), local!("swimming_stroke_count"), local!("nike_fuel"),
    ]),
    ("Sleep", &[
        SLEEP_DURATION, SLEEP_EPISODE, SLEEP_STAGES, TIME_IN_BED,
    ]),
    ("Fitness", &[
        local!("vo2_max"), local!("six_minute_walk_test_distance"), local!("cardiovascular_age"),
        local!("garmin_fitness_age"), local!("garmin_stress_level"), local!("garmin_body_battery"),
        local!("workout_effort_score"), local!("estimated_workout_effort_score"), local!("physical_effort"),
        local!("average_met"),
    ]),
    ("Walking", &[
        local!("walking_step_length"), local!("walking_speed"), local!("walking_double_support_percentage"),
        local!("walking_asymmetry_percentage"), local!("walking_steadiness"), local!("stair_descent_speed"),
        local!("stair_ascent_speed"), local!("number_of_times_fallen"),
    ]),
    ("Running and other sports", &[
        local!("running_power"), local!("running_speed"), local!("running_vertical_oscillation"),
        local!("running_ground_contact_time"), local!("running_stride_length"), local!("running_vertical_ratio"),
        local!("running_stance_time_balance"), local!("cadence"), local!("power"), SPEED,
        local!("underwater_depth"),
    ]),
    ("Surroundings and place", &[
        local!("latitude"), local!("longitude"), local!("elevation"), AMBIENT_SOUND,
        local!("headphone_audio_exposure"), local!("environmental_sound_reduction"), local!("time_in_daylight"),
        local!("uv_exposure"), local!("water_temperature"), AMBIENT_TEMPERATURE,  local!("weather_humidity"),
    ]),
    ("Food, drink and medicine", &[
        local!("insulin_delivery"), local!("number_of_alcoholic_beverages"), local!("hydration"),
    ]),
];

pub fn in_jhe_seed(code: &str) -> bool {
    CODES.iter().any(|known| known.code == code && known.in_jhe_seed)
}

pub fn patient_description(code: &str) -> Option<&'static str> {
    CODES.iter().find(|known| known.code == code).map(|known| known.patient_description)
}
